//! The browser's side, served: the merchant's script, the card fields' page and files, the keys to seal to.

pub mod assets;
pub mod card;
pub mod sealing_keys;

use axum::Router;
use axum::routing::get;

use crate::app::App;

/// Its routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/js/v1/kura.js", get(assets::kura_js))
        .route("/checkout/assets/card.js", get(assets::card_js))
        .route("/checkout/assets/card.css", get(assets::card_css))
        .route("/checkout/card", get(card::run))
        .route("/checkout/sealing_keys", get(sealing_keys::run))
}
