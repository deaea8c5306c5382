//! Settlement: what a network moved on a day (UTC), row by row, for the vault to hand on. No card and no payer is in it.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime};

use crate::acquirer::Acquirer;
use crate::services::Service;
use crate::text::Text;

/// Rows of one page.
const ROWS: usize = 200;

/// Which day, and from where on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DayQuery {
    day: String,
    #[serde(default)]
    after: u64,
}

impl DayQuery {
    /// The day, and the sequence behind which to go on.
    pub(crate) fn read(&self) -> Option<(Date, u64)> {
        let format = time::macros::format_description!("[year]-[month]-[day]");
        Date::parse(&self.day, format).ok().map(|day| (day, self.after))
    }
}

/// A movement, as the vault reads it.
#[derive(Debug, Serialize)]
pub(crate) struct SettledView {
    pub(crate) sequence: u64,
    pub(crate) network_reference: String,
    pub(crate) original: Option<String>,
    pub(crate) kind: &'static str,
    pub(crate) money: Value,
    pub(crate) at: String,
}

/// A moment as JSON has it.
pub(crate) fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

/// An amount, as the vault reads it.
pub(crate) fn money(amount_minor: u64, currency: Text<3>) -> Value {
    json!({ "amount_minor": amount_minor, "currency": currency.as_str().to_ascii_uppercase() })
}

/// A page of rows: so many, and whether there are more.
pub(crate) fn page(mut rows: Vec<SettledView>) -> Value {
    let has_more = rows.len() > ROWS;
    rows.truncate(ROWS);
    json!({ "rows": rows, "has_more": has_more })
}

/// How many rows make a page, and the one that says whether there are more.
pub(crate) const fn rows_and_one() -> usize {
    ROWS + 1
}

/// The acquirer's settlement, for the vault.
pub fn service(acquirer: Arc<Acquirer>) -> Service {
    let asked = Router::new().route("/cards/settlement", get(settlement)).with_state(acquirer);
    Service { asked, pages: Router::new() }
}

async fn settlement(
    State(acquirer): State<Arc<Acquirer>>,
    query: Result<Query<DayQuery>, QueryRejection>,
) -> Result<Json<Value>, StatusCode> {
    let Query(query) = query.map_err(|_| StatusCode::BAD_REQUEST)?;
    let (day, after) = query.read().ok_or(StatusCode::BAD_REQUEST)?;
    acquirer.wait_written().await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let books = acquirer.books();
    let of_day = books.settled(after).iter().filter(|row| row.at.date() == day);
    let rows = of_day.take(rows_and_one()).map(|row| SettledView {
        sequence: row.sequence,
        network_reference: row.reference.to_string(),
        original: row.original.map(|original| original.to_string()),
        kind: row.movement.as_str(),
        money: money(row.amount_minor, row.currency),
        at: rfc3339(row.at),
    });
    Ok(Json(page(rows.collect())))
}
