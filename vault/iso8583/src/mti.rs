//! Message type indicators: the closed set that this dialect has.

use std::fmt;

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// 0100: authorize.
    Authorization,
    /// 0200: authorize and capture, or refund.
    Financial,
    /// 0220: capture what was authorized; an advice, repeated until answered.
    Capture,
    /// 0400: void on request.
    Reversal,
    /// 0420: take back whatever became of a message; an advice, repeated until answered.
    ReversalAdvice,
    /// 0600: what became of a message?
    Inquiry,
    /// 0800: sign-on and echo.
    NetworkManagement,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Authorization,
        Self::Financial,
        Self::Capture,
        Self::Reversal,
        Self::ReversalAdvice,
        Self::Inquiry,
        Self::NetworkManagement,
    ];
}

/// A message type indicator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mti {
    /// To the acquirer.
    Request(Class),
    /// From it: the request's number and ten.
    Answer(Class),
}

impl Mti {
    /// The four digits.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request(Class::Authorization) => "0100",
            Self::Answer(Class::Authorization) => "0110",
            Self::Request(Class::Financial) => "0200",
            Self::Answer(Class::Financial) => "0210",
            Self::Request(Class::Capture) => "0220",
            Self::Answer(Class::Capture) => "0230",
            Self::Request(Class::Reversal) => "0400",
            Self::Answer(Class::Reversal) => "0410",
            Self::Request(Class::ReversalAdvice) => "0420",
            Self::Answer(Class::ReversalAdvice) => "0430",
            Self::Request(Class::Inquiry) => "0600",
            Self::Answer(Class::Inquiry) => "0610",
            Self::Request(Class::NetworkManagement) => "0800",
            Self::Answer(Class::NetworkManagement) => "0810",
        }
    }

    /// The indicator of these four digits; `None` for one that the dialect doesn't have.
    pub fn parse(digits: &str) -> Option<Self> {
        Class::ALL
            .into_iter()
            .flat_map(|class| [Self::Request(class), Self::Answer(class)])
            .find(|mti| mti.as_str() == digits)
    }

    /// What it is about.
    pub const fn class(self) -> Class {
        match self {
            Self::Request(class) | Self::Answer(class) => class,
        }
    }
}

impl fmt::Display for Mti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Mti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every indicator reads back from its digits, an answer is its request and ten, and nothing else is one.
    #[test]
    fn indicators_are_a_closed_set() {
        let number = |mti: Mti| mti.as_str().parse::<u16>().unwrap();
        for class in Class::ALL {
            let (request, answer) = (Mti::Request(class), Mti::Answer(class));
            assert_eq!(Mti::parse(request.as_str()), Some(request));
            assert_eq!(Mti::parse(answer.as_str()), Some(answer));
            assert_eq!(number(answer), number(request) + 10);
        }
        let known = (0..10_000).filter(|number| Mti::parse(&format!("{number:04}")).is_some()).count();
        assert_eq!(known, 2 * Class::ALL.len());
        assert_eq!(Mti::parse("100"), None);
        assert_eq!(Mti::parse("01é"), None);
    }
}
