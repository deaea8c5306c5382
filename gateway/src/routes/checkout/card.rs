//! `GET /checkout/card?key=pk_…&locale=ja`: the page inside the iframe. Only the key's allowed origins may frame it.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::{RawQuery, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use kura_platform::clock;
use serde::Deserialize;

use crate::api_key::{ApiKey, KeyKind};
use crate::app::App;
use crate::codes::Code;
use crate::edge::auth::{look_up, usable};
use crate::edge::body::parse_form;
use crate::endpoint::read::read;
use crate::endpoint::types::Text;
use crate::error::{ApiError, ApiResult};

const CARD_HTML: &str = include_str!("../../../checkout/dist/card.html");

/// What the frame's address says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    key: Text<255>,
    #[serde(default)]
    locale: Locale,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Locale {
    Ja,
    #[default]
    En,
}

impl Locale {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ja => "ja",
            Self::En => "en",
        }
    }
}

/// Runs it.
pub async fn run(State(app): State<App>, RawQuery(query): RawQuery) -> ApiResult<Response> {
    let asked: Asked = read(parse_form(query.unwrap_or_default().as_bytes())?)?;
    let (text, locale) = (asked.key, asked.locale.as_str());
    let invalid = || ApiError::new(Code::ApiKeyInvalid);
    let key = ApiKey::parse(&text).filter(|key| key.kind() == KeyKind::Publishable).ok_or_else(invalid)?;
    let row = look_up(&app, &key).await?.ok_or_else(invalid)?;
    // A publishable key is bound to no address.
    usable(&row, IpAddr::V4(Ipv4Addr::UNSPECIFIED), clock::now()).map_err(|_| invalid())?;

    let html =
        fill(CARD_HTML, &[("vault_identity", &app.vault_identity), ("publishable_key", &text), ("locale", locale)]);
    let mut response = Html(html).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy(&row.allowed_origins)?);
    // Pages that are themselves isolated (COEP) may frame it too.
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin"));
    Ok(response)
}

fn policy(origins: &[String]) -> ApiResult<HeaderValue> {
    let ancestors = if origins.is_empty() { "'none'".to_owned() } else { origins.join(" ") };
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; font-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}; require-trusted-types-for 'script'; \
         trusted-types 'none'"
    );
    HeaderValue::try_from(policy).map_err(ApiError::internal)
}

/// Replaces each `{{name}}` by its value, escaped for an attribute.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values
        .iter()
        .fold(template.to_owned(), |html, (name, value)| html.replace(&format!("{{{{{name}}}}}"), &escape(value)))
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values stand in attributes and can't leave them.
    #[test]
    fn values_are_escaped() {
        let html = fill("<html data-key=\"{{key}}\" lang={{locale}}>", &[("key", "a\"><script>"), ("locale", "ja")]);
        assert_eq!(html, "<html data-key=\"a&quot;&gt;&lt;script&gt;\" lang=ja>");
    }

    /// The page can be framed by the key's origins, and by nobody when there are none.
    #[test]
    fn only_the_keys_origins_may_frame_it() {
        let of = |origins: &[&str]| {
            let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
            policy(&origins).unwrap().to_str().unwrap().to_owned()
        };
        assert!(
            of(&["https://a.example", "https://b.example"])
                .contains("frame-ancestors https://a.example https://b.example;")
        );
        assert!(of(&[]).contains("frame-ancestors 'none';"));
        assert!(!of(&[]).contains("unsafe"));
    }
}
