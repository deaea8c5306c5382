//! Pages of lists: `limit`, `starting_after`, `ending_before`, `created[gte]` and its kin.

use std::future::Future;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::read;
use super::types::{Moment, Text, Whole, moment};
use crate::codes::Code;
use crate::error::{ApiError, ApiResult};
use crate::store::{Cursor, Listed, Page};

const DEFAULT_LIMIT: i64 = 10;

/// A page of objects, newest first.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct List<T> {
    /// `list`.
    pub object: ListWord,
    /// The list's path.
    pub url: String,
    /// More in the direction of travel.
    pub has_more: bool,
    /// The objects.
    pub data: Vec<T>,
}

/// The word `list`.
#[derive(Debug, Clone, Copy, Default, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListWord {
    /// It.
    #[default]
    List,
}

impl<T> List<T> {
    /// The page at this path.
    pub fn new(url: impl Into<String>, listed: Listed<T>) -> Self {
        Self { object: ListWord::List, url: url.into(), has_more: listed.has_more, data: listed.items }
    }
}

/// The parameters of a list, before the cursors' objects are looked up.
#[derive(Debug)]
pub struct ListParams {
    limit: i64,
    from: Option<OffsetDateTime>,
    until: Option<OffsetDateTime>,
    starting_after: Option<String>,
    ending_before: Option<String>,
}

/// As they are sent.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// How many, at the most.
    limit: Option<Whole<1, 100>>,
    /// An id: what is older than it.
    starting_after: Option<Text<255>>,
    /// An id: what is newer than it.
    ending_before: Option<Text<255>>,
    /// When the objects were made.
    created: Option<Created>,
}

/// One second, or bounds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(from = "CreatedSent")]
#[schemars(with = "Bounds")]
struct Created(CreatedSent);

impl From<CreatedSent> for Created {
    fn from(sent: CreatedSent) -> Self {
        Self(sent)
    }
}

#[derive(Debug)]
enum CreatedSent {
    At(OffsetDateTime),
    Within(Bounds),
}

impl<'de> Deserialize<'de> for CreatedSent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value.is_object() {
            return read::again(value).map(Self::Within);
        }
        read::again::<Moment, _>(value).map(|at| Self::At(at.0))
    }
}

/// Unix seconds.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Bounds {
    gt: Option<Moment>,
    gte: Option<Moment>,
    lt: Option<Moment>,
    lte: Option<Moment>,
}

impl ListParams {
    /// Takes them out of the tree; what is left is the endpoint's own.
    ///
    /// # Errors
    /// 400 for limits out of 1 to 100, times that are none, both cursors at once.
    pub fn take(tree: &mut Map<String, Value>) -> ApiResult<Self> {
        let names = ["limit", "starting_after", "ending_before", "created"];
        let own = names.iter().filter_map(|name| tree.remove_entry(*name)).collect();
        let sent: Sent = read::read(own)?;
        if sent.starting_after.is_some() && sent.ending_before.is_some() {
            let message = "Invalid ending_before: must be left out where starting_after is given.";
            return Err(ApiError::with_message(Code::ParameterInvalid, message).on("ending_before"));
        }
        let (from, until) = sent.created.map_or((None, None), |created| bounds(&created.0));
        Ok(Self {
            limit: sent.limit.map_or(DEFAULT_LIMIT, |limit| limit.0),
            from,
            until,
            starting_after: sent.starting_after.map(Text::into_string),
            ending_before: sent.ending_before.map(Text::into_string),
        })
    }

    /// The page, once `place` has found where the cursor's object stands. It gives `None` for an id that is not one of the
    /// merchant's objects.
    ///
    /// # Errors
    /// 404 for a cursor that is none.
    pub async fn page<F, Fut>(&self, place: F) -> ApiResult<Page>
    where
        F: Fn(String) -> Fut,
        Fut: Future<Output = ApiResult<Option<Cursor>>>,
    {
        let find = async |id: &Option<String>, name: &str| -> ApiResult<Option<Cursor>> {
            let Some(id) = id else { return Ok(None) };
            let found = place(id.clone()).await?;
            found.map(Some).ok_or_else(|| ApiError::missing("object to continue the list from", name))
        };
        let after = find(&self.starting_after, "starting_after").await?;
        let before = find(&self.ending_before, "ending_before").await?;
        Ok(Page { limit: self.limit, after, before, from: self.from, until: self.until })
    }
}

impl ListParams {
    /// A page of few objects that are all at hand, in the order in which they are shown. `what` gives the id of one, and the second
    /// in which it was made.
    ///
    /// # Errors
    /// 404 for a cursor that is none of them.
    pub fn of_few<T>(
        &self,
        url: impl Into<String>,
        items: Vec<T>,
        what: impl Fn(&T) -> (&str, i64),
    ) -> ApiResult<List<T>> {
        let place = |cursor: &Option<String>, name: &str| -> ApiResult<Option<usize>> {
            let Some(id) = cursor else { return Ok(None) };
            let found = items.iter().position(|item| what(item).0 == id);
            found.map(Some).ok_or_else(|| ApiError::missing("object to continue the list from", name))
        };
        let (after, before) =
            (place(&self.starting_after, "starting_after")?, place(&self.ending_before, "ending_before")?);
        let (start, end) = (after.map_or(0, |place| place + 1), before.unwrap_or(items.len()));
        let counts = |item: &T| {
            let (from, until) =
                (self.from.map(OffsetDateTime::unix_timestamp), self.until.map(OffsetDateTime::unix_timestamp));
            let at = what(item).1;
            from.is_none_or(|from| from <= at) && until.is_none_or(|until| at < until)
        };
        let mut items: Vec<T> = items.into_iter().take(end).skip(start).filter(counts).collect();
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let beyond = items.len().saturating_sub(limit);
        if before.is_some() {
            items.drain(..beyond);
        }
        items.truncate(limit);
        Ok(List::new(url, Listed { items, has_more: beyond > 0 }))
    }
}

/// From the first moment that counts, until the first that doesn't.
fn bounds(created: &CreatedSent) -> (Option<OffsetDateTime>, Option<OffsetDateTime>) {
    let next = |at: OffsetDateTime| moment(at.unix_timestamp().saturating_add(1));
    match created {
        CreatedSent::At(at) => (Some(*at), next(*at)),
        CreatedSent::Within(bounds) => {
            let from = bounds.gte.map(|at| at.0).max(bounds.gt.and_then(|at| next(at.0)));
            let until = [bounds.lt.map(|at| at.0), bounds.lte.and_then(|at| next(at.0))];
            (from, until.into_iter().flatten().min())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn take(value: Value) -> ApiResult<ListParams> {
        ListParams::take(&mut value.as_object().cloned().unwrap())
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
            json!({"created": ["5"]}),
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
        assert_eq!(of(json!(150)), (Some(150), Some(151)));
    }

    /// Few objects are paged as many are: in both directions, with the one that tells whether there are more.
    #[test]
    fn few_objects_are_paged_too() {
        let page = |value: Value| {
            let items = vec![("a", 100), ("b", 200), ("c", 300), ("d", 400)];
            let page = take(value).unwrap().of_few("/x", items, |item| *item);
            page.map(|page| (page.data.iter().map(|item| item.0).collect::<String>(), page.has_more))
                .map_err(|error| error.code())
        };
        let is = |data: &str, more| Ok((data.to_owned(), more));
        assert_eq!(page(json!({})), is("abcd", false));
        assert_eq!(page(json!({"limit": 2})), is("ab", true));
        assert_eq!(page(json!({"limit": 2, "starting_after": "b"})), is("cd", false));
        assert_eq!(page(json!({"limit": 1, "starting_after": "b"})), is("c", true));
        assert_eq!(page(json!({"starting_after": "d"})), is("", false));
        assert_eq!(page(json!({"limit": 2, "ending_before": "d"})), is("bc", true));
        assert_eq!(page(json!({"limit": 3, "ending_before": "d"})), is("abc", false));
        assert_eq!(page(json!({"ending_before": "a"})), is("", false));
        assert_eq!(page(json!({"created": {"gte": 200, "lt": 400}})), is("bc", false));
        assert_eq!(page(json!({"created": 300})), is("c", false));
        assert_eq!(page(json!({"starting_after": "x"})), Err(Code::ResourceMissing));
        assert_eq!(page(json!({"ending_before": "x"})), Err(Code::ResourceMissing));
    }

    /// What is not a list's parameter is left for the endpoint.
    #[test]
    fn the_endpoints_own_parameters_are_left() {
        let mut tree = json!({"limit": 3, "customer": "cus_1"}).as_object().cloned().unwrap();
        ListParams::take(&mut tree).unwrap();
        assert_eq!(Value::Object(tree), json!({"customer": "cus_1"}));
    }
}
