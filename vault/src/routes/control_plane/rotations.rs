//! Rotations: begun here, done by whichever node has its hands free, watched and slowed here.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use kura_platform::tls::{Admin, Peer};
use kura_platform::{clock, random};
use kura_wire::control::ControlCode;
use kura_wire::ids::{MerchantId, RotationId};
use kura_wire::rotation::{PATH_ROTATION_THROTTLE, PATH_ROTATIONS, Rotation, RotationKind, StartRotation, Throttle};
use uuid::Uuid;

use super::{Body, Control, Refusal};
use crate::crypto::field::DataClass;
use crate::store::rotations::{self, NewRotation, RotationRow};

/// Rotations that are listed.
const LISTED: i64 = 20;

/// The routes.
pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route(PATH_ROTATIONS, get(list_rotations).post(start_rotation))
        .route(PATH_ROTATION_THROTTLE, post(throttle_rotation))
}

async fn start_rotation(
    _peer: Peer<Admin>,
    State(control): State<Control>,
    Body(wanted): Body<StartRotation>,
) -> Result<Json<Rotation>, Refusal> {
    let keyring = control.vault.keys.keyring().ok_or(ControlCode::Sealed)?;
    let class = match &wanted.class {
        Some(word) => Some(DataClass::parse(word).ok_or(ControlCode::NotFound)?.as_str()),
        None => None,
    };
    let of_deks = wanted.kind == RotationKind::Dek;
    if (of_deks && wanted.provider.is_some()) || (!of_deks && (wanted.merchant.is_some() || class.is_some())) {
        return Err(ControlCode::Malformed.into());
    }
    if let Some(kind) = &wanted.provider {
        // A rotation to a provider that nobody has would be under way for ever.
        keyring.keks.provider(kind).map_err(|_| ControlCode::NotFound)?;
    }
    let id = Uuid::from_bytes(random::time_ordered());
    let new = NewRotation {
        id,
        kind: wanted.kind.as_str(),
        merchant_id: wanted.merchant.map(|merchant| Uuid::from_bytes(*merchant.as_bytes())),
        data_class: class,
        rows_per_second: limit(wanted.rows_per_second)?,
        provider: wanted.provider.as_deref(),
    };
    if !rotations::insert(&control.vault.pool, &new, clock::now()).await? {
        return Err(ControlCode::Conflict.into());
    }
    let rows = rotations::list(&control.vault.pool, LISTED).await?;
    let begun = rows.into_iter().find(|row| row.id == id).ok_or(ControlCode::Internal)?;
    Ok(Json(render(begun)))
}

async fn list_rotations(_peer: Peer<Admin>, State(control): State<Control>) -> Result<Json<Vec<Rotation>>, Refusal> {
    let rows = rotations::list(&control.vault.pool, LISTED).await?;
    Ok(Json(rows.into_iter().map(render).collect()))
}

async fn throttle_rotation(
    _peer: Peer<Admin>,
    State(control): State<Control>,
    Path(id): Path<String>,
    Body(wanted): Body<Throttle>,
) -> Result<StatusCode, Refusal> {
    let id: RotationId = id.parse().map_err(|_| ControlCode::NotFound)?;
    let id = Uuid::from_bytes(*id.as_bytes());
    if !rotations::throttle(&control.vault.pool, id, limit(wanted.rows_per_second)?).await? {
        return Err(ControlCode::NotFound.into());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// As the database has it.
fn limit(rows_per_second: Option<u32>) -> Result<Option<i32>, Refusal> {
    match rows_per_second {
        Some(0) => Err(ControlCode::Malformed.into()),
        Some(rows) => Ok(Some(i32::try_from(rows).unwrap_or(i32::MAX))),
        None => Ok(None),
    }
}

fn render(row: RotationRow) -> Rotation {
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    let running = row.state == "running";
    Rotation {
        id: RotationId::from_bytes(row.id.into_bytes()),
        kind: if row.kind == "kek" { RotationKind::Kek } else { RotationKind::Dek },
        merchant: row.merchant_id.map(|id| MerchantId::from_bytes(id.into_bytes())),
        class: row.data_class,
        rows_per_second: row.rows_per_second.and_then(|rows| u32::try_from(rows).ok()),
        running,
        created_at: row.created_at,
        finished_at: row.finished_at,
        items_total: count(row.items_total),
        items_done: count(row.items_done),
        items_damaged: count(row.items_damaged),
        passes: u32::try_from(row.passes).unwrap_or(0),
        worked_ms: count(row.worked_ms),
        seconds_left: if running {
            seconds_left(row.items_total, row.items_done, row.worked_ms, row.rows_per_second)
        } else {
            None
        },
    }
}

/// Going on as so far, but no faster than the limit allows.
fn seconds_left(total: i64, done: i64, worked_ms: i64, rows_per_second: Option<i32>) -> Option<u64> {
    let left = u64::try_from(total - done).unwrap_or(0);
    let done = u64::try_from(done).ok().filter(|done| *done > 0)?;
    let as_before = left.checked_mul(u64::try_from(worked_ms).ok()?)? / done / 1000;
    let at_the_limit = rows_per_second.and_then(|rows| u64::try_from(rows).ok()).map_or(0, |rows| left / rows.max(1));
    Some(as_before.max(at_the_limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The estimate goes by what was done, and by a limit that is slower than that.
    #[test]
    fn the_estimate_goes_by_what_was_done() {
        assert_eq!(seconds_left(1000, 0, 5000, None), None);
        assert_eq!(seconds_left(1000, 500, 5000, None), Some(5));
        assert_eq!(seconds_left(1000, 500, 5000, Some(10)), Some(50));
        assert_eq!(seconds_left(1000, 500, 5000, Some(10_000)), Some(5));
        assert_eq!(seconds_left(1000, 1200, 5000, None), Some(0));
    }
}
