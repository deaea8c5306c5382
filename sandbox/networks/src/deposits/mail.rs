//! What the networks would have mailed to payers who left an address. It follows from how requests stand; nothing is sent.

use serde::Serialize;

use super::desk::Desk;
use super::request::{Entry, Network, Standing};
use super::texts::Language;

/// Requests whose mails are shown.
const REQUESTS: usize = 50;

/// A mail that would have been sent.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Mail {
    pub(super) to: String,
    pub(super) at: String,
    pub(super) reference: String,
    pub(super) subject: &'static str,
    pub(super) lines: Vec<String>,
    pub(super) link: Option<String>,
}

/// The last ones, newest request first.
pub(super) fn mails(desk: &Desk, lang: Language) -> Vec<Mail> {
    let kept = desk.keeper.read();
    kept.last(REQUESTS).flat_map(|entry| of(desk, entry, lang)).collect()
}

fn of(desk: &Desk, entry: &Entry, lang: Language) -> Vec<Mail> {
    let asked = &entry.requested.asked;
    let Some(to) = asked.payer.email.clone() else { return Vec::new() };
    if entry.requested.refused.is_some() {
        return Vec::new();
    }
    let texts = lang.texts();
    let amount = format!("{}: {}", texts.amount, lang.yen(asked.amount_minor));
    let until = format!("{}: {}", texts.pay_until, super::pages::moment(asked.expires_at));
    let mail = |at, subject, lines, link| Mail {
        to: to.clone(),
        at: super::pages::moment(at),
        reference: asked.reference.0.to_string(),
        subject,
        lines,
        link,
    };
    let (subject, link) = match entry.requested.network {
        Network::Emoney => (texts.subject_approve, desk.wallet_url(entry)),
        Network::Konbini | Network::Payeasy => (texts.subject_numbers, desk.voucher_url(entry)),
    };
    let mut mails = vec![mail(entry.requested.at, subject, vec![amount.clone(), until], Some(link))];
    if matches!(entry.standing, Standing::Paid { .. }) {
        mails.push(mail(entry.since, texts.subject_receipt, vec![amount], None));
    }
    if entry.given_back_minor > 0 {
        let back = format!("{}: {}", texts.given_back, lang.yen(entry.given_back_minor));
        mails.push(mail(entry.since, texts.subject_back, vec![back], None));
    }
    mails.reverse();
    mails
}
