//! The built files of `gateway/checkout`, embedded: what runs in a browser is what was compiled in, whatever is on disk.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

const KURA_JS: &str = include_str!("../../../checkout/dist/kura.js");
const CARD_JS: &str = include_str!("../../../checkout/dist/card.js");
const PAY_JS: &str = include_str!("../../../checkout/dist/pay.js");
const PAY_CSS: &str = include_str!("../../../checkout/dist/pay.css");
const CARD_CSS: &str = include_str!("../../../checkout/dist/card.css");

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// `GET /js/v1/kura.js`: for any page, with or without `crossorigin` and `integrity`.
pub async fn kura_js() -> Response {
    let mut response = file(SCRIPT, KURA_JS);
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin"));
    response
}

/// `GET /checkout/assets/card.js`.
pub async fn card_js() -> Response {
    file(SCRIPT, CARD_JS)
}

/// `GET /checkout/assets/card.css`.
pub async fn card_css() -> Response {
    file(STYLE, CARD_CSS)
}

/// `GET /checkout/assets/pay.js`.
pub async fn pay_js() -> Response {
    file(SCRIPT, PAY_JS)
}

/// `GET /checkout/assets/pay.css`.
pub async fn pay_css() -> Response {
    file(STYLE, PAY_CSS)
}

/// `GET /checkout/assets/icon.svg`.
pub async fn icon() -> Response {
    file("image/svg+xml", include_str!("../../../assets/icon.svg"))
}

fn file(content_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ];
    (headers, text).into_response()
}
