//! The e-mail address that a receipt goes to, as far as it may be shown again: enough for the merchant to know which one it
//! was, not enough to reach anybody. The plain form is dropped here; the gateway's database has no place for it. Customers'
//! data is masked by the vault, which keeps it.

/// `taro@example.jp` as `t***@e***.jp`.
pub fn email(plain: &str) -> String {
    let Some((local, domain)) = plain.rsplit_once('@') else { return word(plain) };
    let (host, top) = domain.rsplit_once('.').map_or((domain, ""), |(host, top)| (host, top));
    let top = if top.is_empty() || top.len() > 10 { String::new() } else { format!(".{top}") };
    format!("{}@{}{top}", word(local), word(host))
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
    }
}
