//! Customers whom merchants keep: stored under the gateway's id, changed, erased, found by e-mail.

use kura_platform::clock;
use kura_platform::tls::{Gateway, Peer};
use kura_wire::ids::CustomerId;
use kura_wire::payer::{
    EraseCustomer, ErasedCustomer, FindCustomers, MAX_FOUND, PersonField, StoreCustomer, StoredCustomer, UpdateCustomer,
};
use kura_wire::vault::{Context, VaultErrorCode};
use uuid::Uuid;

use super::erase::{Act, RECORD};
use super::person::{PersonPlace, email_hash, masked, person_opening};
use super::{MAX_RESEALS, Vault, internal, merchant_uuid, store_error};
use crate::crypto::field::DataClass;
use crate::crypto::keyring::Keyring;
use crate::person::{Person, read_changes, read_person};
use crate::store::customers::{self, CustomerRow};
use crate::store::held::Table;

/// The table that all customers are in; part of what their sealed values are bound to.
const CUSTOMERS: &str = "customers";
const CLASS: DataClass = DataClass::Customer;
/// A customer's fields, as seals of its key.
const MAX_SEALS: i64 = 4;

fn owner(context: &Context) -> (Uuid, bool) {
    (merchant_uuid(context.merchant), context.livemode)
}

fn place_of(context: &Context, customer: CustomerId) -> PersonPlace {
    PersonPlace { table: CUSTOMERS, record: *customer.as_bytes(), merchant: context.merchant, class: CLASS }
}

impl Vault {
    /// Keeps a customer under the gateway's id. Asked again, it answers what is kept.
    ///
    /// # Errors
    /// The first field that is wrong; `CustomerUnknown` for an id that is taken or erased; `Sealed`; `Internal`.
    pub async fn store_customer(&self, request: &StoreCustomer) -> Result<StoredCustomer, VaultErrorCode> {
        let (keyring, context) = (self.keyring()?, &request.context);
        let person = read_person(CLASS, &request.fields)?;
        let (id, place) = (Uuid::from_bytes(*request.customer.as_bytes()), place_of(context, request.customer));
        for _ in 0..MAX_RESEALS {
            let key = keyring.deks.for_sealing(context.merchant, CLASS, MAX_SEALS).await;
            let key = key.map_err(|error| internal(&error))?;
            let row = CustomerRow {
                key_id: key.id(),
                sealed: place.seal(&key, &person)?,
                masked: masked(&person),
                email_hash: hash_of(&keyring, context, &person)?,
                updated_at: clock::now(),
            };
            if customers::insert(&self.pool, id, owner(context), &row).await.map_err(store_error)? {
                return Ok(StoredCustomer { customer: request.customer, masked: row.masked });
            }
            if let Some(kept) = customers::find(&self.pool, id, owner(context)).await.map_err(store_error)? {
                return Ok(StoredCustomer { customer: request.customer, masked: kept.masked });
            }
            if customers::is_taken(&self.pool, id).await.map_err(store_error)? {
                // Another merchant's, or erased.
                return Err(VaultErrorCode::CustomerUnknown);
            }
            keyring.deks.forget(key.id());
        }
        tracing::error!("each key was retired before its row was in");
        Err(VaultErrorCode::Internal)
    }

    /// Changes some of a customer's fields. Where the key was rotated meanwhile, the others are opened and sealed anew with
    /// them, which the ledger records.
    ///
    /// # Errors
    /// The first field that is wrong; `CustomerUnknown`; `SealedDataCorrupt`; `Sealed`; `Overloaded`; `Internal`.
    pub async fn update_customer(
        &self,
        peer: Peer<Gateway>,
        request: &UpdateCustomer,
    ) -> Result<StoredCustomer, VaultErrorCode> {
        let (keyring, context) = (self.keyring()?, &request.context);
        let set = read_changes(CLASS, &request.set)?;
        let id = Uuid::from_bytes(*request.customer.as_bytes());
        for _ in 0..MAX_RESEALS {
            let found = customers::find(&self.pool, id, owner(context)).await.map_err(store_error)?;
            let old = found.ok_or(VaultErrorCode::CustomerUnknown)?;
            let new = self.changed(&keyring, peer, request, &set, &old).await?;
            if customers::update(&self.pool, id, merchant_uuid(context.merchant), &old, &new)
                .await
                .map_err(store_error)?
            {
                return Ok(StoredCustomer { customer: request.customer, masked: new.masked });
            }
            keyring.deks.forget(new.key_id);
        }
        tracing::error!("the customer changed each time before its update was in");
        Err(VaultErrorCode::Internal)
    }

    async fn changed(
        &self,
        keyring: &Keyring,
        peer: Peer<Gateway>,
        request: &UpdateCustomer,
        set: &Person,
        old: &CustomerRow,
    ) -> Result<CustomerRow, VaultErrorCode> {
        let (context, place) = (&request.context, place_of(&request.context, request.customer));
        let key =
            keyring.deks.for_sealing(context.merchant, CLASS, MAX_SEALS).await.map_err(|error| internal(&error))?;
        let mut kept = old.sealed.clone();
        for field in PersonField::ALL {
            if set.of(field).is_some() || request.unset.contains(&field) {
                *kept.place(field) = None;
            }
        }
        let mut sealed = place.seal(&key, set)?;
        if key.id() == old.key_id {
            for field in PersonField::ALL {
                if let Some(value) = kept.place(field).take() {
                    *sealed.place(field) = Some(value);
                }
            }
        } else if kept.present().next().is_some() {
            let record = *request.customer.as_bytes();
            let row = person_opening(peer.name(), context, record, CLASS, kept.present(), "customer_update");
            let receipt = self.record_opening(row).await?;
            let opened = self.open_person(keyring, receipt, place, context.request_id, &kept).await?;
            let mut resealed = place.seal(&key, &opened)?;
            for field in PersonField::ALL {
                if let Some(value) = resealed.place(field).take() {
                    *sealed.place(field) = Some(value);
                }
            }
        }
        let mut shown = masked(set);
        for field in kept_fields(set, request) {
            *shown.place(field) = old.masked.of(field).cloned();
        }
        let email_hash = match (&set.email, request.unset.contains(&PersonField::Email)) {
            (Some(_), _) => hash_of(keyring, context, set)?,
            (None, true) => None,
            (None, false) => old.email_hash.clone(),
        };
        // Later than what it replaces even on a clock that stands still: the change is recognized by it.
        let updated_at = clock::now().max(old.updated_at + time::Duration::MICROSECOND);
        Ok(CustomerRow { key_id: key.id(), sealed, masked: shown, email_hash, updated_at })
    }

    /// Blanks a customer for good, with proof.
    ///
    /// # Errors
    /// `CustomerUnknown` for one that never was this merchant's; `Internal`.
    pub async fn erase_customer(
        &self,
        peer: Peer<Gateway>,
        request: &EraseCustomer,
    ) -> Result<ErasedCustomer, VaultErrorCode> {
        let id = Uuid::from_bytes(*request.customer.as_bytes());
        let context = &request.context;
        if customers::find(&self.pool, id, owner(context)).await.map_err(store_error)?.is_none() {
            return match customers::is_erased(&self.pool, id, owner(context)).await.map_err(store_error)? {
                true => Ok(ErasedCustomer { erased: false }),
                false => Err(VaultErrorCode::CustomerUnknown),
            };
        }
        let request_id = Uuid::from_bytes(*context.request_id.as_bytes());
        let act = Act { scope: RECORD, actor: peer.name().to_owned(), request_id };
        let erased = self.erase_record(&act, Table::Customers, id).await.map_err(|error| internal(&error))?;
        Ok(ErasedCustomer { erased: erased.is_some() })
    }

    /// The merchant's customers with this e-mail address, by the blind index. Nothing is opened.
    ///
    /// # Errors
    /// `Sealed`; `Internal`.
    pub async fn find_customers(&self, request: &FindCustomers) -> Result<Vec<CustomerId>, VaultErrorCode> {
        let (keyring, context) = (self.keyring()?, &request.context);
        let hash = email_hash(&keyring, context.merchant, CLASS, request.email.reveal_to_sealer())?;
        let limit = i64::try_from(MAX_FOUND).unwrap_or(i64::MAX);
        let found = customers::list_by_email(&self.pool, owner(context), &hash, limit).await.map_err(store_error)?;
        Ok(found.into_iter().map(|id| CustomerId::from_bytes(id.into_bytes())).collect())
    }
}

fn kept_fields(set: &Person, request: &UpdateCustomer) -> impl Iterator<Item = PersonField> {
    PersonField::ALL.into_iter().filter(|field| set.of(*field).is_none() && !request.unset.contains(field))
}

fn hash_of(keyring: &Keyring, context: &Context, person: &Person) -> Result<Option<Vec<u8>>, VaultErrorCode> {
    let email = person.email.as_ref();
    email.map(|email| email_hash(keyring, context.merchant, CLASS, email)).transpose()
}
