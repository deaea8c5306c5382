//! 3-D Secure: the directory is asked who uses a card, once for each authentication; what became of it is asked of the directory,
//! never of a browser.
//!
//! 0. A record that nobody has a reason to use raises the alarm; an opening beyond the budget is frozen, with all that follow.
//! 1. The question is durable; an id that was used before stops here, and is told what is on record.
//! 2. Its access-ledger row is durable. The number is opened with the receipt of that row.
//! 3. The directory is asked once. What it says is on record before it is told; the authentication value never is.

use std::time::Duration;

use kura_platform::clock;
use kura_platform::tls::{Gateway, Peer};
use kura_wire::ids::{AuthenticationId, TokenUse};
use kura_wire::money::{Money, currency_code};
use kura_wire::three_d_secure::{
    Authenticate, Authentication, AuthenticationEnd, AuthenticationFlow, AuthenticationResult, FindAuthentication,
};
use kura_wire::vault::{Context, VaultErrorCode};
use uuid::Uuid;

use super::{Vault, authentication_uuid, merchant_uuid, store_error};
use crate::acquirer::Proof;
use crate::crypto::field::DataClass;
use crate::directory::{self, Question, Said};
use crate::egress::{Egress, EgressError};
use crate::guard::{About, Permit};
use crate::store::authentications::{self, AuthenticationRow, End};
use crate::store::cards::FoundCard;
use crate::store::openings::OpeningRow;

/// As the access ledger has it.
const PURPOSE: &str = "authenticate";
/// How much longer than the directory may take, until a question that it does not know was surely never asked.
const MARGIN: Duration = Duration::from_secs(2);

impl Vault {
    /// Asks the directory, once for each authentication id.
    ///
    /// # Errors
    /// Before anything was asked: `TokenUnknown`, `TokenUsed`, `AttemptMismatch`, `NetworkNotConfigured`, `Sealed`,
    /// `PurposeFrozen`, `ExposedCardRefused`, `SealedDataCorrupt`. `Overloaded` or `Internal` when in doubt.
    pub async fn authenticate(
        &self,
        peer: Peer<Gateway>,
        request: &Authenticate,
    ) -> Result<Authentication, VaultErrorCode> {
        let context = &request.context;
        let row = self.new_question(request);
        let Ok(keyring) = self.keyring() else {
            let found = self.same_question(&row).await?.ok_or(VaultErrorCode::Sealed)?;
            return self.look(self.services(context.livemode)?, &found).await;
        };
        let about = About::of(context, request.token.record);
        if self.guard.trips(&keyring.fingerprints, peer.name(), PURPOSE, &request.token.record, about).await {
            return self.fail(&row).await;
        }
        let services = self.services(context.livemode)?;
        if let Some(found) = self.same_question(&row).await? {
            return self.look(services, &found).await;
        }
        let card = self.find_card(context, request.token).await?;
        if request.token.allows == TokenUse::Single && card.spent_by.is_some() {
            return Err(VaultErrorCode::TokenUsed);
        }
        if card.exposed {
            self.use_exposed(context, card.id).await?;
        }
        let permit = self.guard.permit(peer.name(), PURPOSE, 1, about).await?;
        if !authentications::insert(&self.pool, &row).await.map_err(store_error)? {
            // Asked for twice at once.
            return Ok(Authentication::Unknown);
        }
        self.ask_directory(services, request, &row, card, permit).await
    }

    /// What became of it?
    ///
    /// # Errors
    /// `AuthenticationUnknown` when it never came here, or is another merchant's; `NetworkNotConfigured`; `Internal`.
    pub async fn find_authentication(&self, request: &FindAuthentication) -> Result<Authentication, VaultErrorCode> {
        let context = &request.context;
        let found = self.find_question(context, request.authentication).await?;
        self.look(self.services(context.livemode)?, &found).await
    }

    /// What proves to the issuer that this authentication took place, for an attempt of just this card and money. Nothing, where
    /// the card's range takes no part.
    ///
    /// # Errors
    /// `AuthenticationUnknown` for one that is not, is not over, was refused, or is of something else; `NetworkUnavailable` when
    /// the directory can't be asked.
    pub(super) async fn proof_of_authentication(
        &self,
        context: &Context,
        card: Uuid,
        money: Option<Money>,
        id: AuthenticationId,
    ) -> Result<Option<Proof>, VaultErrorCode> {
        let unknown = VaultErrorCode::AuthenticationUnknown;
        let row = self.find_question(context, id).await?;
        let ended = end_of(&row).filter(|end| !end.result.is_refusal()).ok_or(unknown)?;
        if row.card_id != card || money_of(&row) != money_words(money) {
            return Err(unknown);
        }
        if !ended.result.shifts_liability() {
            return Ok(ended.eci.map(|eci| Proof { eci, value: None, transaction_id: ended.transaction_id }));
        }
        match directory::find(self.services(context.livemode)?, id).await {
            Ok(Said::Ended { end, value }) if end == ended => Ok(directory::proof_of(Said::Ended { end, value })),
            // It once said something else.
            Ok(_) => Err(unknown),
            Err(_) => Err(VaultErrorCode::NetworkUnavailable),
        }
    }

    async fn find_question(
        &self,
        context: &Context,
        id: AuthenticationId,
    ) -> Result<AuthenticationRow, VaultErrorCode> {
        let found = authentications::find(&self.pool, authentication_uuid(id)).await.map_err(store_error)?;
        found
            .filter(|row| row.merchant_id == merchant_uuid(context.merchant) && row.livemode == context.livemode)
            .ok_or(VaultErrorCode::AuthenticationUnknown)
    }

    /// The question on record under this id, which must be the same in all that matters.
    async fn same_question(&self, row: &AuthenticationRow) -> Result<Option<AuthenticationRow>, VaultErrorCode> {
        let Some(found) = authentications::find(&self.pool, row.id).await.map_err(store_error)? else {
            return Ok(None);
        };
        let same = (found.merchant_id, found.livemode, found.card_id) == (row.merchant_id, row.livemode, row.card_id)
            && money_of(&found) == money_of(row);
        if same { Ok(Some(found)) } else { Err(VaultErrorCode::AttemptMismatch) }
    }

    async fn ask_directory(
        &self,
        services: &Egress,
        request: &Authenticate,
        row: &AuthenticationRow,
        card: FoundCard,
        permit: Permit,
    ) -> Result<Authentication, VaultErrorCode> {
        let (context, keyring) = (&request.context, self.keyring()?);
        let receipt = self.committer.open(permit.cover(opening(row, context))).await?;
        let opened = self.open_pan(&keyring, receipt, context.merchant, context.request_id, card.pan_sealed).await;
        let pan = match opened {
            Ok(pan) => pan,
            Err(code) => {
                // Nothing was asked and nothing will be.
                self.end(row, &unavailable()).await?;
                return Err(code);
            }
        };
        let question = Question {
            id: request.authentication,
            merchant: context.merchant,
            merchant_name: request.merchant_name.as_deref(),
            money: request.money,
            preference: request.preference,
            return_url: &request.return_url,
        };
        let said = directory::ask(services, question, &pan).await;
        drop(pan);
        match said {
            Ok(said) => self.hear(row, said).await,
            // It was surely not asked; who pays goes on without its word.
            Err(EgressError::Away) => self.end(row, &unavailable()).await,
            Err(EgressError::Refused(_)) => self.end(row, &unavailable()).await,
            Err(EgressError::Unknown | EgressError::Doubt) => Ok(Authentication::Unknown),
        }
    }

    /// Answers what is on record, else what the directory says.
    async fn look(&self, services: &Egress, row: &AuthenticationRow) -> Result<Authentication, VaultErrorCode> {
        if let Some(end) = end_of(row) {
            return Ok(Authentication::Ended(end));
        }
        match directory::find(services, AuthenticationId::from_bytes(row.id.into_bytes())).await {
            Ok(said) => self.hear(row, said).await,
            // It never got there. While it may be under way, that can change.
            Err(EgressError::Unknown) if row.created_at + services.patience() + MARGIN < clock::now() => {
                self.end(row, &unavailable()).await
            }
            Err(_) => Ok(Authentication::Unknown),
        }
    }

    /// Writes down what the directory said, then tells it.
    async fn hear(&self, row: &AuthenticationRow, said: Said) -> Result<Authentication, VaultErrorCode> {
        match said {
            Said::Challenge { url, transaction_id } => {
                authentications::mark_challenge(&self.pool, row.id, &url, &transaction_id)
                    .await
                    .map_err(store_error)?;
                Ok(Authentication::Challenge { url, transaction_id })
            }
            Said::Ended { end, .. } => self.end(row, &end).await,
        }
    }

    /// What is told is what is on record: somebody else may have heard first.
    async fn end(&self, row: &AuthenticationRow, end: &AuthenticationEnd) -> Result<Authentication, VaultErrorCode> {
        let written = End {
            result: end.result.as_str(),
            flow: end.flow.as_str(),
            eci: end.eci.as_deref(),
            transaction_id: end.transaction_id.as_deref(),
            at: clock::now(),
        };
        authentications::mark_ended(&self.pool, row.id, written).await.map_err(store_error)?;
        let found = authentications::find(&self.pool, row.id).await.map_err(store_error)?;
        let ended = found.as_ref().and_then(end_of).ok_or(VaultErrorCode::Internal)?;
        Ok(Authentication::Ended(ended))
    }

    /// A canary is not its holder's, as issuers say it. Nothing is opened and nothing is asked.
    async fn fail(&self, row: &AuthenticationRow) -> Result<Authentication, VaultErrorCode> {
        if let Some(found) = self.same_question(row).await? {
            return Ok(end_of(&found).map_or(Authentication::Unknown, Authentication::Ended));
        }
        authentications::insert(&self.pool, row).await.map_err(store_error)?;
        self.end(row, &AuthenticationEnd { result: AuthenticationResult::Failed, ..unavailable() }).await
    }

    fn new_question(&self, request: &Authenticate) -> AuthenticationRow {
        AuthenticationRow {
            id: authentication_uuid(request.authentication),
            merchant_id: merchant_uuid(request.context.merchant),
            livemode: request.context.livemode,
            node: self.node_number(),
            card_id: Uuid::from_bytes(request.token.record),
            amount_minor: request.money.map(|money| money.amount_minor),
            currency: request.money.map(|money| currency_code(money.currency)),
            created_at: clock::now(),
            transaction_id: None,
            result: None,
            flow: None,
            eci: None,
        }
    }
}

fn money_of(row: &AuthenticationRow) -> Option<(i64, String)> {
    row.amount_minor.zip(row.currency.clone())
}

fn money_words(money: Option<Money>) -> Option<(i64, String)> {
    money.map(|money| (money.amount_minor, currency_code(money.currency)))
}

/// How a question ended, as it is on record.
fn end_of(row: &AuthenticationRow) -> Option<AuthenticationEnd> {
    Some(AuthenticationEnd {
        result: AuthenticationResult::parse(row.result.as_deref()?)?,
        flow: AuthenticationFlow::parse(row.flow.as_deref()?)?,
        eci: row.eci.clone(),
        transaction_id: row.transaction_id.clone(),
    })
}

const fn unavailable() -> AuthenticationEnd {
    AuthenticationEnd {
        result: AuthenticationResult::Unavailable,
        flow: AuthenticationFlow::Frictionless,
        eci: None,
        transaction_id: None,
    }
}

fn opening(row: &AuthenticationRow, context: &Context) -> OpeningRow {
    OpeningRow {
        node: 0,
        sequence: 0,
        at: clock::now(),
        actor: String::new(),
        request_id: Uuid::from_bytes(*context.request_id.as_bytes()),
        merchant_id: row.merchant_id,
        record_id: row.card_id,
        class: DataClass::Card.as_str().to_owned(),
        records: 1,
        fields: vec!["pan".to_owned()],
        purpose: PURPOSE.to_owned(),
        // Openings are found by what they were for.
        attempt_id: Some(row.id),
    }
}
