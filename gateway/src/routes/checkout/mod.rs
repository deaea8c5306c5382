//! The browser's side, served: the merchant's script, the card fields' page and files, the keys to seal to.

pub mod assets;
pub mod card;
pub mod sealing_keys;
pub mod sessions;

use axum::Router;
use axum::routing::get;

use crate::app::App;

/// Its routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/js/v1/kura.js", get(assets::kura_js))
        .route("/checkout/assets/card.js", get(assets::card_js))
        .route("/checkout/assets/card.css", get(assets::card_css))
        .route("/checkout/assets/pay.js", get(assets::pay_js))
        .route("/checkout/assets/pay.css", get(assets::pay_css))
        .route("/checkout/assets/icon.svg", get(assets::icon))
        .route(&format!("{}/{{id}}", sessions::PATH), get(sessions::page::run).post(sessions::pay::run))
        .route(&format!("{}/{{id}}/return", sessions::PATH), get(sessions::page::come_back))
        .route("/checkout/card", get(card::run))
        .route("/checkout/sealing_keys", get(sealing_keys::run))
}
