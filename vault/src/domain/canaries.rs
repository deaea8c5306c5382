//! Records that nobody has a reason to use, among a merchant's own. To whoever reads the database they are cards like all
//! others; which they are is known by a keyed hash alone, and its key is in no database.

use kura_platform::{clock, random};
use kura_wire::card::CardSummary;
use kura_wire::guard::{MAX_CANARIES, MakeCanaries, SavedCard};
use kura_wire::ids::{CardToken, MerchantId, TokenUse};
use kura_wire::vault::{Context, VaultErrorCode};
use uuid::Uuid;

use super::tokenize::sealed_row;
use super::{Vault, internal, merchant_uuid, store_error};
use crate::card::{Card, Expiry, Pan};
use crate::commit::Inserted;
use crate::crypto::keyring::Keyring;
use crate::store::{canaries, cards};

/// A merchant that has no card yet: the first digits of the published test cards.
const TEST_BINS: [&str; 4] = ["424242", "555555", "353011", "601111"];
/// How far back canaries seem to have been made, in seconds: half a year.
const OLDEST_S: u32 = 180 * 86_400;
/// Between the card and its being saved, in milliseconds.
const SAVED_WITHIN_MS: u32 = 20_000;
/// Years until they expire, at the most.
const YEARS: u32 = 4;
/// Names that a canary may have where the merchant's cards have one.
const HOLDERS: [&str; 6] =
    ["HANAKO YAMADA", "TARO SATO", "YUKI TANAKA", "KENJI SUZUKI", "AKI KOBAYASHI", "MEI WATANABE"];

impl Vault {
    /// Makes canaries, and tells of each what the gateway keeps of a saved card.
    ///
    /// # Errors
    /// `Malformed`; `Sealed`; `Overloaded`; `Internal`. Those that were made before stay.
    pub async fn make_canaries(&self, request: &MakeCanaries) -> Result<Vec<SavedCard>, VaultErrorCode> {
        let keyring = self.keyring()?;
        let bin_fits = |bin: &String| bin.len() == 6 && bin.bytes().all(|digit| digit.is_ascii_digit());
        if !(1..=MAX_CANARIES).contains(&request.count) || !request.bin.as_ref().is_none_or(bin_fits) {
            return Err(VaultErrorCode::Malformed);
        }
        let models = match &request.bin {
            Some(bin) => vec![(bin.clone(), false)],
            None => self.models(request.merchant, request.livemode).await?,
        };
        let mut made = Vec::new();
        for _ in 0..request.count {
            let (bin, has_holder) = pick(&models).ok_or(VaultErrorCode::Internal)?;
            made.push(self.make_canary(&keyring, request, bin, *has_holder).await?);
        }
        Ok(made)
    }

    /// Retires all canaries and makes as many new ones. Retired ones are watched all the same.
    ///
    /// # Errors
    /// As [`Self::make_canaries`].
    pub async fn rotate_canaries(&self) -> Result<Vec<SavedCard>, VaultErrorCode> {
        let began = clock::now();
        let mut made = Vec::new();
        for group in canaries::list_groups(&self.pool).await.map_err(store_error)? {
            let merchant = MerchantId::from_bytes(group.merchant_id.into_bytes());
            for part in (0..group.active).collect::<Vec<_>>().chunks(usize::from(MAX_CANARIES)) {
                let count = u16::try_from(part.len()).unwrap_or(MAX_CANARIES);
                let request = MakeCanaries { merchant, livemode: group.livemode, count, bin: None };
                made.extend(self.make_canaries(&request).await?);
            }
            canaries::retire_older(&self.pool, group.merchant_id, group.livemode, began).await.map_err(store_error)?;
        }
        Ok(made)
    }

    /// The first digits of the merchant's own cards, and whether each has a name: canaries must not stand out.
    async fn models(&self, merchant: MerchantId, livemode: bool) -> Result<Vec<(String, bool)>, VaultErrorCode> {
        let own = cards::list_models(&self.pool, merchant_uuid(merchant), livemode).await.map_err(store_error)?;
        let none = || TEST_BINS.iter().map(|bin| ((*bin).to_owned(), false)).collect();
        Ok(if own.is_empty() { none() } else { own })
    }

    async fn make_canary(
        &self,
        keyring: &Keyring,
        request: &MakeCanaries,
        bin: &str,
        has_holder: bool,
    ) -> Result<SavedCard, VaultErrorCode> {
        let record: [u8; 16] = random::bytes();
        let card = draw_card(bin, has_holder)?;
        let fingerprint = keyring.fingerprints.for_merchant(request.merchant, &card.pan);
        let summary = CardSummary {
            brand: card.pan.brand(),
            bin: card.pan.bin(),
            last_four: card.pan.last_four(),
            exp_month: card.expiry.month,
            exp_year: card.expiry.year,
            fingerprint: fingerprint.map_err(|error| internal(&error))?,
        };
        // Watched before it exists, and in a transaction of its own: nothing in the rows ties them together.
        let owner = merchant_uuid(request.merchant);
        let hash = keyring.fingerprints.canary(&record);
        self.guard.watch(hash, owner, request.livemode).await.map_err(store_error)?;
        let created_at = clock::now() - time::Duration::seconds(i64::from(below(OLDEST_S)));
        let saved_at = created_at + time::Duration::milliseconds(1 + i64::from(below(SAVED_WITHIN_MS)));
        let context = Context {
            request_id: kura_wire::ids::RequestId::from_bytes(random::bytes()),
            merchant: request.merchant,
            livemode: request.livemode,
        };
        let mut row = sealed_row(keyring, &context, record, &card, &summary, TokenUse::Multi).await?;
        (row.created_at, row.saved_at) = (created_at, Some(saved_at));
        if self.committer.insert_card(row).await? == Inserted::KeyRetired {
            // Its key was retired under our hands: asked again, the next one has the new key.
            return Err(VaultErrorCode::Overloaded);
        }
        Ok(SavedCard {
            merchant: request.merchant,
            livemode: request.livemode,
            token: CardToken { allows: TokenUse::Multi, node: self.node, record },
            card: summary,
            created_at,
            saved_at,
        })
    }

    /// The merchants that have cards.
    ///
    /// # Errors
    /// `Internal`.
    pub async fn card_merchants(&self) -> Result<Vec<MerchantId>, VaultErrorCode> {
        let found: Vec<Uuid> = crate::store::deks::list_card_merchants(&self.pool).await.map_err(store_error)?;
        Ok(found.into_iter().map(|id| MerchantId::from_bytes(id.into_bytes())).collect())
    }
}

/// A card of these first digits that could exist, with years to go.
fn draw_card(bin: &str, has_holder: bool) -> Result<Card, VaultErrorCode> {
    let len = match bin.get(..2) {
        Some("34" | "37") => 15,
        Some("30" | "36" | "38" | "39") => 14,
        _ => 16,
    };
    let mut digits = bin.as_bytes().to_vec();
    while digits.len() + 1 < len {
        digits.push(b'0' + u8::try_from(below(10)).unwrap_or(0));
    }
    let with_check = |check: u8| Pan::parse(&[digits.as_slice(), &[check]].concat()).ok();
    let pan = (b'0'..=b'9').find_map(with_check).ok_or(VaultErrorCode::Malformed)?;
    let now = clock::now();
    let year = u16::try_from(now.year()).unwrap_or(u16::MAX) + 1 + u16::try_from(below(YEARS)).unwrap_or(0);
    let expiry = Expiry::parse(u8::try_from(1 + below(12)).unwrap_or(1), year, now)?;
    let holder = if has_holder { pick(&HOLDERS).map(|name| zeroize::Zeroizing::new((*name).to_owned())) } else { None };
    Ok(Card { pan, expiry, cvc: None, holder })
}

fn below(bound: u32) -> u32 {
    u32::from_be_bytes(random::bytes()) % bound
}

fn pick<T>(all: &[T]) -> Option<&T> {
    let bound = u32::try_from(all.len()).ok().filter(|len| *len > 0)?;
    all.get(usize::try_from(below(bound)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of any network's first digits a valid card is drawn, each time another one.
    #[test]
    fn drawn_cards_are_cards() {
        for bin in ["424242", "555555", "378282", "305693", "353011", "601111", "620000"] {
            let [first, second] = [draw_card(bin, false).unwrap(), draw_card(bin, true).unwrap()];
            assert_eq!(first.pan.bin(), bin);
            assert_ne!(first.pan.reveal_to_acquirer(), second.pan.reveal_to_acquirer());
            assert!(first.holder.is_none() && second.holder.is_some() && first.cvc.is_none());
        }
        assert!(draw_card("999999", false).is_err());
    }
}
