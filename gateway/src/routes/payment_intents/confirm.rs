//! `POST /v1/payment_intents/{id}/confirm`: asks for the money, or for what has to come before it.

use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_wire::ids::{PaymentIntentId, TokenUse};
use kura_wire::vault::Attach;
use schemars::JsonSchema;
use serde::Deserialize;

use super::flow::{NextAttempt, answer, answer_met, next_attempt, refused};
use super::render_one;
use super::{create, deposit};
use crate::codes::Code;
use crate::domain::mask;
use crate::domain::payment_intent::{CaptureMethod, Event, Refusal, Way};
use crate::edge::call::Context;
use crate::endpoint::types::{Moment, Text, WebAddress, Whole};
use crate::error::{ApiError, ApiResult};
use crate::money_path::groups::Opening;
use crate::money_path::{self, Charged, carry_out};
use crate::render::payment_intent::{PaymentIntent, payment_intent};
use crate::request_ids::AttemptIds;
use crate::routes::payment_methods::naming::{self, Found, MethodType};
use crate::store::attempts::{Attempt, Kind, State};
use crate::store::authentications::Authentication;
use crate::store::cards::{self, Card};
use crate::store::methods::{Method, MethodRef};
use crate::store::payment_intents::{self, DepositOptions, DepositTerms, FutureUsage, Intent, NamedCard, ThreeDSecure};
use crate::store::timeline;
use crate::three_d_secure;

/// How a payment is confirmed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmIntent {
    /// `pm_…`; the one that the payment has, where it is left out.
    payment_method: Option<Text<255>>,
    /// A new payment method.
    payment_method_data: Option<naming::MethodData>,
    /// What is said of each method.
    payment_method_options: Option<MethodOptions>,
    /// The shopper is not there: you charge by an agreement. No action of theirs will be asked for.
    #[serde(default)]
    off_session: bool,
    /// Comes back masked.
    receipt_email: Option<Text>,
    /// Where the shopper goes after the issuer's page.
    return_url: Option<WebAddress>,
    /// Keep the payment method, for payments with the shopper there or without.
    setup_future_usage: Option<Usage>,
}

/// What is said of each method.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MethodOptions {
    /// Of cards.
    card: Option<CardOptions>,
    /// Of deposits at convenience stores.
    konbini: Option<KonbiniOptions>,
    /// Of deposits by bank.
    payeasy: Option<PayeasyOptions>,
    /// Of payments from the wallet.
    emoney: Option<EmoneyOptions>,
}

/// What is said of deposits at convenience stores.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KonbiniOptions {
    /// A confirmation number of your choice: 10 or 11 digits, not all zero. Many take the shopper's telephone number.
    confirmation_number: Option<Text<11>>,
    /// How many days the shopper has, until the end of the last one in Japan; 0 is today.
    expires_after_days: Option<Whole<0, 60>>,
    /// Until when, exactly: in half an hour at the earliest.
    expires_at: Option<Moment>,
    /// What stands on the receipt.
    product_description: Option<Text<22>>,
}

/// What is said of deposits by bank.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PayeasyOptions {
    /// How many days the shopper has, until the end of the last one in Japan; 0 is today.
    expires_after_days: Option<Whole<0, 60>>,
    /// Until when, exactly: in half an hour at the earliest.
    expires_at: Option<Moment>,
    /// What stands on the receipt.
    product_description: Option<Text<22>>,
}

/// What is said of payments from the wallet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EmoneyOptions {
    /// Until when, exactly; in an hour, where it is left out.
    expires_at: Option<Moment>,
}

/// What is said of cards.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CardOptions {
    /// When 3-D Secure is asked for.
    request_three_d_secure: Option<When>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum When {
    /// When the issuer wants it.
    Automatic,
    /// Always, with or without a challenge.
    Any,
    /// Always, with a challenge.
    Challenge,
}

/// For what a payment method is kept.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Usage {
    /// With the shopper there.
    OnSession,
    /// Without.
    OffSession,
}

impl From<Usage> for FutureUsage {
    fn from(sent: Usage) -> Self {
        match sent {
            Usage::OnSession => Self::OnSession,
            Usage::OffSession => Self::OffSession,
        }
    }
}

impl MethodOptions {
    /// What is said of deposits.
    ///
    /// # Errors
    /// 400 for a confirmation number that is none.
    pub fn into_deposits(self) -> ApiResult<DepositOptions> {
        let days = |days: Option<Whole<0, 60>>| days.and_then(|days| u8::try_from(days.0).ok());
        let second = |at: Option<Moment>| at.map(|at| at.0.unix_timestamp());
        let mut said = DepositOptions::default();
        if let Some(konbini) = self.konbini {
            let number = konbini.confirmation_number.map(Text::into_string);
            let good = |text: &String| {
                (10..=11).contains(&text.len())
                    && text.bytes().all(|byte| byte.is_ascii_digit())
                    && text.bytes().any(|byte| byte != b'0')
            };
            if !number.as_ref().is_none_or(good) {
                let expected = "10 or 11 digits, not all of them zero";
                return Err(ApiError::invalid("payment_method_options[konbini][confirmation_number]", expected));
            }
            said.konbini = DepositTerms {
                confirmation_number: number,
                expires_after_days: days(konbini.expires_after_days),
                expires_at: second(konbini.expires_at),
                product_description: konbini.product_description.map(Text::into_string),
            };
        }
        if let Some(payeasy) = self.payeasy {
            said.payeasy = DepositTerms {
                confirmation_number: None,
                expires_after_days: days(payeasy.expires_after_days),
                expires_at: second(payeasy.expires_at),
                product_description: payeasy.product_description.map(Text::into_string),
            };
        }
        if let Some(emoney) = self.emoney {
            said.emoney = DepositTerms { expires_at: second(emoney.expires_at), ..DepositTerms::default() };
        }
        Ok(said)
    }

    /// When 3-D Secure is asked for, if that was said.
    pub fn three_d_secure(&self) -> Option<ThreeDSecure> {
        let said = self.card.as_ref()?.request_three_d_secure?;
        Some(match said {
            When::Automatic => ThreeDSecure::Automatic,
            When::Any => ThreeDSecure::Any,
            When::Challenge => ThreeDSecure::Challenge,
        })
    }
}

/// What a confirmation says besides the method.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// The shopper is not there.
    pub off_session: bool,
    /// Masked.
    pub receipt_email: Option<String>,
    /// Where the shopper goes afterwards.
    pub return_url: Option<String>,
    /// When 3-D Secure is asked for.
    pub three_d_secure: Option<ThreeDSecure>,
    /// For what the method is kept.
    pub future_usage: Option<FutureUsage>,
    /// What was said of deposits.
    pub deposits: DepositOptions,
}

impl Terms {
    /// The payment with what was said.
    pub(super) fn apply(&self, intent: Intent) -> Intent {
        let said =
            |new: &DepositTerms, old: DepositTerms| if *new == DepositTerms::default() { old } else { new.clone() };
        Intent {
            deposit_options: DepositOptions {
                konbini: said(&self.deposits.konbini, intent.deposit_options.konbini),
                payeasy: said(&self.deposits.payeasy, intent.deposit_options.payeasy),
                emoney: said(&self.deposits.emoney, intent.deposit_options.emoney),
            },
            receipt_email: self.receipt_email.clone().or(intent.receipt_email),
            return_url: self.return_url.clone().or(intent.return_url),
            three_d_secure: self.three_d_secure.unwrap_or(intent.three_d_secure),
            future_usage: self.future_usage.or(intent.future_usage),
            ..intent
        }
    }
}

/// Runs it.
pub async fn run(context: Context, asked: ConfirmIntent) -> ApiResult<PaymentIntent> {
    let (saved, data) = (asked.payment_method.as_deref(), asked.payment_method_data);
    let name = naming::named(saved, data, context.tenant().livemode())?;
    let terms = Terms {
        off_session: asked.off_session,
        receipt_email: asked.receipt_email.as_deref().map(mask::email),
        return_url: asked.return_url.map(WebAddress::into_string),
        three_d_secure: asked.payment_method_options.as_ref().and_then(MethodOptions::three_d_secure),
        future_usage: asked.setup_future_usage.map(FutureUsage::from),
        deposits: asked.payment_method_options.map(MethodOptions::into_deposits).transpose()?.unwrap_or_default(),
    };
    let id = context.id("payment_intent")?;
    if let Some(answer) = meet(&context, id).await? {
        return Ok(answer);
    }
    let found = match name {
        Some(name) => Some(naming::find_method(&context, name).await?),
        None => None,
    };
    let named = match found {
        Some(Found::Payer(payer)) => {
            return deposit::confirm(&context, Target::Existing(id), Some(payer), &terms).await;
        }
        Some(Found::Card(named, card)) => Some((named, card)),
        None => {
            let intent = payment_intents::find(&mut *context.db().await?, context.tenant(), id).await?;
            if intent.is_some_and(|intent| intent.payer.is_some()) {
                return deposit::confirm(&context, Target::Existing(id), None, &terms).await;
            }
            None
        }
    };
    confirm(&context, Target::Existing(id), named, &terms).await
}

/// What is confirmed.
pub enum Target {
    /// A payment that this request makes.
    New(Box<Intent>),
    /// One that is there.
    Existing(PaymentIntentId),
}

/// The answer about what an earlier run of this request set going, if it did. Asked before this run looks at the card, which may
/// have been spent by it, or have changed hands since.
pub(super) async fn meet(context: &Context, id: PaymentIntentId) -> ApiResult<Option<PaymentIntent>> {
    if context.first_run {
        return Ok(None);
    }
    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    let Some(intent) = payment_intents::lock(&mut tx, tenant, id).await? else { return Ok(None) };
    if three_d_secure::was_asked(context, &mut tx).await? {
        drop(tx);
        return render_one(context, &intent, None).await.map(Some);
    }
    let NextAttempt::Met(attempt) = next_attempt(context, &mut tx).await? else { return Ok(None) };
    drop(tx);
    answer_met(context, &attempt, &intent).await.map(Some)
}

/// Confirms, and answers.
///
/// # Errors
/// 400 for what the payment's status or the card's owner refuse, 402 for what the network does.
pub async fn confirm(
    context: &Context,
    target: Target,
    named: Option<(NamedCard, Card)>,
    terms: &Terms,
) -> ApiResult<PaymentIntent> {
    let mut started = Started::Changed;
    // Twice, for the kept card may be replaced between reading it and locking the payment.
    for _ in 0..2 {
        let chosen = choose(context, &target, named.as_ref(), terms).await?;
        started = start(context, &target, chosen, terms).await?;
        if !matches!(started, Started::Changed) {
            break;
        }
    }
    match started {
        Started::Met(attempt, intent) => answer_met(context, &attempt, &intent).await,
        Started::Fresh(attempt, intent, card) => {
            let (named, card) = *card;
            let cvc = context.cvc_rule(&card);
            let charged = Charged { card, allows: named.allows, cvc };
            let (cause, vault) = (context.cause(), context.vault_context());
            let carried = carry_out(&context.app, &cause, vault, &attempt, Some(&charged), *intent).await?;
            match carried.step_up {
                Some(authentication) => {
                    let gone = three_d_secure::carry_out(context, &authentication, carried.intent).await?;
                    super::flow::answer_gone(context, gone).await
                }
                None => answer(context, carried, Some(&charged.card)).await,
            }
        }
        Started::Authenticating(authentication, intent) => {
            let gone = three_d_secure::carry_out(context, &authentication, *intent).await?;
            super::flow::answer_gone(context, gone).await
        }
        Started::Changed => Err(ApiError::internal("a payment whose card keeps changing")),
    }
}

/// The card to be charged.
enum Chosen {
    /// By this request; a new payment has no other.
    Named(Option<(NamedCard, Card)>),
    /// The payment has it, as read before the lock: the payment must still have it under the lock.
    Kept(Option<(NamedCard, Card)>),
}

impl Chosen {
    /// The card, unless the payment has another one by now.
    fn still(self, intent: &Intent) -> Result<Option<(NamedCard, Card)>, Stale> {
        match self {
            Self::Named(card) => Ok(card),
            Self::Kept(card) if card.as_ref().map(|(named, _)| named.record) == intent.card.map(|card| card.record) => {
                Ok(card)
            }
            Self::Kept(_) => Err(Stale),
        }
    }
}

/// What was read before the lock is not so any more.
#[derive(Debug, PartialEq, Eq)]
struct Stale;

/// The card of this request, or the one that the payment has; saved first, where it is to be kept for later. Read before the lock,
/// so that no transaction waits for a second connection.
async fn choose(
    context: &Context,
    target: &Target,
    named: Option<&(NamedCard, Card)>,
    terms: &Terms,
) -> ApiResult<Chosen> {
    let tenant = context.tenant();
    let (usage, chosen) = match (named, target) {
        (named, Target::New(intent)) => (intent.future_usage, Chosen::Named(named.cloned())),
        (named, Target::Existing(id)) => {
            let mut db = context.db().await?;
            let intent = payment_intents::find(&mut db, tenant, *id).await?;
            let intent = intent.ok_or_else(|| ApiError::missing("payment_intent", "id"))?;
            let chosen = match (named, intent.card) {
                (Some(named), _) => Chosen::Named(Some(named.clone())),
                (None, None) => Chosen::Kept(None),
                (None, Some(kept)) => {
                    Chosen::Kept(cards::find(&mut db, tenant, kept.record).await?.map(|card| (kept, card)))
                }
            };
            (intent.future_usage, chosen)
        }
    };
    if terms.future_usage.or(usage).is_none() {
        return Ok(chosen);
    }
    Ok(match chosen {
        Chosen::Named(Some(card)) => Chosen::Named(Some(saved(context, card).await?)),
        Chosen::Kept(Some(card)) => Chosen::Kept(Some(saved(context, card).await?)),
        chosen => chosen,
    })
}

/// The card under its name for later payments. Saving twice is saving once.
pub(crate) async fn saved(context: &Context, (named, card): (NamedCard, Card)) -> ApiResult<(NamedCard, Card)> {
    if named.allows == TokenUse::Multi {
        return Ok((named, card));
    }
    if card.saved_at.is_none() {
        if card.token_used_at.is_some() {
            return Err(ApiError::new(Code::TokenAlreadyUsed));
        }
        let token = card.token(TokenUse::Single);
        context.app.vault.attach(&Attach { context: context.vault_context(), token }).await?;
        cards::mark_saved(&mut *context.db().await?, context.tenant(), card.record, clock::now()).await?;
    }
    Ok((
        NamedCard { allows: TokenUse::Multi, ..named },
        Card { saved_at: card.saved_at.or(Some(clock::now())), ..card },
    ))
}

/// The named card is nobody's, or the payment's customer's, and its token is unspent.
pub(super) fn check_owner(intent: &Intent, named: Option<&(NamedCard, Card)>) -> ApiResult<()> {
    let Some((named, card)) = named else { return Ok(()) };
    if card.customer.is_some() && card.customer != intent.customer {
        return Err(ApiError::new(Code::CustomerMismatch).on("payment_method"));
    }
    let spent = named.allows == TokenUse::Single && card.token_used_at.is_some();
    if spent { Err(ApiError::new(Code::TokenAlreadyUsed)) } else { Ok(()) }
}

enum Started {
    Met(Attempt, Box<Intent>),
    Fresh(Attempt, Box<Intent>, Box<(NamedCard, Card)>),
    /// The issuer is to be asked first.
    Authenticating(Authentication, Box<Intent>),
    /// Nothing was, for the payment has another card than was read.
    Changed,
}

/// Transaction 1: the payment `processing`, the attempt or the authentication written down.
async fn start(context: &Context, target: &Target, chosen: Chosen, terms: &Terms) -> ApiResult<Started> {
    let (tenant, at) = (context.tenant(), clock::now());
    let chosen = match (target, chosen) {
        (Target::New(intent), Chosen::Named(Some(card))) if is_plain(context, intent, terms) => {
            return start_grouped(context, Intent::clone(intent), card, terms).await;
        }
        (_, chosen) => chosen,
    };
    let mut tx = context.begin().await?;
    let (intent, fresh) = match target {
        Target::New(intent) if context.first_run => (Intent::clone(intent), true),
        Target::New(intent) => {
            let fresh = payment_intents::insert(&mut tx, tenant, intent).await?;
            (locked(context, &mut tx, intent.id).await?, fresh)
        }
        Target::Existing(id) => (locked(context, &mut tx, *id).await?, false),
    };
    let ids = match next_attempt(context, &mut tx).await? {
        NextAttempt::Fresh(ids) => ids,
        NextAttempt::Met(attempt) => return Ok(Started::Met(attempt, Box::new(intent))),
    };
    let Ok(card) = chosen.still(&intent) else { return Ok(Started::Changed) };
    let named = card.as_ref().map(|(_, card)| Method::Card(card.clone()));
    let before = payment_intent(tenant, &intent, named.as_ref(), None);
    let intent = terms.apply(intent);
    let authenticate = wants_proof(&intent, terms);
    let intent = decide(intent, card.as_ref(), if authenticate { Way::CardAuthenticated } else { Way::Card })?;
    let card = card.ok_or_else(|| ApiError::new(Code::PaymentMethodMissing))?;

    if !(fresh && context.first_run && payment_intents::insert(&mut tx, tenant, &intent).await?) {
        payment_intents::update(&mut tx, tenant, &intent).await?;
    }
    if fresh {
        create::created(&mut tx, context, &intent, &before).await?;
    }
    let (entry, started) = if authenticate {
        let id = three_d_secure::next_id(context, &mut tx).await?;
        let authentication = three_d_secure::of_payment(id, &intent, card.0);
        three_d_secure::begin(&context.app, &mut tx, tenant, &authentication).await?;
        let entry = timeline::Entry::of("authenticating");
        (entry, Started::Authenticating(authentication, Box::new(intent.clone())))
    } else {
        let attempt = new_attempt(context, &intent, &card.1, ids, terms.off_session);
        money_path::open(&context.app, &mut tx, tenant, &attempt).await?;
        let entry = money_path::entry("processing", &attempt, None);
        (entry, Started::Fresh(attempt, Box::new(intent.clone()), Box::new(card)))
    };
    timeline::append(&mut tx, tenant, intent.id, Some(context.request_id), at, &[entry]).await?;
    tx.commit().await?;
    Ok(started)
}

fn wants_proof(intent: &Intent, terms: &Terms) -> bool {
    intent.three_d_secure != ThreeDSecure::Automatic && !terms.off_session
}

/// Made by this request, which nobody ran before, and nothing has to come before the money is asked for.
fn is_plain(context: &Context, intent: &Intent, terms: &Terms) -> bool {
    context.first_run && intent.invoice.is_none() && !wants_proof(&terms.apply(intent.clone()), terms)
}

/// [`start`], together with other payments of this merchant.
async fn start_grouped(
    context: &Context,
    intent: Intent,
    card: (NamedCard, Card),
    terms: &Terms,
) -> ApiResult<Started> {
    let method = Method::Card(card.1.clone());
    let before = payment_intent(context.tenant(), &intent, Some(&method), None);
    let (entry, created) = create::creation(&intent, &before)?;
    let intent = decide(terms.apply(intent), Some(&card), Way::Card)?;
    let attempt = new_attempt(context, &intent, &card.1, context.ids().attempt(0), terms.off_session);
    let opening = Opening {
        entries: vec![entry, money_path::entry("processing", &attempt, None)],
        resolve_at: attempt.created_at + context.app.recover_after,
        cause: context.cause(),
        intent: intent.clone(),
        attempt: attempt.clone(),
        created,
    };
    context.app.grouped.openings.ask(context.tenant(), opening).await?;
    Ok(Started::Fresh(attempt, Box::new(intent), Box::new(card)))
}

pub(super) async fn locked(context: &Context, conn: &mut PgConnection, id: PaymentIntentId) -> ApiResult<Intent> {
    let intent = payment_intents::lock(conn, context.tenant(), id).await?;
    intent.ok_or_else(|| ApiError::missing("payment_intent", "id"))
}

/// The payment with its card, `processing`.
fn decide(intent: Intent, card: Option<&(NamedCard, Card)>, way: Way) -> ApiResult<Intent> {
    let refuse = |refusal| refused(&intent, "confirm", refusal);
    let (Some((named, _)), true) = (card, intent.progress.is_open()) else {
        return Err(refuse(Refusal::Status));
    };
    check_owner(&intent, card)?;
    if !intent.types.contains(&MethodType::Card) {
        return Err(ApiError::new(Code::IncompatibleMethod));
    }
    let progress =
        intent.progress.after(Event::NameMethod).and_then(|named| named.after(Event::Confirm(way))).map_err(refuse)?;
    Ok(Intent { progress, card: Some(*named), payer: None, last_error: None, ..intent })
}

fn new_attempt(context: &Context, intent: &Intent, card: &Card, ids: AttemptIds, off_session: bool) -> Attempt {
    Attempt {
        id: ids.attempt,
        intent: intent.id,
        kind: Kind::Authorize,
        original: None,
        charge: ids.charge,
        refund: None,
        network_reference: ids.network_reference,
        amount_minor: intent.progress.amount,
        currency: intent.currency.clone(),
        method: MethodRef::Card(card.record),
        capture: intent.progress.capture_method == CaptureMethod::Automatic,
        authentication: None,
        off_session,
        stepped_up: false,
        state: State::Unresolved,
        request: context.request_id,
        created_at: clock::now(),
    }
}
