//! Dresses every answer: errors get their body, everything gets its request id and the headers that keep browsers strict.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use kura_wire::ids::RequestId;

use super::limits::Allowance;
use crate::app::App;
use crate::codes::Code;
use crate::error::{ApiError, ApiResult};
use crate::render::API_VERSION;

const MAX_VERSION_LEN: usize = 64;

/// What the headers ask for and is not served.
///
/// # Errors
/// 400 for a `Stripe-Version` that is none, and for every other header of Stripe's: those act for connected accounts, and what
/// was meant for another account must not be done to this one.
pub fn refuse_unserved(headers: &HeaderMap) -> ApiResult<()> {
    for (name, value) in headers {
        match name.as_str().strip_prefix("stripe-") {
            Some("version") if is_version(value) => {}
            Some("version") => return Err(ApiError::new(Code::ApiVersionInvalid)),
            Some(_) => return Err(ApiError::new(Code::ConnectUnsupported)),
            None => {}
        }
    }
    Ok(())
}

/// `2026-10-28`, `2026-10-28.endive`. Which one it is does not matter: one version is served.
fn is_version(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    let (date, release) = text.split_once('.').map_or((text, None), |(date, release)| (date, Some(release)));
    let numbers: Vec<&str> = date.split('-').collect();
    let number = |place: usize, len: usize, most: u16| {
        let text = numbers.get(place).copied().unwrap_or_default();
        let whole = text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
        whole && text.parse::<u16>().is_ok_and(|number| (1..=most).contains(&number))
    };
    let dated = numbers.len() == 3 && number(0, 4, 9999) && number(1, 2, 12) && number(2, 2, 31);
    let word = |release: &str| !release.is_empty() && release.bytes().all(|byte| byte.is_ascii_lowercase());
    text.len() <= MAX_VERSION_LEN && dated && release.is_none_or(word)
}

/// The last thing that happens to an answer.
pub fn dress(
    app: &App,
    request_id: RequestId,
    logged: bool,
    allowance: Option<Allowance>,
    mut response: Response,
) -> Response {
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let body = app.error_body(&error, logged.then_some(request_id)).to_string();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(body);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(request_id.to_string()) {
        headers.insert("request-id", id);
    }
    headers.insert("stripe-version", HeaderValue::from_static(API_VERSION));
    if let Some(allowance) = allowance {
        headers.extend(allowance.headers());
    }
    secure(headers, app.https);
    response
}

/// What no page of ours does without. A route that needs another value has set it already.
fn secure(headers: &mut HeaderMap, https: bool) {
    let mut default = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(header::REFERRER_POLICY, "no-referrer");
    default(header::CACHE_CONTROL, "no-store");
    default(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    default(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    default(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    default(HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), usb=()");
    if https {
        default(header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &'static str, value: &'static str) -> Option<Code> {
        let headers = std::iter::once((HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
        refuse_unserved(&headers).err().map(|error| error.code())
    }

    /// Dates are versions, with a release's name or without; nothing else is.
    #[test]
    fn versions_are_dates() {
        for good in ["2026-10-28", "2026-10-28.endive", "2019-12-03", API_VERSION] {
            assert_eq!(refused("stripe-version", good), None, "{good}");
        }
        for bad in [
            "",
            "latest",
            "2026-10",
            "2026-13-01",
            "2026-10-32",
            "2026-10-28.",
            "2026-10-28.Endive",
            "2026-1-1",
            "2026-10-28; a=v1",
        ] {
            assert_eq!(refused("stripe-version", bad), Some(Code::ApiVersionInvalid), "{bad}");
        }
    }

    /// Headers that act for other accounts are not ignored; those that tell of the client are.
    #[test]
    fn acting_for_other_accounts_is_refused() {
        for name in ["stripe-account", "stripe-context", "stripe-livemode"] {
            assert_eq!(refused(name, "acct_1"), Some(Code::ConnectUnsupported), "{name}");
        }
        for name in ["x-stripe-client-user-agent", "x-stripe-client-telemetry", "x-stripe-client-other"] {
            assert_eq!(refused(name, "{}"), None, "{name}");
        }
    }
}
