//! Every word of the people's pages, in both languages; the type keeps them in step.

use super::request::{Place, Refusal};

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

    /// The other one.
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
    pub(super) fn yen(self, amount: u64) -> String {
        let digits = amount.to_string();
        let mut grouped = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        match self {
            Self::Japanese => format!("{grouped}円"),
            Self::English => format!("¥{grouped}"),
        }
    }

    pub(super) const fn place(self, place: Place) -> &'static str {
        match (self, place) {
            (Self::Japanese, Place::Familymart) => "ファミリーマート",
            (Self::English, Place::Familymart) => "FamilyMart",
            (Self::Japanese, Place::Lawson) => "ローソン",
            (Self::English, Place::Lawson) => "Lawson",
            (Self::Japanese, Place::Ministop) => "ミニストップ",
            (Self::English, Place::Ministop) => "Ministop",
            (Self::Japanese, Place::Seicomart) => "セイコーマート",
            (Self::English, Place::Seicomart) => "Seicomart",
            (Self::Japanese, Place::Bank) => "銀行",
            (Self::English, Place::Bank) => "a bank",
            (Self::Japanese, Place::Wallet) => "ウォレット",
            (Self::English, Place::Wallet) => "the wallet",
        }
    }

    pub(super) const fn refusal(self, refusal: Refusal) -> &'static str {
        match (self, refusal) {
            (Self::Japanese, Refusal::AmountTooLarge) => "金額が上限を超えています",
            (Self::English, Refusal::AmountTooLarge) => "the amount is too large",
            (Self::Japanese, Refusal::CurrencyNotSupported) => "円のみ取り扱えます",
            (Self::English, Refusal::CurrencyNotSupported) => "only yen are taken",
            (Self::Japanese, Refusal::AlreadyExpired) => "期限を過ぎて届きました",
            (Self::English, Refusal::AlreadyExpired) => "it came after its time",
            (Self::Japanese, Refusal::Declined) => "受け付けられません",
            (Self::English, Refusal::Declined) => "it is not taken",
            (Self::Japanese, Refusal::ShopperRefused) => "ご本人が取り消しました",
            (Self::English, Refusal::ShopperRefused) => "the shopper said no",
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
    simulated: "模擬環境です。実際のお金は動きません。", "A simulation. No money moves here.";
    other_language: "English", "日本語";
    konbini_title: "コンビニのレジ", "At the register";
    konbini_lead: "払込票の番号を入力してください。", "Type the numbers of the payment slip.";
    payment_number: "お支払受付番号(11桁)", "Payment number (11 digits)";
    confirmation_number: "確認番号", "Confirmation number";
    payeasy_title: "ペイジーのお支払い", "Pay-easy";
    payeasy_lead: "請求の3つの番号を入力してください。", "Type the three numbers of the bill.";
    agency_number: "収納機関番号(5桁)", "Collecting agency (5 digits)";
    customer_number: "お客様番号(11桁)", "Customer number (11 digits)";
    pin_number: "確認番号(6桁)", "Confirmation number (6 digits)";
    look_up: "内容を確認", "Look up";
    not_found: "この番号のお支払いは見つかりません。番号をお確かめください。", "There is no payment with these numbers. Please check them.";
    pay: "支払う", "Pay";
    pay_late: "期限後の入金として支払う", "Pay although its time is over";
    late_hint: "テスト用: 実際のレジでは受け付けられません。", "For tests: a real register would refuse.";
    amount: "金額", "Amount";
    payee: "お支払先", "Payee";
    payer: "お名前", "Name";
    description: "内容", "For";
    pay_until: "お支払期限", "Pay until";
    status: "状態", "State";
    waiting: "お支払い待ち", "waiting for payment";
    paid: "お支払い済み", "paid";
    refused: "不成立", "refused";
    withdrawn: "取消済み", "withdrawn";
    expired: "期限切れ", "expired";
    paid_at: "お支払場所", "Paid at";
    given_back: "返金額", "Given back";
    thanks: "お支払いが完了しました。", "Paid. Thank you.";
    too_late: "期限を過ぎたため、お支払いいただけません。", "Its time is over: it can't be paid any more.";
    closed: "このお支払いはすでに終了しています。", "This payment has ended already.";
    voucher_title: "払込番号", "Payment numbers";
    voucher_lead: "お近くの店舗のレジまたは端末で、番号を伝えてお支払いください。", "At a store's register or terminal, say these numbers and pay.";
    to_register: "模擬レジで支払う", "Pay at the simulated register";
    wallet_title: "ウォレット", "Wallet";
    wallet_lead: "お支払いの内容をご確認ください。", "Please check this payment.";
    approve: "支払う", "Approve";
    refuse: "取り消す", "Refuse";
    back_to_shop: "お店に戻る", "Back to the shop";
    mail_title: "メールの控え", "Mail sink";
    mail_lead: "送られたはずのメールです。実際には送信されません。", "What would have been sent. Nothing leaves this machine.";
    no_mail: "まだありません。", "Nothing yet.";
    to: "宛先", "To";
    desk_title: "コンビニ・ペイジー・電子マネー", "Convenience stores, Pay-easy, e-money";
    desk_lead: "ネットワークが受け付けた依頼の控えです。", "What the networks were asked for.";
    knobs_title: "金額で選ぶ動き", "What an amount makes happen";
    knobs_lead: "金額の下3桁で選べます。", "By the last three digits of the amount.";
    requests: "最近の依頼", "Last requests";
    network: "ネットワーク", "Network";
    reference: "照会番号", "Reference";
    untold: "未達の通知", "notices not yet answered";
    subject_numbers: "お支払い番号のお知らせ", "Your payment numbers";
    subject_approve: "お支払いの確認をお願いします", "Please approve a payment";
    subject_receipt: "お支払いを受け付けました", "Your payment has arrived";
    subject_back: "返金のお知らせ", "Money is on its way back to you";
}
