//! What a person sees when everything runs: where things are and what to do first.

use std::path::Path;
use std::time::Duration;

use super::bring_up::Facts;
use crate::ports::{Ports, url};
use crate::state::State;
use crate::terminal::{Style, say, spoken};

/// The cards worth trying.
const CARDS: &[(&str, &str)] = &[
    ("4242 4242 4242 4242", "approved"),
    ("4000 0000 0000 0002", "declined"),
    ("4000 0000 0000 9995", "declined: insufficient funds"),
    ("4000 0000 0000 0127", "declined: wrong CVC"),
    ("4000 0000 0000 6009", "the network never answers; resolved by asking it again"),
    ("4000 0000 0000 6017", "approved, but the answer is lost on the way"),
];

/// Prints the page.
pub(crate) fn print(workspace: &Path, state: &State, ports: &Ports, facts: &Facts, took: Duration) {
    let style = Style::stdout();
    let short = |below: &str| {
        let path = state.path(below);
        path.strip_prefix(workspace).unwrap_or(&path).display().to_string()
    };
    say(&format!("\n  {}  {}\n", style.bold("Kura is running"), style.dim(&format!("ready in {}", spoken(took)))));
    for (name, port, what) in [
        ("Shop", ports.fronts, "pay by card, as a shopper"),
        ("API", ports.gateway, "for merchants; Stripe's SDKs work with this base URL"),
        ("Console", ports.admin, "for admins, with a passkey"),
        ("Networks", ports.networks, "what the simulated acquirer has booked"),
    ] {
        say(&format!("    {name:<10}{}   {}", style.link(&url(port)), style.dim(what)));
    }

    say(&format!("\n  {}\n", style.bold("First")));
    say(&format!("    Pay: open {} with a test card, any later expiry, any CVC.", style.link(&url(ports.fronts))));
    say("    Charge from a shell:\n");
    for line in curl(&url(ports.gateway), &facts.merchants.main.sk_test) {
        say(&format!("      {line}"));
    }
    let quickstart = format!("{}/docs/quickstart", url(ports.gateway));
    say(&format!("\n    From there to a webhook and a refund: {}", style.link(&quickstart)));
    match &facts.enrolment {
        Some(link) => {
            say(&format!("\n    Become the admin {}:\n", style.dim("(this link works once, within 24 hours)")));
            say(&format!("      {}", style.link(link)));
        }
        None => say("\n    Make one more person an admin: cargo kura invite EMAIL"),
    }

    say(&format!("\n  {}\n", style.bold("Test cards")));
    for (number, what) in CARDS {
        say(&format!("    {number}   {}", style.dim(what)));
    }

    say("");
    for (name, what) in [
        ("Keys", short("keys.json")),
        ("Logs", short("logs")),
        ("Stop", "Ctrl-C; the data stays (start with --fresh to begin anew)".to_owned()),
    ] {
        say(&format!("  {}  {what}", style.bold(name)));
    }
    say("");
}

/// A charge that works as it stands.
fn curl(gateway: &str, key: &str) -> [String; 3] {
    [
        format!("curl {gateway}/v1/payment_intents \\"),
        format!("  -H 'Authorization: Bearer {key}' \\"),
        "  -d amount=1200 -d currency=jpy -d payment_method=pm_card_visa -d confirm=true".to_owned(),
    ]
}
