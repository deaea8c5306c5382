//! Which site a request comes from. Only this origin may send forms, and only this host is answered at all (DNS rebinding).

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, header};

use crate::config::PublicOrigin;

/// Why a request is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It asks for another host.
    WrongHost,
    /// It would change something, and isn't from this origin.
    CrossSite,
}

/// Checks host and site.
///
/// # Errors
/// [`Refusal`].
pub fn check(request: &Request, origin: &PublicOrigin) -> Result<(), Refusal> {
    // The prober asks by address, and learns nothing but that it is well.
    if request.uri().path() == "/healthz" {
        return Ok(());
    }
    let asked = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(header::HOST).and_then(|host| host.to_str().ok()),
    };
    if asked != Some(origin.authority.as_str()) {
        return Err(Refusal::WrongHost);
    }
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    if safe || is_same_origin(request.headers(), &origin.origin) { Ok(()) } else { Err(Refusal::CrossSite) }
}

/// Browsers say it in `Sec-Fetch-Site`; `Origin` must agree. It is `null` on our own forms, since the pages' referrer policy is
/// `no-referrer`, so `null` alone proves nothing. A request that says neither is no browser's form.
fn is_same_origin(headers: &HeaderMap, own: &str) -> bool {
    let read = |name| headers.get(name).map(|value: &HeaderValue| value.as_bytes());
    match (read("sec-fetch-site"), read("origin")) {
        (Some(b"same-origin"), None | Some(b"null")) => true,
        (Some(b"same-origin") | None, Some(origin)) => origin == own.as_bytes(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn checked(method: Method, path: &str, headers: &[(&str, &str)]) -> Result<(), Refusal> {
        let origin = PublicOrigin::new(&"http://localhost:7108".parse().unwrap()).unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(Body::empty()).unwrap(), &origin)
    }

    const HOST: (&str, &str) = ("host", "localhost:7108");

    /// A form is taken from this origin alone, whichever of the two headers says so.
    #[test]
    fn forms_come_from_this_origin_alone() {
        let post = |headers: &[(&str, &str)]| checked(Method::POST, "/sign-in", &[&[HOST], headers].concat());
        assert_eq!(post(&[("sec-fetch-site", "same-origin"), ("origin", "null")]), Ok(()));
        assert_eq!(post(&[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:7108")]), Ok(()));
        assert_eq!(post(&[("origin", "http://localhost:7108")]), Ok(()));
        for bad in [
            &[][..],
            &[("origin", "null")],
            &[("origin", "http://localhost:7107")],
            &[("sec-fetch-site", "same-site"), ("origin", "null")],
            &[("sec-fetch-site", "cross-site"), ("origin", "http://localhost:7108")],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "same-origin"), ("origin", "http://evil.example")],
        ] {
            assert_eq!(post(bad), Err(Refusal::CrossSite), "{bad:?}");
        }
        for method in [Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
            assert_eq!(checked(method, "/sign-in", &[HOST]), Err(Refusal::CrossSite));
        }
    }

    /// Another name for this address is not this console.
    #[test]
    fn another_host_is_refused() {
        assert_eq!(checked(Method::GET, "/", &[HOST]), Ok(()));
        assert_eq!(checked(Method::GET, "/", &[("host", "rebound.example:7108")]), Err(Refusal::WrongHost));
        assert_eq!(checked(Method::GET, "/", &[]), Err(Refusal::WrongHost));
        assert_eq!(checked(Method::GET, "http://evil.example/", &[HOST]), Err(Refusal::WrongHost));
        assert_eq!(checked(Method::GET, "/healthz", &[("host", "127.0.0.1:7108")]), Ok(()));
    }
}
