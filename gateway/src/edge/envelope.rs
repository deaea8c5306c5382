//! Dresses every answer: errors get their body, everything gets its request id and the headers that keep browsers strict.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use kura_wire::ids::RequestId;

use super::limits::Allowance;
use crate::app::App;
use crate::error::ApiError;

const MAX_VERSION_LEN: usize = 64;

/// What of the request the answer repeats.
pub struct Asked {
    request_id: RequestId,
    version: Option<HeaderValue>,
}

impl Asked {
    /// `Stripe-Version`, when it looks like one: letters, digits, dots, dashes.
    pub fn of(request_id: RequestId, headers: &HeaderMap) -> Self {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b';' | b'=' | b'_' | b' ');
        let version = headers
            .get("stripe-version")
            .filter(|value| value.len() <= MAX_VERSION_LEN && value.as_bytes().iter().all(plain))
            .cloned();
        Self { request_id, version }
    }
}

/// The last thing that happens to an answer.
pub fn dress(app: &App, asked: &Asked, logged: bool, allowance: Option<Allowance>, mut response: Response) -> Response {
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let body = app.error_body(&error, logged.then_some(asked.request_id)).to_string();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(body);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(asked.request_id.to_string()) {
        headers.insert("request-id", id);
    }
    if let Some(version) = &asked.version {
        headers.insert("stripe-version", version.clone());
    }
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
