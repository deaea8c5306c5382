//! How an open invoice is paid: a try is written down, its payment is confirmed under the try's own seed, and what became of it
//! is settled. Whoever comes to a try that is under way goes on with it; nobody makes a second one of it.

use std::time::Duration;

use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_wire::ids::{InvoiceId, TokenUse};
use time::OffsetDateTime;

use super::{customers, invoices, subscriptions as subs, views};
use crate::codes::{Code, ErrorType};
use crate::domain::invoice::{Collection, Reason, Status};
use crate::domain::payment_intent::Status as PaymentStatus;
use crate::domain::subscription::{Event, Status as SubscriptionStatus, next_try};
use crate::edge::call::Context;
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened, Kind};
use crate::request_ids::RequestIds;
use crate::routes::payment_intents::confirm::{Target, Terms, confirm};
use crate::store::cards::{self, Card};
use crate::store::customers::find as find_customer;
use crate::store::invoices::{self as rows, Invoice};
use crate::store::payment_intents::{self, NamedCard};
use crate::store::subscriptions::Subscription;
use crate::store::{merchants, subscriptions};

/// How long a try may be under way before somebody else looks at it.
pub(super) const LOOK_AFTER: Duration = Duration::from_secs(20);

/// How a try is made.
#[derive(Debug, Default)]
pub struct How {
    /// A new try may be begun; otherwise only one that is under way is gone on with.
    pub begin: bool,
    /// The shopper is there.
    pub on_session: bool,
    /// With this card; else with the subscription's, else with the customer's.
    pub card: Option<(NamedCard, Card)>,
}

/// What became of a try.
#[derive(Debug)]
pub struct Tried {
    /// The invoice afterwards.
    pub invoice: Invoice,
    /// Why the payment was not made.
    pub refusal: Option<ApiError>,
}

/// Tries to pay an open invoice, and settles it.
///
/// # Errors
/// The vault's and the database's, after which a worker goes on with the try.
pub async fn pay(context: &Context, id: InvoiceId, how: How) -> ApiResult<Tried> {
    let Some((invoice, subscription)) = begin(context, id, &how).await? else {
        return settle(context, id, None).await;
    };
    let seed = RequestIds::seed_of(&context.app.secrets.ids, id.as_bytes(), b"try", invoice.tries.into());
    let own = context.within(seed);
    let card = match how.card {
        Some(card) => Some(card),
        None => usual_card(&own, &invoice, subscription.as_ref()).await?,
    };
    let Some(intent) = invoice.intent else { return Err(ApiError::internal("an open invoice without its payment")) };
    let Some(card) = card else {
        let missing = ApiError::new(Code::PaymentMethodMissing);
        return settle(context, id, Some(missing)).await;
    };
    let terms = Terms { off_session: invoice.try_off_session, ..Terms::default() };
    match confirm(&own, Target::Existing(intent), Some(card), &terms).await {
        Ok(_) => settle(context, id, None).await,
        Err(error) if error.code().is_transient() => Err(error),
        Err(error) => settle(context, id, Some(error)).await,
    }
}

/// Writes a try down, or finds the one that is under way. `None` where there is neither.
async fn begin(context: &Context, id: InvoiceId, how: &How) -> ApiResult<Option<(Invoice, Option<Subscription>)>> {
    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    let (subscription, invoice) = invoices::lock(context, &mut tx, id).await?;
    if !matches!(invoice.status, Status::Open) {
        return Ok(None);
    }
    if invoice.trying {
        return Ok(Some((invoice, subscription)));
    }
    if !how.begin {
        return Ok(None);
    }
    let invoice =
        Invoice { tries: invoice.tries + 1, trying: true, try_off_session: !how.on_session, due_at: None, ..invoice };
    rows::update(&mut tx, tenant, &invoice, Some(clock::now() + LOOK_AFTER)).await?;
    tx.commit().await?;
    Ok(Some((invoice, subscription)))
}

/// The subscription's card, or the customer's.
async fn usual_card(
    context: &Context,
    invoice: &Invoice,
    subscription: Option<&Subscription>,
) -> ApiResult<Option<(NamedCard, Card)>> {
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let customer = find_customer(&mut db, tenant, invoice.customer).await?;
    let records = [subscription.and_then(|row| row.default_card), customer.and_then(|row| row.default_card)];
    for record in records.into_iter().flatten() {
        let card = cards::find(&mut db, tenant, record).await?;
        if let Some(card) = card.filter(|card| card.customer == Some(invoice.customer)) {
            return Ok(Some((NamedCard { record, allows: TokenUse::Multi }, card)));
        }
    }
    Ok(None)
}

/// Writes down what became of an invoice's payment, and what follows. `refusal`: why the try made none.
///
/// # Errors
/// The database's.
pub async fn settle(context: &Context, id: InvoiceId, refusal: Option<ApiError>) -> ApiResult<Tried> {
    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    let (subscription, invoice) = invoices::lock(context, &mut tx, id).await?;
    let intent = match invoice.intent {
        Some(intent) => payment_intents::find(&mut tx, tenant, intent).await?,
        None => None,
    };
    let (Some(intent), true) = (intent, matches!(invoice.status, Status::Open | Status::Uncollectible)) else {
        return Ok(Tried { invoice, refusal });
    };
    let at = super::time::now(&mut tx, tenant, invoice.test_clock).await?;
    let mut settling = Settling { context, at, subscription, told: Vec::new() };
    let invoice = match intent.progress.status {
        PaymentStatus::Succeeded => {
            let card = intent.card.map(|card| card.record);
            settling.paid(&mut tx, invoice, card).await?
        }
        PaymentStatus::RequiresPaymentMethod | PaymentStatus::RequiresConfirmation if invoice.trying => {
            settling.failed(&mut tx, invoice).await?
        }
        PaymentStatus::RequiresAction if invoice.trying => settling.waits(&mut tx, invoice).await?,
        PaymentStatus::Processing => {
            rows::update(&mut tx, tenant, &invoice, Some(clock::now() + LOOK_AFTER / 4)).await?;
            invoice
        }
        _ => {
            rows::seen(&mut tx, tenant, &invoice).await?;
            invoice
        }
    };
    events::tell(&mut tx, &context.cause(), clock::now(), settling.told).await?;
    tx.commit().await?;
    Ok(Tried { invoice, refusal })
}

struct Settling<'a> {
    context: &'a Context,
    at: OffsetDateTime,
    subscription: Option<Subscription>,
    told: Vec<Happened>,
}

impl Settling<'_> {
    async fn paid(&mut self, conn: &mut PgConnection, invoice: Invoice, card: Option<[u8; 16]>) -> ApiResult<Invoice> {
        let tenant = self.context.tenant();
        let invoice = invoices::paid(self.context, conn, invoice, self.at, &mut self.told).await?;
        if let Some(mut subscription) = self.subscription.take() {
            let newest = subscription.latest_invoice == Some(invoice.id);
            let saves = subscription.saves_card && invoice.reason == Reason::SubscriptionCreate;
            if saves && subscription.default_card.is_none() {
                subscription.default_card = card;
                subscriptions::update(conn, tenant, &subscription).await?;
            }
            subs::after_payment(self.context, conn, subscription, Event::Paid(newest), &mut self.told).await?;
            if newest {
                let (_, told) =
                    customers::change(conn, tenant, invoice.customer, |customer| customer.delinquent = false).await?;
                self.told.extend(told);
            }
        }
        Ok(invoice)
    }

    /// The try failed. A subscription's later invoices are tried again by a schedule; the first one is the shopper's to pay.
    async fn failed(&mut self, conn: &mut PgConnection, invoice: Invoice) -> ApiResult<Invoice> {
        let tenant = self.context.tenant();
        if invoice.collection() == Collection::SendInvoice {
            return self.not_taken(conn, invoice).await;
        }
        let first = self.subscription.as_ref().is_some_and(|row| row.status == SubscriptionStatus::Incomplete);
        let again = next_try(invoice.tries, self.at).filter(|_| invoice.auto_advance && !first);
        let exhausted = again.is_none() && invoice.auto_advance && !first;
        let invoice =
            Invoice { trying: false, due_at: again, auto_advance: invoice.auto_advance && !exhausted, ..invoice };
        rows::update(conn, tenant, &invoice, None).await?;
        let shown = views::invoice(conn, tenant, &invoice).await?;
        self.told.push(Happened::to(&shown, Kind::InvoicePaymentFailed)?);
        let Some(subscription) = self.subscription.take().filter(|row| row.latest_invoice == Some(invoice.id)) else {
            return Ok(invoice);
        };
        if exhausted {
            let after = merchants::after_last_try(conn, tenant).await?;
            let after = after.ok_or_else(|| ApiError::internal("an invoice without its merchant"))?;
            subs::end(self.context, conn, subscription, Event::Exhausted(after), self.at, &mut self.told).await?;
        } else {
            subs::after_payment(self.context, conn, subscription, Event::Failed, &mut self.told).await?;
        }
        if !first {
            let (_, told) =
                customers::change(conn, tenant, invoice.customer, |customer| customer.delinquent = true).await?;
            self.told.extend(told);
        }
        Ok(invoice)
    }

    /// What was sent is the customer's to pay: a try that failed says nothing of its term.
    async fn not_taken(&mut self, conn: &mut PgConnection, invoice: Invoice) -> ApiResult<Invoice> {
        let tenant = self.context.tenant();
        let invoice = Invoice { trying: false, due_at: self.term(&invoice), ..invoice };
        rows::update(conn, tenant, &invoice, None).await?;
        let shown = views::invoice(conn, tenant, &invoice).await?;
        self.told.push(Happened::to(&shown, Kind::InvoicePaymentFailed)?);
        Ok(invoice)
    }

    /// When what was sent is overdue, where that is yet to come.
    fn term(&self, invoice: &Invoice) -> Option<OffsetDateTime> {
        invoice.payable_until_at.filter(|until| *until > self.at)
    }

    /// The shopper has something to do.
    async fn waits(&mut self, conn: &mut PgConnection, invoice: Invoice) -> ApiResult<Invoice> {
        let tenant = self.context.tenant();
        let invoice = Invoice { trying: false, due_at: self.term(&invoice), ..invoice };
        rows::update(conn, tenant, &invoice, None).await?;
        let shown = views::invoice(conn, tenant, &invoice).await?;
        self.told.push(Happened::to(&shown, Kind::InvoicePaymentActionRequired)?);
        Ok(invoice)
    }
}

/// What was sent is not paid by its day.
///
/// # Errors
/// The database's.
pub async fn overdue(
    context: &Context,
    conn: &mut PgConnection,
    subscription: Option<Subscription>,
    invoice: Invoice,
    told: &mut Vec<Happened>,
) -> ApiResult<()> {
    let tenant = context.tenant();
    let invoice = Invoice { due_at: None, ..invoice };
    rows::update(conn, tenant, &invoice, None).await?;
    told.push(Happened::to(&views::invoice(conn, tenant, &invoice).await?, Kind::InvoiceOverdue)?);
    if let Some(subscription) = subscription.filter(|row| row.latest_invoice == Some(invoice.id)) {
        subs::after_payment(context, conn, subscription, Event::Failed, told).await?;
        let (_, changed) =
            customers::change(conn, tenant, invoice.customer, |customer| customer.delinquent = true).await?;
        told.extend(changed);
    }
    Ok(())
}

/// Whether a refusal is the card's, and so the shopper's to mend.
pub fn is_the_cards(refusal: &ApiError) -> bool {
    refusal.code().error_type() == ErrorType::Card || refusal.code() == Code::PaymentMethodMissing
}
