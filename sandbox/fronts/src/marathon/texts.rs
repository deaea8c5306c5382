//! Every word of the pages, in both languages; the type keeps them in step.

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Japanese,
    English,
}

impl Language {
    /// What was asked for, else what the browser likes best, else Japanese.
    pub(super) fn choose(wish: Option<&str>, accepted: Option<&str>) -> Self {
        match (wish, accepted) {
            (Some("en"), _) => Self::English,
            (Some("ja"), _) => Self::Japanese,
            (_, Some(accepted)) if !accepted.trim_start().starts_with("ja") && accepted.contains("en") => Self::English,
            _ => Self::Japanese,
        }
    }

    /// The tag in `lang` attributes.
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::Japanese => "ja",
            Self::English => "en",
        }
    }

    pub(super) const fn other(self) -> Self {
        match self {
            Self::Japanese => Self::English,
            Self::English => Self::Japanese,
        }
    }

    pub(super) const fn texts(self) -> &'static Texts {
        match self {
            Self::Japanese => &JAPANESE,
            Self::English => &ENGLISH,
        }
    }

    /// An amount as this language writes it.
    pub(super) fn yen(self, amount: u32) -> String {
        let (thousands, rest) = (amount / 1000, amount % 1000);
        let digits = if thousands > 0 { format!("{thousands},{rest:03}") } else { rest.to_string() };
        match self {
            Self::Japanese => format!("{digits}円"),
            Self::English => format!("¥{digits}"),
        }
    }
}

macro_rules! texts {
    ($($name:ident: $ja:literal, $en:literal;)*) => {
        /// The words of one language.
        pub(super) struct Texts { $(pub(super) $name: &'static str,)* }
        const JAPANESE: Texts = Texts { $($name: $ja,)* };
        const ENGLISH: Texts = Texts { $($name: $en,)* };
    };
}

texts! {
    event: "ハーバーシティ・ハーフマラソン 2027", "Harbour City Half Marathon 2027";
    event_first: "ハーバーシティ・", "Harbour City";
    event_rest: "ハーフマラソン 2027", "Half Marathon 2027";
    event_short: "ハーバーシティ・ハーフ", "Harbour City Half";
    tagline: "夜明けの港を出て、大橋を渡り、海沿いを帰る 21.0975 km。", "Out of the harbour at dawn, over the great bridge, home along the sea. 21.0975 km.";
    edition: "第12回 市民マラソン", "12th citizens’ race";
    date_label: "開催日", "Date";
    date: "2027年3月14日（日）", "Sunday 14 March 2027";
    start_label: "スタート", "Start";
    start: "8:30　赤灯台広場", "8:30, Red Lighthouse Square";
    places_label: "定員", "Places";
    places: "4,000人（先着順）", "4,000, first come";
    deadline_label: "締切", "Closes";
    deadline: "2027年1月31日", "31 January 2027";
    skip: "申込フォームへ", "Skip to the entry form";
    form_title: "エントリー", "Your entry";
    race: "種目", "Race";
    half: "ハーフマラソン", "Half marathon";
    half_detail: "21.0975 km・制限 2時間45分", "21.0975 km, 2 h 45 min limit";
    ten: "10 km", "10 km";
    ten_detail: "制限 1時間20分", "1 h 20 min limit";
    family: "ファミリーラン", "Family run";
    family_detail: "2 km・親子で1組", "2 km, parent and child";
    who: "参加者", "Runner";
    name: "お名前", "Full name";
    name_hint: "ゼッケンの控えに印字します", "Printed on your bib receipt";
    email: "メールアドレス", "E-mail";
    payment: "お支払い", "Payment";
    payment_promise: "カード情報は、このサイトを一切通りません。入力欄は決済サービス「蔵」のもので、お使いの端末で暗号化され、金庫へ直接届きます。", "Your card details never touch this site. The fields belong to the payment service Kura; they are encrypted on your device and go straight to its vault.";
    card_loading: "カード入力欄を読み込んでいます…", "Loading the card fields…";
    card_away: "カード入力欄を読み込めませんでした。少し待ってから、ページを再読み込みしてください。", "The card fields could not be loaded. Please wait a moment and reload the page.";
    no_script: "カード情報をこの端末で暗号化するため、JavaScript を有効にしてください。", "Please turn JavaScript on: your card is encrypted on this device by it.";
    summary: "お申込み内容", "Summary";
    fee: "参加費", "entry";
    fee_note: "計測チップ・完走タオル・保険料込み", "Timing chip, finisher’s towel and insurance included";
    total: "お支払い合計（税込）", "Total, tax included";
    pay: "を支払って申し込む", "Pay";
    paying: "お支払いの手続き中…", "Taking your payment…";
    once: "ボタンを何度押しても、請求は一度だけです。", "However often you press, you are charged once.";
    terms: "申込み後の変更・返金は 1月31日まで承ります。", "Changes and refunds until 31 January.";
    footer: "これはKuraの見本ショップです。大会もお支払いも架空のものです。", "A sample shop of Kura. The race and the payments are not real.";

    declined_title: "お支払いができませんでした", "The payment did not go through";
    declined_after: "請求はされていません。下のフォームで、もう一度お手続きください。", "You have not been charged. Please try again below.";
    generic_decline: "カード会社がこのお支払いを承認しませんでした。別のカードを使うか、カード会社にお問い合わせください。", "Your card’s issuer did not approve this payment. Please use another card, or ask the issuer.";
    insufficient_funds: "カードの残高または利用枠が足りません。別のカードをお使いください。", "The card has not enough funds. Please use another card.";
    expired_card: "カードの有効期限が切れています。", "The card has expired.";
    incorrect_cvc: "セキュリティコードが正しくありません。カードをご確認ください。", "The security code is not right. Please check your card.";
    incorrect_number: "カード番号が正しくありません。カードをご確認ください。", "The card number is not right. Please check your card.";
    processing_error: "カード会社側で処理ができませんでした。少し待ってから、もう一度お試しください。", "The card network could not process this. Please wait a moment and try again.";
    authentication_required: "このカードには本人認証が必要ですが、このページではまだ対応していません。", "This card asks for an extra check that this page does not offer yet.";
    refused_title: "お申込みを受け付けられませんでした", "Your entry could not be taken";
    refused: "こちらの設定に問題があります。請求はされていません。時間をおいてお試しください。", "There is a problem on our side. You have not been charged. Please try again later.";
    busy: "ただいま混み合っています。請求はされていません。少し待ってからお試しください。", "We are very busy. You have not been charged. Please try again in a moment.";
    problem_title: "入力内容をご確認ください", "Please check your entry";
    problem_name: "お名前を入力してください。", "Please enter your name.";
    problem_email: "メールアドレスを正しく入力してください。", "Please enter a whole e-mail address.";
    problem_race: "種目を選んでください。", "Please choose a race.";
    problem_card: "カード情報をもう一度入力してください。", "Please enter your card again.";
    problem_form: "ページの有効期間が過ぎました。もう一度お手続きください。", "This page is too old. Please go through it again.";

    paid_title: "エントリーが完了しました", "You’re in";
    paid_lead: "お支払いを確認しました。3月14日、スタートラインでお待ちしています。", "Your payment went through. See you on the start line on 14 March.";
    bib: "ゼッケン", "Bib";
    paid_at: "お支払い日時", "Paid at";
    paid_sum: "お支払い金額", "Amount paid";
    payment_id: "決済番号", "Payment";
    keep: "このページを印刷または保存してください。", "Print or save this page for your records.";
    home: "大会ページへ戻る", "Back to the race";

    processing_title: "お支払いを確認しています", "Your payment is being confirmed";
    processing_lead: "カード会社からの返事を待っています。もう一度申し込む必要はありません。二重に請求されることもありません。", "We are waiting for your card’s network. There is no need to enter again, and you won’t be charged twice.";
    processing_check: "いまの状況を確認する", "Check again";
    processing_note: "通常は数分で確定します。このページを閉じても、お申込みは残ります。", "It usually takes a few minutes. Your entry is kept when you close this page.";
    away_title: "決済サービスに接続できません", "We can’t reach the payment service";
    away_lead: "お申込み内容は残っています。下のボタンから続けられます。何度押しても、請求は一度だけです。", "Your entry is kept. Continue with the button below; however often you press, you are charged once.";
    away_retry: "もう一度接続する", "Try again";
    pending_state: "確認中", "Being confirmed";
    away_state: "未完了", "Not finished";
    paid_state: "支払い済み", "Paid";
    state: "状態", "Status";
    missing_title: "ページが見つかりません", "There is no such page";
    missing_lead: "アドレスをご確認ください。", "Please check the address.";
}

impl Texts {
    /// Words for a decline, in as much detail as may be told to whoever holds the card: a lost or stolen card's holder
    /// learns no more than that it was declined.
    pub(super) fn decline(&self, code: &str) -> &'static str {
        match code {
            "insufficient_funds" | "card_velocity_exceeded" => self.insufficient_funds,
            "expired_card" => self.expired_card,
            "incorrect_cvc" => self.incorrect_cvc,
            "incorrect_number" => self.incorrect_number,
            "processing_error" => self.processing_error,
            "authentication_required" => self.authentication_required,
            _ => self.generic_decline,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wish goes before the browser's liking, and that before the default.
    #[test]
    fn the_language_is_what_was_asked_for() {
        assert_eq!(Language::choose(Some("en"), Some("ja")), Language::English);
        assert_eq!(Language::choose(None, Some("en-GB,en;q=0.9")), Language::English);
        assert_eq!(Language::choose(None, Some("ja,en;q=0.9")), Language::Japanese);
        assert_eq!(Language::choose(Some("fr"), None), Language::Japanese);
    }

    /// Whoever tries a stolen card is not told that it is known to be stolen.
    #[test]
    fn a_stolen_card_is_just_declined() {
        let texts = Language::English.texts();
        assert_eq!(texts.decline("stolen_card"), texts.decline("generic_decline"));
        assert_ne!(texts.decline("insufficient_funds"), texts.decline("generic_decline"));
    }

    /// Thousands are grouped.
    #[test]
    fn amounts_are_grouped() {
        assert_eq!(Language::Japanese.yen(8_800), "8,800円");
        assert_eq!(Language::English.yen(10_005), "¥10,005");
        assert_eq!(Language::English.yen(500), "¥500");
    }
}
