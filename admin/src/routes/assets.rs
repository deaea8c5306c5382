//! `GET /assets/{hash}/{name}`: what pages load. The hash is of all of them, so an address never changes its content.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header;
use axum::response::IntoResponse;
use data_encoding::HEXLOWER;

use crate::domain::secret::sha256;
use crate::edge::error::PageError;

const ASSETS: [(&str, &str, &str); 4] = [
    ("console.css", "text/css; charset=utf-8", include_str!("../../assets/console.css")),
    ("passkey.js", "text/javascript; charset=utf-8", include_str!("../../assets/passkey.js")),
    ("custody.js", "text/javascript; charset=utf-8", include_str!("../../custody/dist/custody.js")),
    ("mark.svg", "image/svg+xml", include_str!("../../assets/mark.svg")),
];

static HASH: LazyLock<String> = LazyLock::new(|| {
    let all: Vec<u8> = ASSETS.iter().flat_map(|(_, _, content)| sha256(content.as_bytes())).collect();
    HEXLOWER.encode(sha256(&all).get(..10).unwrap_or_default())
});

/// An asset's address, for templates.
pub fn path(name: &str) -> String {
    format!("/assets/{}/{name}", *HASH)
}

/// The asset, kept by browsers for ever.
pub async fn get(Path((hash, name)): Path<(String, String)>) -> Result<impl IntoResponse, PageError> {
    let known = ASSETS.iter().find(|(known, _, _)| *known == name && hash == *HASH);
    let (_, kind, content) = known.ok_or(PageError::NotFound)?;
    Ok(([(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")], *content))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Styles and scripts stand in files of their own, hold no sink that Trusted Types would have to guard, and load nothing.
    #[test]
    fn assets_load_nothing_and_write_no_markup() {
        for (name, _, content) in ASSETS {
            for word in
                ["http://", "https://", "innerHTML", "insertAdjacent", "document.write", "eval(", "@import", "url("]
            {
                let namespace = content.replace("http://www.w3.org/2000/svg", "");
                assert!(!namespace.contains(word), "{name}: {word}");
            }
        }
    }
}
