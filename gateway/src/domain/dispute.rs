//! What a dispute's change is for a merchant. Pure.

use kura_wire::dispute::DisputeState as State;

/// Something that a notice makes happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The dispute is there, and the money gone.
    Opened,
    /// The issuer reads the evidence.
    Reviewed,
    /// The merchant was right, and the money is back.
    Won,
    /// The cardholder keeps it.
    Lost,
}

/// What has happened since it stood as `before`, now that it stands as `now`. Each notice tells how it stands, so one that never
/// came costs nothing but its own event.
pub const fn steps(before: Option<State>, now: State) -> &'static [Step] {
    match (before, now) {
        (None, State::NeedsResponse) => &[Step::Opened],
        (None, State::UnderReview) => &[Step::Opened, Step::Reviewed],
        (None, State::Won) => &[Step::Opened, Step::Won],
        (None, State::Lost) => &[Step::Opened, Step::Lost],
        (Some(State::NeedsResponse), State::UnderReview) => &[Step::Reviewed],
        (Some(State::NeedsResponse | State::UnderReview), State::Won) => &[Step::Won],
        (Some(State::NeedsResponse | State::UnderReview), State::Lost) => &[Step::Lost],
        // It stands so already, or it was decided.
        (Some(State::Won | State::Lost), _)
        | (Some(State::NeedsResponse | State::UnderReview), State::NeedsResponse)
        | (Some(State::UnderReview), State::UnderReview) => &[],
    }
}

/// The word of the merchants' API.
pub const fn word(state: State) -> &'static str {
    match state {
        State::NeedsResponse => "needs_response",
        State::UnderReview => "under_review",
        State::Won => "won",
        State::Lost => "lost",
    }
}

/// Reads the word.
pub fn parse(text: &str) -> Option<State> {
    [State::NeedsResponse, State::UnderReview, State::Won, State::Lost].into_iter().find(|state| word(*state) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [State; 4] = [State::NeedsResponse, State::UnderReview, State::Won, State::Lost];

    /// Over every walk of notices, in any order and number: it is opened once, the money is taken once, given back at most once and
    /// only to who won, and nothing happens after the decision.
    #[test]
    fn money_moves_once_over_every_walk() {
        for walk in 0..4_usize.pow(5) {
            let (mut before, mut all) = (None, Vec::new());
            for place in 0..5 {
                let now = ALL[walk / 4_usize.pow(place) % 4];
                let made = steps(before, now);
                let decided = matches!(before, Some(State::Won | State::Lost));
                assert!(!decided || made.is_empty());
                all.extend_from_slice(made);
                before = if made.is_empty() { before } else { Some(now) };
            }
            let count = |step| all.iter().filter(|made| **made == step).count();
            assert_eq!((all.first(), count(Step::Opened)), (Some(&Step::Opened), 1));
            assert!(count(Step::Won) + count(Step::Lost) <= 1 && count(Step::Reviewed) <= 1);
            assert_eq!(count(Step::Won) == 1, before == Some(State::Won));
            assert_eq!(count(Step::Lost) == 1, before == Some(State::Lost));
        }
    }

    /// Words are read back.
    #[test]
    fn words_are_read_back() {
        assert!(ALL.iter().all(|state| parse(word(*state)) == Some(*state)));
        assert_eq!(parse("prevented"), None);
    }
}
