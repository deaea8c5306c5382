//! How an invoice comes to be, becomes final, is paid, called off, given up.

use kura_platform::database::PgConnection;
use kura_wire::ids::{CustomerId, InvoiceId, PaymentIntentId, TestClockId};
use kura_wire::money::MAX_AMOUNT_MINOR;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{customers, subscriptions as subs, views};
use crate::codes::Code;
use crate::domain::invoice::{Event, Reason, Status, settle_credit};
use crate::domain::payment_intent::{CaptureMethod, Progress};
use crate::domain::subscription::Event as SubscriptionEvent;
use crate::edge::call::Context;
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened, Kind};
use crate::render::payment_intent::payment_intent;
use crate::request_ids::RequestIds;
use crate::store::Tenant;
use crate::store::customers::Customer;
use crate::store::invoice_lines::{self, Line};
use crate::store::invoices::{self, Invoice};
use crate::store::payment_intents::{self, FutureUsage, Intent, MethodType};
use crate::store::subscriptions::{self, Subscription};
use crate::store::timeline::{self, Entry};

/// A draft to be made.
#[derive(Debug)]
pub struct Draft<'a> {
    /// Its id.
    pub id: InvoiceId,
    /// Whose.
    pub customer: CustomerId,
    /// The clock that the customer lives by.
    pub test_clock: Option<TestClockId>,
    /// For which subscription.
    pub subscription: Option<&'a Subscription>,
    /// What the merchant wrote itself.
    pub written: Option<Written>,
    /// Three lower-case letters.
    pub currency: &'a str,
    /// Why.
    pub reason: Reason,
    /// Since when its lines came together.
    pub period_start_at: OffsetDateTime,
    /// Until when.
    pub period_end_at: OffsetDateTime,
    /// It becomes final by itself, then; never where there is none.
    pub final_at: Option<OffsetDateTime>,
    /// Its own lines.
    pub lines: Vec<Line>,
    /// Now.
    pub at: OffsetDateTime,
}

/// What a merchant writes of a draft of its own.
#[derive(Debug)]
pub struct Written {
    /// The customer reads it.
    pub description: Option<String>,
    /// The merchant's data.
    pub metadata: Map<String, Value>,
    /// Until when it is to be paid, where it is sent.
    pub payable_until_at: Option<OffsetDateTime>,
    /// What waits for an invoice goes on it.
    pub takes_waiting: bool,
}

/// Writes a draft with its own lines and those that waited for it, as far as they fit. What one payment can't move is refused.
///
/// # Errors
/// 400 for too large a sum; the database's.
pub async fn draft(context: &Context, conn: &mut PgConnection, draft: Draft<'_>) -> ApiResult<Invoice> {
    let tenant = context.tenant();
    let subscription = draft.subscription.map(|subscription| subscription.id);
    let (taken, total) = taken(conn, tenant, &draft).await?;
    let payable_until_at = draft.subscription.and_then(|row| row.payable_until(draft.at));
    let (description, metadata, payable_until_at) = match draft.written {
        Some(written) => (written.description, written.metadata, written.payable_until_at),
        None => (None, Map::new(), payable_until_at),
    };
    let invoice = Invoice {
        id: draft.id,
        customer: draft.customer,
        subscription,
        test_clock: draft.test_clock,
        number: None,
        status: Status::Draft,
        reason: draft.reason,
        currency: draft.currency.to_owned(),
        total,
        starting_balance: 0,
        ending_balance: None,
        amount_due: total.max(0),
        amount_paid: 0,
        auto_advance: draft.final_at.is_some(),
        tries: 0,
        trying: false,
        try_off_session: true,
        intent: None,
        period_start_at: draft.period_start_at,
        period_end_at: draft.period_end_at,
        description,
        metadata,
        subscription_metadata: draft.subscription.map(|row| row.metadata.clone()).unwrap_or_default(),
        created_at: draft.at,
        finalized_at: None,
        paid_at: None,
        voided_at: None,
        uncollectible_at: None,
        due_at: draft.final_at,
        payable_until_at,
    };
    if !invoices::insert(conn, tenant, &invoice).await? {
        return Err(ApiError::internal("an invoice that was made before its subscription knew of it"));
    }
    let mut place = 0;
    for line in taken {
        invoice_lines::take(conn, tenant, line.id, invoice.id, place).await?;
        place += 1;
    }
    for line in draft.lines {
        invoice_lines::insert(conn, tenant, &Line { invoice: Some(invoice.id), place, ..line }).await?;
        place += 1;
    }
    Ok(invoice)
}

/// What waits for a draft, as far as it fits beside its own lines, and the sum of all.
async fn taken(conn: &mut PgConnection, tenant: Tenant, draft: &Draft<'_>) -> ApiResult<(Vec<Line>, i64)> {
    let subscription = draft.subscription.map(|subscription| subscription.id);
    let waiting = if draft.written.as_ref().is_none_or(|written| written.takes_waiting) {
        invoice_lines::lock_waiting(conn, tenant, draft.customer, subscription, draft.currency).await?
    } else {
        Vec::new()
    };
    let mut total: i64 = draft.lines.iter().map(|line| line.amount).sum();
    let mut taken = Vec::new();
    for line in waiting {
        // Credit always fits. What is too much waits for the next one.
        if line.amount <= 0 || total + line.amount <= MAX_AMOUNT_MINOR {
            total += line.amount;
            taken.push(line);
        }
    }
    if total > MAX_AMOUNT_MINOR { Err(ApiError::new(Code::AmountTooLarge)) } else { Ok((taken, total)) }
}

/// Makes a draft final: it gets its number, takes the customer's credit, and is paid at once where nothing is left to pay. Else
/// its payment is made. The subscription and the invoice are locked. What happened is added to `told`.
///
/// # Errors
/// 400 for what is no draft; the database's.
pub async fn finalize(
    context: &Context,
    conn: &mut PgConnection,
    invoice: Invoice,
    at: OffsetDateTime,
    told: &mut Vec<Happened>,
) -> ApiResult<Invoice> {
    let tenant = context.tenant();
    let status = invoice.status.after(Event::Finalize).ok_or_else(|| refused(&invoice, "finalize"))?;
    let (currency, total) = (invoice.currency.clone(), invoice.total);
    let (customer, changed) = customers::change(conn, tenant, invoice.customer, |customer| {
        customer.invoice_count += 1;
        if customer.balance == 0 || customer.balance_currency.as_deref() == Some(&currency) {
            customer.balance = settle_credit(total, customer.balance).1;
            if customer.balance < 0 {
                customer.balance_currency = Some(currency);
            }
        }
    })
    .await?;
    let same = customer.balance == 0 || customer.balance_currency.as_deref() == Some(&invoice.currency);
    let starting_balance = if same { customer.balance } else { 0 };
    let (amount_due, ending_balance) = settle_credit(invoice.total, starting_balance);
    let mut invoice = Invoice {
        number: Some(number(&customer)),
        status,
        starting_balance,
        ending_balance: Some(ending_balance),
        amount_due,
        finalized_at: Some(at),
        // One that is sent is overdue then; one that is charged is tried when its caller says.
        due_at: invoice.payable_until_at.filter(|_| amount_due > 0),
        ..invoice
    };
    let mut payment_told = None;
    if amount_due > 0 {
        let (intent, made) = payment(context, conn, &invoice).await?;
        invoice.intent = Some(intent);
        payment_told = made;
    }
    invoices::update(conn, tenant, &invoice, None).await?;
    told.push(Happened::to(&views::invoice(conn, tenant, &invoice).await?, Kind::InvoiceFinalized)?);
    told.extend(payment_told);
    told.extend(changed);
    if amount_due == 0 {
        invoice = paid(context, conn, invoice, at, told).await?;
    }
    Ok(invoice)
}

/// Makes the payment of an invoice.
async fn payment(
    context: &Context,
    conn: &mut PgConnection,
    invoice: &Invoice,
) -> ApiResult<(PaymentIntentId, Option<Happened>)> {
    let tenant = context.tenant();
    let seed = RequestIds::seed_of(&context.app.secrets.ids, invoice.id.as_bytes(), b"payment", 0);
    let words = match invoice.reason {
        Reason::Manual => "Payment for invoice",
        Reason::SubscriptionCreate => "Subscription creation",
        Reason::SubscriptionCycle | Reason::SubscriptionUpdate => "Subscription update",
    };
    let intent = Intent {
        id: RequestIds::new(&context.app.secrets.ids, seed).one(),
        progress: Progress::new(invoice.amount_due, CaptureMethod::Automatic, false),
        currency: invoice.currency.clone(),
        card: None,
        payer: None,
        types: vec![MethodType::Card],
        deposit_options: Default::default(),
        customer: Some(invoice.customer),
        description: Some(words.to_owned()),
        receipt_email: None,
        return_url: None,
        three_d_secure: Default::default(),
        future_usage: invoice.subscription.is_some().then_some(FutureUsage::OffSession),
        metadata: Map::new(),
        automatic_payment_methods: false,
        latest_charge: None,
        last_error: None,
        cancellation_reason: None,
        canceled_at: None,
        invoice: Some(invoice.id),
        // Payments live by the networks' time.
        created_at: kura_platform::clock::now(),
    };
    if !payment_intents::insert(conn, tenant, &intent).await? {
        return Ok((intent.id, None));
    }
    let entries = [Entry { amount_minor: Some(intent.progress.amount), ..Entry::of("created") }];
    timeline::append(conn, tenant, intent.id, Some(context.request_id), intent.created_at, &entries).await?;
    let shown = payment_intent(tenant, &intent, None, None);
    Ok((intent.id, Some(Happened::to(&shown, Kind::PaymentIntentCreated)?)))
}

/// An open invoice is paid. What follows for its subscription is [`subs::after_payment`]'s.
///
/// # Errors
/// The database's.
pub async fn paid(
    context: &Context,
    conn: &mut PgConnection,
    invoice: Invoice,
    at: OffsetDateTime,
    told: &mut Vec<Happened>,
) -> ApiResult<Invoice> {
    let tenant = context.tenant();
    let status = invoice.status.after(Event::Pay).ok_or_else(|| refused(&invoice, "pay"))?;
    let invoice = Invoice {
        status,
        amount_paid: invoice.amount_due,
        paid_at: Some(at),
        trying: false,
        due_at: None,
        auto_advance: false,
        ..invoice
    };
    invoices::update(conn, tenant, &invoice, None).await?;
    let shown = views::invoice(conn, tenant, &invoice).await?;
    told.push(Happened::to(&shown, Kind::InvoicePaid)?);
    told.push(Happened::to(&shown, Kind::InvoicePaymentSucceeded)?);
    Ok(invoice)
}

/// Calls an invoice off. Its payment is called off first; where that was just made, the invoice is paid instead.
///
/// # Errors
/// 400 where it can't be; the database's.
pub async fn void(context: &Context, id: InvoiceId) -> ApiResult<Invoice> {
    let tenant = context.tenant();
    let found = invoices::find(&mut *context.db().await?, tenant, id).await?;
    let found = found.ok_or_else(|| ApiError::missing("invoice", "id"))?;
    if found.status == Status::Void && !context.first_run {
        return Ok(found);
    }
    found.status.after(Event::Void).ok_or_else(|| refused(&found, "void"))?;
    if let Some(intent) = found.intent {
        crate::routes::payment_intents::cancel::call_off(context, intent, "void_invoice").await?;
    }
    let mut tx = context.begin().await?;
    let (subscription, invoice) = lock(context, &mut tx, id).await?;
    let at = super::time::now(&mut tx, tenant, invoice.test_clock).await?;
    let status = invoice.status.after(Event::Void).ok_or_else(|| refused(&invoice, "void"))?;
    let invoice = Invoice { status, voided_at: Some(at), trying: false, due_at: None, auto_advance: false, ..invoice };
    invoices::update(&mut tx, tenant, &invoice, None).await?;
    let mut told = vec![Happened::to(&views::invoice(&mut tx, tenant, &invoice).await?, Kind::InvoiceVoided)?];
    if let Some(subscription) = subscription {
        // What was never paid for the first time never begins. What was overdue is not, without it.
        let newest = subscription.latest_invoice == Some(id);
        if subscription.status == crate::domain::subscription::Status::Incomplete {
            subs::end(context, &mut tx, subscription, SubscriptionEvent::Expired, at, &mut told).await?;
        } else {
            subs::after_payment(context, &mut tx, subscription, SubscriptionEvent::Paid(newest), &mut told).await?;
        }
    }
    events::tell(&mut tx, &context.cause(), kura_platform::clock::now(), told).await?;
    tx.commit().await?;
    Ok(invoice)
}

/// Gives an invoice up. It can still be paid.
///
/// # Errors
/// 400 where it can't be; the database's.
pub async fn give_up(context: &Context, id: InvoiceId) -> ApiResult<Invoice> {
    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    let (_, invoice) = lock(context, &mut tx, id).await?;
    if invoice.status == Status::Uncollectible && !context.first_run {
        return Ok(invoice);
    }
    let at = super::time::now(&mut tx, tenant, invoice.test_clock).await?;
    let status = invoice.status.after(Event::GiveUp).filter(|_| !invoice.trying);
    let status = status.ok_or_else(|| refused(&invoice, "give up"))?;
    let invoice = Invoice { status, uncollectible_at: Some(at), due_at: None, auto_advance: false, ..invoice };
    invoices::update(&mut tx, tenant, &invoice, None).await?;
    let shown = views::invoice(&mut tx, tenant, &invoice).await?;
    let told = Happened::to(&shown, Kind::InvoiceMarkedUncollectible)?;
    events::tell(&mut tx, &context.cause(), kura_platform::clock::now(), [told]).await?;
    tx.commit().await?;
    Ok(invoice)
}

/// Locks an invoice's subscription, and then the invoice.
///
/// # Errors
/// 404; the database's.
pub async fn lock(
    context: &Context,
    conn: &mut PgConnection,
    id: InvoiceId,
) -> ApiResult<(Option<Subscription>, Invoice)> {
    let (tenant, missing) = (context.tenant(), || ApiError::missing("invoice", "id"));
    let found = invoices::find(conn, tenant, id).await?.ok_or_else(missing)?;
    let subscription = match found.subscription {
        Some(id) => subscriptions::lock(conn, tenant, id).await?,
        None => None,
    };
    let invoice = invoices::lock(conn, tenant, id).await?.ok_or_else(missing)?;
    Ok((subscription, invoice))
}

/// A draft, locked, whose lines may be changed.
///
/// # Errors
/// 404, about this parameter; 400 for what is final, or being changed by its clock.
pub async fn lock_draft(conn: &mut PgConnection, tenant: Tenant, id: InvoiceId, param: &str) -> ApiResult<Invoice> {
    let found = invoices::lock(conn, tenant, id).await?.ok_or_else(|| ApiError::missing("invoice", param))?;
    super::time::for_request(conn, tenant, found.test_clock).await?;
    if found.status == Status::Draft { Ok(found) } else { Err(refused(&found, "change the lines of")) }
}

/// A locked draft's lines came to another sum.
///
/// # Errors
/// 400 for too large a sum; the database's.
pub async fn change_total(
    conn: &mut PgConnection,
    tenant: Tenant,
    draft: Invoice,
    by: i64,
    told: &mut Vec<Happened>,
) -> ApiResult<()> {
    let total = draft.total.checked_add(by).filter(|total| total.abs() <= MAX_AMOUNT_MINOR);
    let total = total.ok_or_else(|| ApiError::new(Code::AmountTooLarge))?;
    let draft = Invoice { total, amount_due: total.max(0), ..draft };
    invoices::update(conn, tenant, &draft, None).await?;
    told.push(Happened::to(&views::invoice(conn, tenant, &draft).await?, Kind::InvoiceUpdated)?);
    Ok(())
}

/// A draft of a subscription whose collection rests becomes final and is over at once: called off, or given up. Nothing is asked
/// for, so it has no payment and takes no credit. It and its subscription are locked.
///
/// # Errors
/// 400 for what is no draft; the database's.
pub async fn lay_down(
    context: &Context,
    conn: &mut PgConnection,
    draft: Invoice,
    as_void: bool,
    at: OffsetDateTime,
    told: &mut Vec<Happened>,
) -> ApiResult<Invoice> {
    let tenant = context.tenant();
    let end = if as_void { Event::Void } else { Event::GiveUp };
    let status = draft.status.after(Event::Finalize).and_then(|open| open.after(end));
    let status = status.ok_or_else(|| refused(&draft, "finalize"))?;
    let (customer, _) = customers::change(conn, tenant, draft.customer, |customer| customer.invoice_count += 1).await?;
    let invoice = Invoice {
        number: Some(number(&customer)),
        status,
        ending_balance: Some(0),
        finalized_at: Some(at),
        voided_at: as_void.then_some(at),
        uncollectible_at: (!as_void).then_some(at),
        auto_advance: false,
        due_at: None,
        ..draft
    };
    invoices::update(conn, tenant, &invoice, None).await?;
    let kind = if as_void { Kind::InvoiceVoided } else { Kind::InvoiceMarkedUncollectible };
    told.push(Happened::to(&views::invoice(conn, tenant, &invoice).await?, kind)?);
    Ok(invoice)
}

/// The number of a customer's next invoice.
fn number(customer: &Customer) -> String {
    let prefix: String = customer.id.to_string().chars().skip(4).take(8).collect();
    format!("{}-{:04}", prefix.to_ascii_uppercase(), customer.invoice_count + 1)
}

/// The 400 of what a status refuses.
pub fn refused(invoice: &Invoice, what: &str) -> ApiError {
    let message = format!("You cannot {what} this invoice because it has a status of {}.", invoice.status.as_str());
    ApiError::with_message(Code::InvoiceUnexpectedState, message)
}
