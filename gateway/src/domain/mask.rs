//! Payers' names, addresses and numbers, as far as they may be shown again: enough for the merchant to know which one it
//! was, not enough to reach anybody. The plain form is dropped here; the gateway's database has no place for it.

/// `taro@example.jp` as `t***@e***.jp`.
pub fn email(plain: &str) -> String {
    let Some((local, domain)) = plain.rsplit_once('@') else { return word(plain) };
    let (host, top) = domain.rsplit_once('.').map_or((domain, ""), |(host, top)| (host, top));
    let top = if top.is_empty() || top.len() > 10 { String::new() } else { format!(".{top}") };
    format!("{}@{}{top}", word(local), word(host))
}

/// `Taro Yamada` as `T*** Y***`. Three words at the most.
pub fn name(plain: &str) -> String {
    plain.split_whitespace().take(3).map(word).collect::<Vec<_>>().join(" ")
}

/// `+81 90-1234-5678` as `***78`.
pub fn phone(plain: &str) -> String {
    let digits: Vec<char> = plain.chars().filter(char::is_ascii_digit).collect();
    let shown = if digits.len() >= 8 { digits.len() - 2 } else { digits.len() };
    let tail: String = digits.into_iter().skip(shown).collect();
    format!("***{tail}")
}

fn word(plain: &str) -> String {
    plain.chars().next().map_or_else(|| "***".to_owned(), |first| format!("{first}***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first letter and the last label are all that stays, and the length is hidden.
    #[test]
    fn payers_come_back_masked() {
        assert_eq!(email("taro.yamada@example.co.jp"), "t***@e***.jp");
        assert_eq!(email("x@localhost"), "x***@l***");
        assert_eq!(email("nonsense"), "n***");
        assert_eq!(email("a@b.averyverylongtoplevel"), "a***@b***");
        assert_eq!(name("Taro  Yamada"), "T*** Y***");
        assert_eq!(name("山田 太郎"), "山*** 太***");
        assert_eq!(phone("+81 90-1234-5678"), "***78");
        assert_eq!(phone("1234"), "***");
    }
}
