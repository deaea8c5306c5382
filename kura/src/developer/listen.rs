//! `kura listen`: events as they happen, forwarded to a server on one's own machine and signed as webhooks are.
//!
//! The signing secret follows from the API key, so it is the same every time; the gateway does not know it, and it opens nothing
//! there. The stream is resumed where it broke off; an event that comes twice is forwarded once.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use kura_platform::{clock, webhook_signature};
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::Connection;
use super::client::{self, Client};
use super::failure::Failure;
use super::sse::{Message, Parser};
use crate::terminal::{Style, note, say};

const FORWARD_WITHIN: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Events that are known to have been seen.
const REMEMBERED: usize = 10_000;

/// Forward events to a server on this machine as they happen, signed as webhooks are.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    /// Where to: http://localhost:4242/webhooks, or localhost:4242/webhooks; without it events are only shown
    #[arg(long, value_name = "URL", value_parser = address)]
    forward_to: Option<Url>,
    /// Only events of these kinds, such as customer.created,charge.succeeded
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    events: Vec<String>,
    /// Print the signing secret and end
    #[arg(long)]
    print_secret: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// End after so many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

fn address(text: &str) -> Result<Url, String> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&whole).map_err(|error| error.to_string())?;
    let usable = matches!(url.scheme(), "http" | "https") && url.host().is_some();
    if usable { Ok(url) } else { Err("an http or https address".to_owned()) }
}

/// Listens until it is stopped.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let client = arguments.connection.client()?;
    let secret = secret_of(client.key());
    if arguments.print_secret {
        say(&secret);
        return Ok(());
    }
    let mut listener = Listener {
        http: client::http()?,
        since: clock::now().unix_timestamp(),
        client,
        secret,
        arguments,
        last: None,
        seen: Seen::default(),
        done: 0,
    };
    listener.listen().await
}

/// What follows from a key can't lead back to it.
fn secret_of(key: &str) -> Zeroizing<String> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let tag = hmac::sign(&key, b"kura listen v1");
    let mut bytes = Zeroizing::new([0; 24]);
    bytes.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    webhook_signature::secret_of(&bytes)
}

/// The newest events that were seen.
#[derive(Debug, Default)]
struct Seen {
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Seen {
    /// Whether it is new.
    fn insert(&mut self, id: &str) -> bool {
        if !self.known.insert(id.to_owned()) {
            return false;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

struct Listener {
    client: Client,
    http: reqwest::Client,
    secret: Zeroizing<String>,
    arguments: Arguments,
    since: i64,
    last: Option<String>,
    seen: Seen,
    done: u64,
}

impl Listener {
    async fn listen(&mut self) -> Result<(), Failure> {
        let mut pause = FIRST_PAUSE;
        let mut connected = false;
        loop {
            let query = self.query();
            match self.client.stream("/v1/events/stream", &query, self.last.as_deref()).await {
                Ok(response) => {
                    if !connected {
                        self.ready();
                    }
                    (connected, pause) = (true, FIRST_PAUSE);
                    if self.enough() || self.follow(response).await? {
                        return Ok(());
                    }
                    note("the stream ended; resuming");
                }
                // What is wrong at the start is wrong; later it may pass, unless the key is gone.
                Err(failure) if !connected || failure.exit_code() <= 6 => return Err(failure),
                Err(failure) => note(&format!("{failure}; trying again")),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Until there was one to resume after, from the moment that this began.
    fn query(&self) -> Vec<(String, String)> {
        let kinds = self.arguments.events.iter().map(|kind| ("types[]".to_owned(), kind.clone()));
        let since = self.last.is_none().then(|| ("since".to_owned(), self.since.to_string()));
        kinds.chain(since).collect()
    }

    fn ready(&self) {
        let style = Style::stderr();
        note(&format!("{} signing secret {}", style.good("Ready."), style.bold(&self.secret)));
    }

    fn enough(&self) -> bool {
        self.arguments.count.is_some_and(|count| self.done >= count)
    }

    /// Whether enough came.
    async fn follow(&mut self, mut response: reqwest::Response) -> Result<bool, Failure> {
        let mut parser = Parser::default();
        while let Ok(Some(chunk)) = response.chunk().await {
            for message in parser.feed(&chunk) {
                self.last = Some(message.id.clone());
                if self.seen.insert(&message.id) {
                    self.forward(&message).await?;
                    self.done += 1;
                }
                if self.enough() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    async fn forward(&self, message: &Message) -> Result<(), Failure> {
        let event: Value = serde_json::from_str(&message.data)
            .map_err(|error| Failure::Other(format!("the stream holds what is no event: {error}")))?;
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
        let began = Instant::now();
        let outcome = match &self.arguments.forward_to {
            Some(url) => Some(self.send(url, message).await),
            None => None,
        };
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if self.arguments.json {
            let (status, failure) = match &outcome {
                Some(Ok(status)) => (Some(*status), None),
                Some(Err(failure)) => (None, Some(failure.as_str())),
                None => (None, None),
            };
            say(&json!({ "event": event, "status": status, "failure": failure, "ms": ms }).to_string());
            return Ok(());
        }
        let style = Style::stdout();
        let line = match &outcome {
            None => String::new(),
            Some(Ok(status)) if (200..300).contains(status) => format!("  {} {ms} ms", style.good(&status.to_string())),
            Some(Ok(status)) => format!("  {} {ms} ms", style.bad(&status.to_string())),
            Some(Err(failure)) => format!("  {}", style.bad(failure)),
        };
        say(&format!("{kind}  {}{line}", message.id));
        Ok(())
    }

    async fn send(&self, url: &Url, message: &Message) -> Result<u16, String> {
        let now = clock::now().unix_timestamp();
        let mut request = self.http.post(url.clone()).timeout(FORWARD_WITHIN);
        request = request.header("content-type", "application/json; charset=utf-8");
        for (name, value) in webhook_signature::headers(&[&self.secret], &message.id, now, &message.data) {
            request = request.header(name, value);
        }
        match request.body(message.data.clone()).send().await {
            Ok(response) => Ok(response.status().as_u16()),
            Err(error) if error.is_timeout() => Err("no answer in time".to_owned()),
            Err(_) => Err("can't be reached".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret is the same for a key, another for another, and does not show it.
    #[test]
    fn the_secret_follows_from_the_key() {
        assert_eq!(*secret_of("sk_test_a"), *secret_of("sk_test_a"));
        assert_ne!(*secret_of("sk_test_a"), *secret_of("sk_test_b"));
        assert!(secret_of("sk_test_a").starts_with("whsec_") && !secret_of("sk_test_a").contains("test"));
    }

    /// An address may leave out its scheme.
    #[test]
    fn addresses_are_read_kindly() {
        assert_eq!(address("localhost:4242/hooks").unwrap().as_str(), "http://localhost:4242/hooks");
        assert_eq!(address("https://shop.example/").unwrap().as_str(), "https://shop.example/");
        assert!(address("ftp://x/").is_err() && address("").is_err());
    }

    /// What was seen is known, the newest ten thousand of it.
    #[test]
    fn memory_is_bounded() {
        let mut seen = Seen::default();
        assert!(seen.insert("a") && !seen.insert("a"));
        for number in 0..REMEMBERED {
            seen.insert(&number.to_string());
        }
        assert_eq!((seen.known.len(), seen.order.len()), (REMEMBERED, REMEMBERED));
        assert!(seen.insert("a"), "long forgotten");
    }
}
