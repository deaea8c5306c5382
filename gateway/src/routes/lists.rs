//! What all list endpoints and all expansions share.

use time::OffsetDateTime;

use crate::codes::Code;
use crate::edge::params::Params;
use crate::error::{ApiError, ApiResult};
use crate::store::{Cursor, Page};

const DEFAULT_LIMIT: i64 = 10;
const MAX_LIMIT: i64 = 100;

/// The parameters of a list, before the cursors' objects are looked up.
#[derive(Debug)]
pub struct ListParams {
    limit: i64,
    from: Option<OffsetDateTime>,
    until: Option<OffsetDateTime>,
    /// `starting_after`.
    pub starting_after: Option<String>,
    /// `ending_before`.
    pub ending_before: Option<String>,
}

impl ListParams {
    /// Takes them.
    ///
    /// # Errors
    /// 400 for limits out of 1 to 100, times that are none, both cursors at once.
    pub fn take(params: &mut Params) -> ApiResult<Self> {
        let limit = params.integer("limit")?.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(params.invalid_value("limit", "between 1 and 100"));
        }
        let (from, until) = created(params)?;
        let starting_after = params.text("starting_after")?;
        let ending_before = params.text("ending_before")?;
        if starting_after.is_some() && ending_before.is_some() {
            return Err(params.invalid_value("ending_before", "left out where starting_after is given"));
        }
        Ok(Self { limit, from, until, starting_after, ending_before })
    }

    /// The page, once the cursors are known.
    pub fn page(&self, after: Option<Cursor>, before: Option<Cursor>) -> Page {
        Page { limit: self.limit, after, before, from: self.from, until: self.until }
    }
}

/// `created[gte]` and its kin, or `created` as one second.
fn created(params: &mut Params) -> ApiResult<(Option<OffsetDateTime>, Option<OffsetDateTime>)> {
    let mut exact = params.clone();
    if let Ok(Some(second)) = exact.integer("created") {
        *params = exact;
        return Ok((Some(moment(params, second)?), Some(moment(params, second.saturating_add(1))?)));
    }
    let Some(mut created) = params.object("created")? else { return Ok((None, None)) };
    let mut bound = |name: &str, shift: i64| -> ApiResult<Option<OffsetDateTime>> {
        let second = created.integer(name)?;
        second.map(|second| moment(&created, second.saturating_add(shift))).transpose()
    };
    let from = bound("gte", 0)?.max(bound("gt", 1)?);
    let until = [bound("lt", 0)?, bound("lte", 1)?].into_iter().flatten().min();
    created.finish()?;
    Ok((from, until))
}

fn moment(params: &Params, second: i64) -> ApiResult<OffsetDateTime> {
    // PostgreSQL's range is narrower than that of whole numbers; 9999 is the end of both calendars.
    let plausible = (0..=253_402_300_799).contains(&second);
    let at = plausible.then(|| OffsetDateTime::from_unix_timestamp(second).ok()).flatten();
    at.ok_or_else(|| params.invalid_value("created", "a Unix time in seconds"))
}

/// A cursor whose object is not there.
pub fn unknown_cursor(name: &str) -> ApiError {
    ApiError::missing("object to continue the list from", name)
}

/// Takes `expand` and refuses what can't be expanded.
///
/// # Errors
/// `expand_unknown`.
pub fn expansions(params: &mut Params, prefix: &str, known: &[&'static str]) -> ApiResult<Vec<&'static str>> {
    let asked = params.texts("expand")?.unwrap_or_default();
    let find = |path: &String| {
        let name = path.strip_prefix(prefix)?;
        known.iter().copied().find(|known| *known == name)
    };
    asked.iter().map(|path| find(path).ok_or_else(|| ApiError::new(Code::ExpandUnknown).on("expand"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn take(value: Value) -> ApiResult<ListParams> {
        let mut params = Params::new(value.as_object().cloned().unwrap());
        let taken = ListParams::take(&mut params)?;
        params.finish()?;
        Ok(taken)
    }

    /// Bounds hold, and both cursors at once are refused.
    #[test]
    fn list_parameters_are_checked() {
        assert_eq!(take(json!({})).unwrap().limit, 10);
        for bad in [
            json!({"limit": 0}),
            json!({"limit": 101}),
            json!({"starting_after": "a", "ending_before": "b"}),
            json!({"created": {"gte": "x"}}),
            json!({"created": {"since": 1}}),
            json!({"created": {"gte": -1}}),
            json!({"created": {"gte": i64::MAX}}),
        ] {
            assert!(take(bad.clone()).is_err(), "{bad}");
        }
    }

    /// All four bounds mean whole seconds, as Stripe's do.
    #[test]
    fn created_bounds_are_whole_seconds() {
        let of = |value: Value| {
            let taken = take(json!({"created": value})).unwrap();
            (taken.from.map(OffsetDateTime::unix_timestamp), taken.until.map(OffsetDateTime::unix_timestamp))
        };
        assert_eq!(of(json!({"gte": "100", "lt": "200"})), (Some(100), Some(200)));
        assert_eq!(of(json!({"gt": 100, "lte": 200})), (Some(101), Some(201)));
        assert_eq!(of(json!("150")), (Some(150), Some(151)));
    }

    /// Only what is known can be expanded, with `data.` in lists.
    #[test]
    fn unknown_expansions_are_refused() {
        let expand = |path: &str, prefix: &str| {
            let mut params = Params::new(json!({"expand": [path]}).as_object().cloned().unwrap());
            expansions(&mut params, prefix, &["latest_charge"]).map_err(|error| error.code())
        };
        assert_eq!(expand("latest_charge", ""), Ok(vec!["latest_charge"]));
        assert_eq!(expand("data.latest_charge", "data."), Ok(vec!["latest_charge"]));
        assert_eq!(expand("latest_charge", "data."), Err(Code::ExpandUnknown));
        assert_eq!(expand("secret", ""), Err(Code::ExpandUnknown));
    }
}
