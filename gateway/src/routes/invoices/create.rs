//! `POST /v1/invoices`: a draft that the merchant writes, for a customer.

use kura_platform::clock;
use kura_wire::ids::{CustomerId, InvoiceId};
use kura_wire::money::currency_code;
use schemars::JsonSchema;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};

use super::by_id;
use crate::billing::invoices::{self as steps, Draft, Written};
use crate::billing::{self, views};
use crate::codes::Code;
use crate::domain::invoice::{Collection, Reason};
use crate::domain::subscription::DRAFT_FOR;
use crate::edge::call::Context;
use crate::endpoint::types::{CurrencyCode, IdOf, Metadata, Moment, Text, Whole};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened, Kind};
use crate::render::invoice::Invoice;
use crate::routes::customers::existing;
use crate::routes::subscriptions::parts::CollectionMethod;
use crate::store::{invoice_lines, invoices};

/// The currency of those who say none.
const CURRENCY: &str = "jpy";

/// A draft.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateInvoice {
    /// Who owes it.
    customer: IdOf<CustomerId>,
    /// It becomes final after an hour and is then paid by itself; a sent one becomes final alone.
    #[serde(default)]
    auto_advance: bool,
    /// `charge_automatically`: from the customer's card. `send_invoice`: the customer pays by a day.
    collection_method: Option<CollectionMethod>,
    /// Three letters. Where it is left out, that of the items that wait; else `jpy`.
    currency: Option<CurrencyCode>,
    /// Of a sent one: how many days the customer has.
    days_until_due: Option<DaysUntilDue>,
    /// The customer reads it.
    description: Option<Text<1000>>,
    /// The same as a moment. Unix seconds.
    due_date: Option<Moment>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// Whether the items that wait go on it; they stay where it is left out.
    pending_invoice_items_behavior: Option<Pending>,
}

/// How many days a customer has.
pub type DaysUntilDue = Whole<0, 730>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Pending {
    Exclude,
    Include,
}

/// Until when a sent invoice is to be paid; `None` of one that is charged.
///
/// # Errors
/// 400 for a term of one that is charged, none or two of one that is sent, and one that is over.
pub fn payable_until(
    collection: Collection,
    days: Option<DaysUntilDue>,
    date: Option<Moment>,
    at: OffsetDateTime,
) -> ApiResult<Option<OffsetDateTime>> {
    match (collection, days, date) {
        (Collection::ChargeAutomatically, None, None) => Ok(None),
        (Collection::ChargeAutomatically, Some(_), _) => {
            Err(ApiError::invalid("days_until_due", "left out unless collection_method is send_invoice"))
        }
        (Collection::ChargeAutomatically, None, Some(_)) => {
            Err(ApiError::invalid("due_date", "left out unless collection_method is send_invoice"))
        }
        (Collection::SendInvoice, None, None) => Err(ApiError::new(Code::ParameterMissing).on("days_until_due")),
        (Collection::SendInvoice, Some(_), Some(_)) => {
            Err(ApiError::invalid("due_date", "left out where days_until_due is given"))
        }
        (Collection::SendInvoice, Some(days), None) => Ok(Some(at + Duration::days(days.0))),
        (Collection::SendInvoice, None, Some(date)) if date.0 < at => {
            Err(ApiError::invalid("due_date", "not before now"))
        }
        (Collection::SendInvoice, None, Some(date)) => Ok(Some(date.0)),
    }
}

/// Runs it.
pub async fn run(context: Context, asked: CreateInvoice) -> ApiResult<Invoice> {
    let (tenant, id) = (context.tenant(), context.ids().one::<InvoiceId>());
    if !context.first_run && invoices::find(&mut *context.db().await?, tenant, id).await?.is_some() {
        return by_id(&context, &id.to_string()).await;
    }
    let customer = existing(&context, asked.customer.0, "customer").await?;
    let at = billing::time::for_request(&mut *context.db().await?, tenant, customer.test_clock).await?;
    let collection = asked.collection_method.map_or(Collection::ChargeAutomatically, Collection::from);
    let payable_until_at = payable_until(collection, asked.days_until_due, asked.due_date, at)?;
    let mut tx = context.begin().await?;
    let currency = match asked.currency {
        Some(code) => currency_code(code.0),
        None => {
            let waits = invoice_lines::currency_waiting(&mut tx, tenant, customer.id).await?;
            waits.or(customer.balance_currency).unwrap_or_else(|| CURRENCY.to_owned())
        }
    };
    let draft = Draft {
        id,
        customer: customer.id,
        test_clock: customer.test_clock,
        subscription: None,
        written: Some(Written {
            description: asked.description.map(Text::into_string),
            metadata: asked.metadata.of_new()?,
            payable_until_at,
            takes_waiting: asked.pending_invoice_items_behavior == Some(Pending::Include),
        }),
        currency: &currency,
        reason: Reason::Manual,
        period_start_at: at,
        period_end_at: at,
        final_at: asked.auto_advance.then(|| at + DRAFT_FOR),
        lines: Vec::new(),
        at,
    };
    let draft = steps::draft(&context, &mut tx, draft).await?;
    let shown = views::invoice(&mut tx, tenant, &draft).await?;
    events::tell(&mut tx, &context.cause(), clock::now(), [Happened::to(&shown, Kind::InvoiceCreated)?]).await?;
    tx.commit().await?;
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    /// A sent invoice has one term, which is not over; one that is charged has none.
    #[test]
    fn who_is_sent_an_invoice_has_a_term() {
        use Collection::{ChargeAutomatically as Charge, SendInvoice as Send};
        let at = datetime!(2027-03-01 0:00 UTC);
        let (days, date) = (Some(Whole(30)), |at| Some(Moment(at)));
        let of = |collection, days, date| payable_until(collection, days, date, at).map_err(|error| error.code());
        assert_eq!(of(Charge, None, None), Ok(None));
        assert_eq!(of(Send, days, None), Ok(Some(at + Duration::days(30))));
        assert_eq!(of(Send, None, date(at)), Ok(Some(at)));
        assert_eq!(of(Send, None, None), Err(Code::ParameterMissing));
        for (collection, days, date) in [
            (Charge, days, None),
            (Charge, None, date(at)),
            (Send, days, date(at)),
            (Send, None, date(at - Duration::SECOND)),
        ] {
            assert_eq!(of(collection, days, date), Err(Code::ParameterInvalid));
        }
    }
}
