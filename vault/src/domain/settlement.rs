//! What a network has settled on a day, handed on row by row. Nothing is opened, and the rows hold no card and no payer.

use kura_wire::notice::Network;
use kura_wire::settlement::{MAX_ROWS, ReadSettlement, SettlementPage, SettlementRow};
use kura_wire::vault::VaultErrorCode;

use super::Vault;

impl Vault {
    /// A page of a day.
    ///
    /// # Errors
    /// `NetworkNotConfigured`; `NetworkUnavailable` when the network gives no answer in its form.
    pub async fn settlement(&self, request: &ReadSettlement) -> Result<SettlementPage, VaultErrorCode> {
        let path = match request.network {
            Network::Card => "/cards/settlement",
            Network::Konbini => "/deposits/konbini/settlement",
            Network::Payeasy => "/deposits/payeasy/settlement",
            Network::Emoney => "/deposits/emoney/settlement",
        };
        let (day, after) = (request.day.to_string(), request.after.to_string());
        let egress = self.services(request.livemode)?;
        let page: SettlementPage = egress
            .get(path, &[("day", day.as_str()), ("after", after.as_str())])
            .await
            .map_err(|_| VaultErrorCode::NetworkUnavailable)?;
        if is_page(&page, request) {
            return Ok(page);
        }
        tracing::error!(network = request.network.as_str(), day, "a settlement that is not in its form");
        Err(VaultErrorCode::NetworkUnavailable)
    }
}

/// Rows of that day, in order, behind the place that was asked for; references are references, and amounts amounts.
fn is_page(page: &SettlementPage, request: &ReadSettlement) -> bool {
    let is_reference = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let mut last = request.after;
    page.rows.len() <= MAX_ROWS
        && !(page.has_more && page.rows.is_empty())
        && page.rows.iter().all(|row: &SettlementRow| {
            let ascends = row.sequence > last;
            last = row.sequence;
            ascends
                && row.at.to_offset(time::UtcOffset::UTC).date() == request.day
                && row.money.amount_minor > 0
                && is_reference(&row.network_reference)
                && row.original.as_deref().is_none_or(is_reference)
        })
}

#[cfg(test)]
mod tests {
    use kura_wire::money::{Currency, Money};
    use kura_wire::settlement::SettlementKind;
    use time::macros::{date, datetime};

    use super::*;

    fn row(sequence: u64) -> SettlementRow {
        SettlementRow {
            sequence,
            network_reference: "000000000001".to_owned(),
            original: None,
            kind: SettlementKind::Payment,
            money: Money { amount_minor: 100, currency: Currency::JPY },
            at: datetime!(2026-11-25 10:00 UTC),
        }
    }

    /// A page goes on only in its form: another day's row, a reference that is none, or rows out of order could hide a difference.
    #[test]
    fn pages_are_held_to_their_form() {
        let request = ReadSettlement { livemode: false, network: Network::Card, day: date!(2026 - 11 - 25), after: 4 };
        let fits = |rows: Vec<SettlementRow>, has_more| is_page(&SettlementPage { rows, has_more }, &request);
        assert!(fits(vec![row(5), row(9)], true));
        assert!(fits(vec![], false));
        assert!(!fits(vec![], true));
        assert!(!fits(vec![row(4)], false));
        assert!(!fits(vec![row(6), row(6)], false));
        assert!(!fits(vec![SettlementRow { at: datetime!(2026-11-26 00:00 UTC), ..row(5) }], false));
        assert!(!fits(vec![SettlementRow { original: Some("4242424242424242".to_owned()), ..row(5) }], false));
        assert!(!fits(
            vec![SettlementRow { money: Money { amount_minor: 0, currency: Currency::JPY }, ..row(5) }],
            false
        ));
    }
}
