//! What may be shown of a person again: enough for the merchant to know which one it was, not enough to reach anybody. Made
//! when the value is sealed; the length is hidden.

use kura_wire::payer::PersonField;

const MAX_WORDS: usize = 3;
const MAX_TOP_LEN: usize = 10;

/// The masked form of a checked value.
pub fn mask(field: PersonField, value: &str) -> String {
    match field {
        PersonField::Name => value.split_whitespace().take(MAX_WORDS).map(word).collect::<Vec<_>>().join(" "),
        PersonField::Phone => format!("***-****-{}", last_four(value)),
        PersonField::Email => email(value),
        PersonField::Postcode => format!("{}**-****", value.chars().next().unwrap_or('*')),
        PersonField::Address => word(value),
    }
}

fn email(value: &str) -> String {
    let Some((local, domain)) = value.rsplit_once('@') else { return word(value) };
    let (host, top) = domain.rsplit_once('.').unwrap_or((domain, ""));
    let top = if top.is_empty() || top.chars().count() > MAX_TOP_LEN { String::new() } else { format!(".{top}") };
    format!("{}@{}{top}", word(local), word(host))
}

fn last_four(digits: &str) -> &str {
    digits.get(digits.len().saturating_sub(4)..).unwrap_or_default()
}

fn word(value: &str) -> String {
    value.chars().next().map_or_else(|| "***".to_owned(), |first| format!("{first}***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First letters, last four digits, the last label: no more of anything.
    #[test]
    fn persons_come_back_masked() {
        for (field, value, masked) in [
            (PersonField::Name, "山田", "山***"),
            (PersonField::Name, "山田 太郎", "山*** 太***"),
            (PersonField::Name, "a b c d", "a*** b*** c***"),
            (PersonField::Phone, "09012345678", "***-****-5678"),
            (PersonField::Phone, "+819012345678", "***-****-5678"),
            (PersonField::Email, "hanako@example.jp", "h***@e***.jp"),
            (PersonField::Email, "a@b.averyverylongtoplevel", "a***@b***"),
            (PersonField::Postcode, "1000001", "1**-****"),
            (PersonField::Address, "東京都千代田区千代田1-1", "東***"),
        ] {
            assert_eq!(mask(field, value), masked);
        }
    }
}
