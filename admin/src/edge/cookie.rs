//! The console's two cookies. Both hold 256 random bits and nothing else; `__Host-` binds them to this very host, over a
//! secure connection, for every path.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::domain::secret::Secret;

/// A visit: sign-in and enrolment under way.
pub const VISIT: &str = "__Host-kura-visit";
/// A session: signed in.
pub const SESSION: &str = "__Host-kura-session";

/// Reads a cookie. Two of the same name are none: one of them is not ours.
pub fn read(headers: &HeaderMap, name: &str) -> Option<Secret> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found = pairs.flat_map(|line| line.split(';')).filter_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    });
    let value = found.next()?;
    if found.next().is_some() { None } else { Secret::parse(value) }
}

/// Gives the browser a cookie, until it is closed.
pub fn set(name: &str, secret: &Secret) -> Option<HeaderValue> {
    let line = format!("{name}={}; Path=/; Secure; HttpOnly; SameSite=Strict", *secret.reveal());
    let mut value = HeaderValue::try_from(line).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Takes a cookie away.
pub fn clear(name: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("{name}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, line.parse().unwrap());
        }
        headers
    }

    /// A cookie is found among others by its whole name.
    #[test]
    fn a_cookie_is_read_by_its_whole_name() {
        let secret = Secret::random();
        let text = secret.reveal();
        let found = read(&headers(&[&format!("a=b; {SESSION}={}; c=d", *text)]), SESSION);
        assert_eq!(found.map(|found| found.hash()), Some(secret.hash()));
        assert!(read(&headers(&[&format!("x{SESSION}={}", *text)]), SESSION).is_none());
        assert!(read(&headers(&[&format!("{SESSION}={}x", *text)]), SESSION).is_none());
    }

    /// Two cookies of one name are refused rather than chosen from.
    #[test]
    fn two_cookies_of_one_name_are_none() {
        let (one, other) = (Secret::random().reveal(), Secret::random().reveal());
        let lines = [format!("{VISIT}={}", *one), format!("{VISIT}={}", *other)];
        assert!(read(&headers(&[&lines[0], &lines[1]]), VISIT).is_none());
        assert!(read(&headers(&[&lines.join("; ")]), VISIT).is_none());
    }

    /// Every cookie has all of the attributes that its name and the console's rules ask for.
    #[test]
    fn cookies_are_bound_to_host_transport_and_site() {
        let secret = Secret::random();
        for value in [set(SESSION, &secret).unwrap(), clear(SESSION).unwrap()] {
            let line = value.to_str().unwrap().to_owned();
            for part in ["__Host-", "; Path=/;", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
                assert!(line.contains(part), "{part}");
            }
            assert!(!line.contains("Domain"));
        }
    }
}
