//! Payers and customers: sealed field by field, found by e-mail, opened for a payment network alone.
//!
//! No call of any plane answers an open field. Opening needs a [`LedgerReceipt`], as a card's number does.

use kura_platform::clock;
use kura_wire::ids::{MerchantId, PayerId, RequestId};
use kura_wire::payer::{FindPayers, MAX_FOUND, PersonField, PersonFields, StorePayer, StoredPayer};
use kura_wire::vault::{Context, VaultErrorCode};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{MAX_RESEALS, Vault, internal, merchant_uuid, store_error};
use crate::commit::LedgerReceipt;
use crate::crypto::field::{DataClass, FieldKey, Place, Sealed};
use crate::crypto::keyring::Keyring;
use crate::person::{Person, class_of, mask, normalized_email, read_person, sealed_column};
use crate::store::openings::OpeningRow;
use crate::store::payers::{self, PayerRow};

/// The table that all payers are in; part of what their sealed values are bound to.
const PAYERS: &str = "payers";

/// Whose record of which class, in which table: what each of its fields is bound to.
#[derive(Clone, Copy)]
pub(super) struct PersonPlace {
    pub(super) table: &'static str,
    pub(super) record: [u8; 16],
    pub(super) merchant: MerchantId,
    pub(super) class: DataClass,
}

impl PersonPlace {
    fn of(&self, field: PersonField) -> Place<'_> {
        let (table, record) = (self.table, &self.record);
        Place { table, column: sealed_column(field), record, merchant: self.merchant, class: self.class }
    }

    /// Seals each field for its column.
    pub(super) fn seal(&self, key: &FieldKey, person: &Person) -> Result<PersonFields<Sealed>, VaultErrorCode> {
        person.try_map(|field, value| key.seal(self.of(field), value.as_bytes()).map_err(|error| internal(&error)))
    }
}

/// What may be shown of each field.
pub(super) fn masked(person: &Person) -> PersonFields<String> {
    let shown = person.try_map(|field, value| Ok::<_, std::convert::Infallible>(mask(field, value)));
    shown.unwrap_or_else(|never| match never {})
}

/// The blind index of a person's e-mail address.
pub(super) fn email_hash(
    keyring: &Keyring,
    merchant: MerchantId,
    class: DataClass,
    email: &str,
) -> Result<Vec<u8>, VaultErrorCode> {
    let index = keyring.fingerprints.email_index(merchant, class, &normalized_email(email));
    index.map_err(|error| internal(&error))
}

/// The ledger's row for opening a person's fields.
pub(super) fn person_opening(
    actor: &str,
    context: &Context,
    record: [u8; 16],
    class: DataClass,
    fields: impl Iterator<Item = PersonField>,
    purpose: &str,
) -> OpeningRow {
    OpeningRow {
        node: 0,
        sequence: 0,
        at: clock::now(),
        actor: actor.to_owned(),
        request_id: Uuid::from_bytes(*context.request_id.as_bytes()),
        merchant_id: merchant_uuid(context.merchant),
        record_id: Uuid::from_bytes(record),
        class: class.as_str().to_owned(),
        records: 1,
        fields: fields.map(|field| field.as_str().to_owned()).collect(),
        purpose: purpose.to_owned(),
        attempt_id: None,
    }
}

impl Vault {
    /// Checks a payer, seals each field under the gateway's id, answers what may be shown of it. Asked again, it answers what
    /// is kept.
    ///
    /// # Errors
    /// The first field that is wrong; `PayerUnknown` for an id that is taken or erased; `Sealed`; `Internal`.
    pub async fn store_payer(&self, request: &StorePayer) -> Result<StoredPayer, VaultErrorCode> {
        let (keyring, context) = (self.keyring()?, &request.context);
        let class = class_of(request.method);
        let person = read_person(class, &request.fields)?;
        let merchant = context.merchant;
        let place = PersonPlace { table: PAYERS, record: *request.payer.as_bytes(), merchant, class };
        let hash = match &person.email {
            Some(email) => Some(email_hash(&keyring, merchant, class, email)?),
            None => None,
        };
        let masked = masked(&person);
        let (id, owner) = (Uuid::from_bytes(place.record), (merchant_uuid(merchant), context.livemode));
        for _ in 0..MAX_RESEALS {
            let seals = i64::try_from(person.present().count()).map_err(|error| internal(&error))?;
            let key = keyring.deks.for_sealing(merchant, class, seals).await.map_err(|error| internal(&error))?;
            let row = PayerRow {
                id,
                merchant_id: owner.0,
                livemode: owner.1,
                class: class.as_str(),
                key_id: key.id(),
                sealed: &place.seal(&key, &person)?,
                masked: &masked,
                email_hash: hash.as_deref(),
                created_at: clock::now(),
            };
            if payers::insert(&self.pool, &row).await.map_err(store_error)? {
                return Ok(StoredPayer { payer: request.payer, masked });
            }
            if let Some(masked) =
                payers::find_masked(&self.pool, id, owner, class.as_str()).await.map_err(store_error)?
            {
                return Ok(StoredPayer { payer: request.payer, masked });
            }
            if payers::is_taken(&self.pool, id).await.map_err(store_error)? {
                // Another merchant's, mode's or method's, or erased.
                return Err(VaultErrorCode::PayerUnknown);
            }
            keyring.deks.forget(key.id());
        }
        tracing::error!("each key was retired before its row was in");
        Err(VaultErrorCode::Internal)
    }

    /// The merchant's payers of a method with this e-mail address, by the blind index. Nothing is opened.
    ///
    /// # Errors
    /// `EmailInvalid`; `Sealed`; `Internal`.
    pub async fn find_payers(&self, request: &FindPayers) -> Result<Vec<PayerId>, VaultErrorCode> {
        let (keyring, context, class) = (self.keyring()?, &request.context, class_of(request.method));
        let hash = email_hash(&keyring, context.merchant, class, request.email.reveal_to_sealer())?;
        let owner = (merchant_uuid(context.merchant), context.livemode);
        let limit = i64::try_from(MAX_FOUND).unwrap_or(i64::MAX);
        let found =
            payers::list_by_email(&self.pool, owner, class.as_str(), &hash, limit).await.map_err(store_error)?;
        Ok(found.into_iter().map(|id| PayerId::from_bytes(id.into_bytes())).collect())
    }

    /// Opens a payer for the network that needs it. The receipt says that the opening is on disk already; it is used up.
    ///
    /// # Errors
    /// `PayerUnknown` when there is no such payer; `SealedDataCorrupt`, which is an alert; `Internal`.
    pub async fn open_payer(
        &self,
        keyring: &Keyring,
        receipt: LedgerReceipt,
        class: DataClass,
        context: &Context,
    ) -> Result<Person, VaultErrorCode> {
        // Read after the ledger's row, and so under the key that is in force now, unless a rotation ends in this moment.
        let sealed = self.find_payer(context, receipt.record(), class).await?;
        let merchant = context.merchant;
        let place = PersonPlace { table: PAYERS, record: receipt.record().into_bytes(), merchant, class };
        self.open_person(keyring, receipt, place, context.request_id, &sealed).await
    }

    /// A payer's sealed fields.
    pub(super) async fn find_payer(
        &self,
        context: &Context,
        record: Uuid,
        class: DataClass,
    ) -> Result<PersonFields<Sealed>, VaultErrorCode> {
        let owner = (merchant_uuid(context.merchant), context.livemode);
        let found = payers::find(&self.pool, record, owner, class.as_str()).await;
        found.map_err(store_error)?.ok_or(VaultErrorCode::PayerUnknown)
    }

    /// Opens the fields of one record, with the receipt for it.
    pub(super) async fn open_person(
        &self,
        keyring: &Keyring,
        receipt: LedgerReceipt,
        place: PersonPlace,
        request: RequestId,
        sealed: &PersonFields<Sealed>,
    ) -> Result<Person, VaultErrorCode> {
        let place = PersonPlace { record: receipt.record().into_bytes(), ..place };
        let mut person = Person::default();
        for field in PersonField::ALL {
            let Some(sealed) = sealed.of(field) else { continue };
            match open_field(keyring, place.of(field), sealed).await? {
                Some(value) => *person.place(field) = Some(value),
                None => {
                    self.raise_unopenable(place.merchant, receipt.record(), request).await;
                    return Err(VaultErrorCode::SealedDataCorrupt);
                }
            }
        }
        Ok(person)
    }
}

/// `None` when it does not open: damaged, moved, or under a key of another merchant or class.
pub(super) async fn open_field(
    keyring: &Keyring,
    place: Place<'_>,
    sealed: &Sealed,
) -> Result<Option<Zeroizing<String>>, VaultErrorCode> {
    let Some(key_id) = sealed.key_id() else { return Ok(None) };
    let key = match keyring.deks.for_opening(place.merchant, place.class, key_id).await {
        Ok(key) => key,
        Err(error) if error.is_unopenable() => return Ok(None),
        Err(error) => return Err(internal(&error)),
    };
    let opened = key.open(place, sealed).ok();
    Ok(opened.and_then(|bytes| std::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.to_owned()))))
}
