//! What a plain payment by card does at the database, for many payments of one merchant at once ([`crate::lanes`]): it looks
//! for its customer and its card, and then come its two transactions.
//!
//! Plain is what most are: made and confirmed in one request, its card at hand, no proof of who the cardholder is, no invoice
//! behind it, nothing to be kept for later. All others go their own way; both ways share what is decided ([`Settling`]) and
//! how it is written.

use std::collections::{BTreeMap, HashMap};

use kura_platform::clock;
use kura_wire::ids::{CustomerId, PaymentIntentId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::settling::Settling;
use super::{Ending, asks_for_a_proof};
use crate::domain::books::{Movement, Network};
use crate::error::ApiError;
use crate::events::{self, Cause, Happened};
use crate::lanes::{Failed, Lanes, Work};
use crate::store::attempts::{self, Attempt, Kind};
use crate::store::cards::{self, Card};
use crate::store::charges;
use crate::store::customers::{self, Customer};
use crate::store::db::Db;
use crate::store::methods::Method;
use crate::store::payment_intents::{self, Intent};
use crate::store::timeline::{self, Entry, Line};
use crate::store::{Tenant, transfers};

/// The lanes of each kind of work.
pub struct Grouped {
    /// The customers that requests name.
    pub customers: Lanes<Customers>,
    /// The cards that they name.
    pub cards: Lanes<Cards>,
    /// Transaction 1.
    pub openings: Lanes<Openings>,
    /// Transaction 2.
    pub settlements: Lanes<Settlements>,
}

impl Grouped {
    /// All of them empty.
    pub fn new(db: &Db) -> Self {
        Self {
            customers: Lanes::new(Customers(db.clone())),
            cards: Lanes::new(Cards(db.clone())),
            openings: Lanes::new(Openings(db.clone())),
            settlements: Lanes::new(Settlements(db.clone())),
        }
    }
}

/// Looks for customers.
pub struct Customers(Db);

impl Work for Customers {
    type Job = CustomerId;
    type Done = Option<Customer>;

    async fn run(&self, tenant: Tenant, ids: &[CustomerId]) -> Result<Vec<Option<Customer>>, Failed> {
        let found = customers::find_many(&mut *self.0.of(tenant).await?, tenant, ids).await?;
        Ok(ids.iter().map(|id| found.iter().find(|customer| customer.id == *id).cloned()).collect())
    }
}

/// Looks for cards.
pub struct Cards(Db);

impl Work for Cards {
    type Job = [u8; 16];
    type Done = Option<Card>;

    async fn run(&self, tenant: Tenant, records: &[[u8; 16]]) -> Result<Vec<Option<Card>>, Failed> {
        let found = cards::find_many(&mut *self.0.of(tenant).await?, tenant, records).await?;
        Ok(records.iter().map(|record| found.iter().find(|card| card.record == *record).cloned()).collect())
    }
}

/// A new payment that is set going: transaction 1.
pub struct Opening {
    /// `processing`.
    pub intent: Intent,
    /// To be asked about.
    pub attempt: Attempt,
    /// When the recovery worker may ask about it.
    pub resolve_at: OffsetDateTime,
    /// Because of what.
    pub cause: Cause,
    /// That it was made.
    pub created: Happened,
    /// The same for the timeline, and that it is under way.
    pub entries: Vec<Entry>,
}

/// Writes [`Opening`]s.
pub struct Openings(Db);

impl Work for Openings {
    type Job = Opening;
    type Done = ();

    async fn run(&self, tenant: Tenant, jobs: &[Opening]) -> Result<Vec<()>, Failed> {
        let at = clock::now();
        let intents: Vec<&Intent> = jobs.iter().map(|job| &job.intent).collect();
        let opened: Vec<(&Attempt, OffsetDateTime)> = jobs.iter().map(|job| (&job.attempt, job.resolve_at)).collect();
        let lines: Vec<Line<'_>> =
            jobs.iter().flat_map(|job| timeline::lines(job.intent.id, job.cause.request, &job.entries)).collect();
        let mut tx = self.0.begin(tenant).await?;
        let made = payment_intents::insert_all(&mut tx, tenant, &intents).await?;
        if made != u64::try_from(jobs.len()).unwrap_or(u64::MAX) {
            return Err(ApiError::internal("a new payment that is there already").into());
        }
        attempts::insert_all(&mut tx, tenant, &opened).await?;
        let happened = jobs.iter().map(|job| (&job.cause, job.created.clone())).collect();
        events::tell_all(&mut tx, tenant, at, happened).await?;
        timeline::append_all(&mut tx, tenant, at, &lines).await?;
        tx.commit().await?;
        Ok(jobs.iter().map(|_| ()).collect())
    }
}

/// The end of a plain authorization: transaction 2.
pub struct Settlement {
    cause: Cause,
    attempt: Attempt,
    ending: Ending,
    card: Card,
}

/// What became of one.
pub enum Settled {
    /// The payment afterwards; it may have been settled by somebody else before.
    Done(Box<Intent>),
    /// Nothing: it is not plain any more.
    Otherwise,
}

fn is_plain(intent: &Intent) -> bool {
    intent.invoice.is_none() && intent.future_usage.is_none()
}

impl Settlement {
    /// Unless this is no plain one.
    pub fn of(cause: &Cause, attempt: &Attempt, ending: &Ending, card: Option<&Card>, intent: &Intent) -> Option<Self> {
        let plain = attempt.kind == Kind::Authorize
            && attempt.authentication.is_none()
            && !asks_for_a_proof(attempt, ending)
            && is_plain(intent);
        let (cause, attempt, ending) = (cause.clone(), attempt.clone(), ending.clone());
        card.filter(|_| plain).map(|card| Self { cause, attempt, ending, card: card.clone() })
    }

    fn settling(&self, tenant: Tenant, at: OffsetDateTime, told_processing: bool) -> Settling<'_> {
        let method = Some(Method::Card(self.card.clone()));
        let (attempt, ending) = (&self.attempt, &self.ending);
        Settling { tenant, attempt, ending, at, method, told_processing, happened: Vec::new() }
    }
}

/// Writes [`Settlement`]s.
pub struct Settlements(Db);

impl Work for Settlements {
    type Job = Settlement;
    type Done = Settled;

    async fn run(&self, tenant: Tenant, jobs: &[Settlement]) -> Result<Vec<Settled>, Failed> {
        let at = clock::now();
        let mut tx = self.0.begin(tenant).await?;
        let ids: Vec<Uuid> = jobs.iter().map(|job| Uuid::from_bytes(*job.attempt.intent.as_bytes())).collect();
        let locked = payment_intents::lock_all(&mut tx, tenant, &ids).await?;
        let mut intents: HashMap<PaymentIntentId, Intent> =
            locked.into_iter().map(|intent| (intent.id, intent)).collect();
        let plain: Vec<&Settlement> =
            jobs.iter().filter(|job| intents.get(&job.attempt.intent).is_some_and(is_plain)).collect();
        let ends: Vec<_> = plain.iter().map(|job| (job.attempt.id, job.ending.state(), job.ending.code())).collect();
        let first = attempts::mark_all_settled(&mut tx, tenant, &ends, at).await?;
        let first: HashMap<_, _> = first.into_iter().collect();

        let mut written = Written::default();
        for job in &plain {
            let Some(told_processing) = first.get(&job.attempt.id) else { continue };
            let intent = intents.get_mut(&job.attempt.intent);
            let intent = intent.ok_or_else(|| ApiError::internal("an attempt without its payment"))?;
            let mut settling = job.settling(tenant, at, *told_processing);
            intent.progress = settling.progress(intent.progress)?;
            let made = settling.authorization(intent, None)?;
            settling.tell_of_the_payment(intent)?;
            written.settled.push(intent.id);
            written.entries.push((job, settling.entries(&job.cause, made.word)));
            written.happened.extend(settling.happened.into_iter().map(|what| (&job.cause, what)));
            written.charges.extend(made.charge);
            if let Some((record, charged)) = made.used {
                *written.used.entry(record).or_default() |= charged;
            }
            if made.taken {
                written.moved.push((transfers::of_attempt(&job.attempt), (Movement::Capture, Network::Acquirer)));
            }
        }
        written.flush(&mut tx, tenant, at, &intents).await?;
        tx.commit().await?;
        Ok(jobs
            .iter()
            .map(|job| match intents.get(&job.attempt.intent) {
                Some(intent) if is_plain(intent) => Settled::Done(Box::new(intent.clone())),
                _ => Settled::Otherwise,
            })
            .collect())
    }
}

/// What a group's settlements write.
#[derive(Default)]
struct Written<'a> {
    settled: Vec<PaymentIntentId>,
    used: BTreeMap<[u8; 16], bool>,
    charges: Vec<charges::Charge>,
    moved: Vec<(transfers::Moving<'a>, (Movement, Network))>,
    happened: Vec<(&'a Cause, Happened)>,
    entries: Vec<(&'a Settlement, Vec<Entry>)>,
}

impl Written<'_> {
    async fn flush(
        self,
        conn: &mut kura_platform::database::PgConnection,
        tenant: Tenant,
        at: OffsetDateTime,
        intents: &HashMap<PaymentIntentId, Intent>,
    ) -> Result<(), Failed> {
        if self.settled.is_empty() {
            return Ok(());
        }
        let settled: Vec<&Intent> = self.settled.iter().filter_map(|id| intents.get(id)).collect();
        let lines: Vec<Line<'_>> = self
            .entries
            .iter()
            .flat_map(|(job, entries)| timeline::lines(job.attempt.intent, job.cause.request, entries))
            .collect();
        cards::mark_used(conn, tenant, &self.used, at).await?;
        charges::insert_all(conn, tenant, &self.charges.iter().collect::<Vec<_>>()).await?;
        transfers::insert_all(conn, tenant, &self.moved, at).await?;
        payment_intents::settle_all(conn, tenant, &settled).await?;
        events::tell_all(conn, tenant, at, self.happened).await?;
        timeline::append_all(conn, tenant, at, &lines).await?;
        Ok(())
    }
}
