//! What a tester can make happen: the last three digits of an amount decide. Shown on the networks' page.

/// What happens otherwise than in a quiet world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knob {
    /// Nothing.
    None,
    /// Each notice comes twice.
    NoticeTwice,
    /// Each notice comes five seconds late.
    NoticeLate,
    /// The notice that its time is over comes ten seconds late, so that a late payment's overtakes it.
    NoticesSwapped,
    /// The network refuses the request.
    Refused,
    /// The request is taken in, and the answer is lost.
    AnswerLost,
    /// The request is lost on the way.
    NeverArrives,
    /// No money is given back.
    NothingBack,
    /// Money is given back, and the answer is lost.
    BackAnswerLost,
}

/// Each ending, what it does, in English and in Japanese.
pub const KNOBS: [(u64, Knob, &str, &str); 8] = [
    (901, Knob::NoticeTwice, "each notice to the gateway comes twice", "通知が二度届きます"),
    (902, Knob::NoticeLate, "each notice comes five seconds late", "通知が5秒遅れて届きます"),
    (
        903,
        Knob::NoticesSwapped,
        "the notice of expiry comes ten seconds late: a late payment's overtakes it",
        "期限切れの通知が10秒遅れ、期限後の入金の通知に追い越されます",
    ),
    (904, Knob::Refused, "the network refuses the request", "受付が断られます"),
    (905, Knob::AnswerLost, "the request is taken in and its answer is lost", "受け付けられますが、応答が失われます"),
    (906, Knob::NeverArrives, "the request is lost on the way", "依頼が途中で失われます"),
    (907, Knob::NothingBack, "nothing is given back", "返金が断られます"),
    (908, Knob::BackAnswerLost, "money is given back and the answer is lost", "返金されますが、応答が失われます"),
];

impl Knob {
    /// Of a request over this amount.
    pub fn of(amount_minor: u64) -> Self {
        let ending = amount_minor % 1000;
        KNOBS.iter().find(|(number, ..)| *number == ending).map_or(Self::None, |(_, knob, ..)| *knob)
    }

    /// Seconds by which a notice is held back.
    pub const fn delay_s(self, is_expiry: bool) -> i64 {
        match self {
            Self::NoticeLate => 5,
            Self::NoticesSwapped if is_expiry => 10,
            _ => 0,
        }
    }
}
