//! Certificates, a running acquirer, and a client that speaks ISO 8583 to it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // The helpers of a test fail as the test does.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kura_iso8583::{Class, Field, FrameReader, Message, Mti, Original};
use kura_networks::acquirer::Acquirer;
use kura_networks::three_d_secure::{CHALLENGE_LIFE, Directory};
use kura_networks::{http, iso_server};
use kura_platform::tls::TlsConfig;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub const ACQUIRER: &str = "acquirer.networks.example";
pub const VISA: &str = "4242424242424242";
pub const NEVER_ARRIVES: &str = "4000000000006009";
pub const ANSWER_LOST: &str = "4000000000006017";

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A folder of its own for each test, gone with it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("kura-networks-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A CA and certificates of it, in files.
pub struct Authority {
    name: &'static str,
    issuer: Issuer<'static, KeyPair>,
    ca: PathBuf,
}

impl Authority {
    pub fn new(folder: &Folder, name: &'static str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let ca = folder.path(&format!("{name}-ca.pem"));
        std::fs::write(&ca, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { name, issuer: Issuer::new(params, key), ca }
    }

    /// A certificate of this CA for this name; `trusted` is the CA that its holder trusts.
    pub fn identity(&self, folder: &Folder, host: &str, trusted: &Self) -> TlsConfig {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = folder.path(&format!("{}-{host}.pem", self.name));
        let private_key = folder.path(&format!("{}-{host}.key", self.name));
        std::fs::write(&certificate, params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        std::fs::write(&private_key, key.serialize_pem()).unwrap();
        TlsConfig { certificate, private_key, ca: trusted.ca.clone() }
    }
}

/// Sends requests and reads answers over one connection.
pub struct Client {
    stream: TlsStream<TcpStream>,
    frames: FrameReader,
}

impl Client {
    pub async fn connect(address: SocketAddr, tls: &TlsConfig) -> std::io::Result<Self> {
        Self::connect_with(address, tls.client_config().unwrap()).await
    }

    pub async fn connect_with(address: SocketAddr, tls: rustls::ClientConfig) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(ACQUIRER).unwrap();
        let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await?;
        Ok(Self { stream, frames: FrameReader::new() })
    }

    pub async fn send(&mut self, message: &Message) {
        self.send_bytes(&message.encode_frame()).await.unwrap();
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The next answer; `None` when the peer closed.
    pub async fn receive(&mut self) -> std::io::Result<Option<Message>> {
        loop {
            if let Some(message) = self.frames.next_message().unwrap() {
                return Ok(Some(message.unwrap()));
            }
            match self.stream.read(self.frames.spare()).await? {
                0 => return Ok(None),
                len => self.frames.filled(len),
            }
        }
    }

    pub async fn ask(&mut self, request: &Message) -> Message {
        self.send(request).await;
        timeout(Duration::from_secs(5), self.receive()).await.expect("an answer in time").unwrap().expect("an answer")
    }

    /// The response code of the answer, which must be the one to this request.
    pub async fn code(&mut self, request: &Message) -> String {
        let answer = self.ask(request).await;
        assert_eq!(answer.mti(), Mti::Answer(request.mti().class()));
        assert_eq!(answer.field(Field::Reference), request.field(Field::Reference));
        answer.field(Field::ResponseCode).unwrap().to_owned()
    }

    pub async fn is_silent(&mut self) -> bool {
        timeout(Duration::from_millis(300), self.receive()).await.is_err()
    }
}

pub fn reference(number: u64) -> String {
    format!("{number:012}")
}

fn message(class: Class, number: u64) -> Message {
    let mut message = Message::new(Mti::Request(class));
    message.set(Field::TransmittedAt, "1122101112").unwrap();
    message.set(Field::Stan, &format!("{:06}", number % 1_000_000)).unwrap();
    message.set(Field::Reference, &reference(number)).unwrap();
    message
}

/// 0100 or 0200 over 1000 yen.
pub fn payment(class: Class, number: u64, pan: &str) -> Message {
    let mut message = message(class, number);
    for (field, value) in [
        (Field::Pan, pan),
        (Field::ProcessingCode, "000000"),
        (Field::Amount, "000000001000"),
        (Field::Expiry, "9912"),
        (Field::EntryMode, "010"),
        (Field::ConditionCode, "59"),
        (Field::Terminal, "KURA0001"),
        (Field::Merchant, "SHOP00000000001"),
        (Field::Currency, "392"),
    ] {
        message.set(field, value).unwrap();
    }
    message.set_cvc("737").unwrap();
    message
}

/// Any other class about an earlier request, over this many yen.
pub fn about(class: Class, number: u64, original: &Message, amount_minor: u64) -> Message {
    let mut message = message(class, number);
    message.set_amount_minor(amount_minor).unwrap().set_original(&Original::of(original).unwrap()).unwrap();
    for (field, value) in
        [(Field::Terminal, "KURA0001"), (Field::Merchant, "SHOP00000000001"), (Field::Currency, "392")]
    {
        message.set(field, value).unwrap();
    }
    if class == Class::Financial {
        message.set(Field::ProcessingCode, "200000").unwrap();
    }
    message
}

pub fn echo(number: u64) -> Message {
    let mut message = message(Class::NetworkManagement, number);
    message.set(Field::NetworkManagementCode, "301").unwrap();
    message
}

/// An acquirer in this process, on ports of the system's choice.
pub struct Running {
    pub folder: Folder,
    pub networks: Authority,
    pub client: TlsConfig,
    pub iso: SocketAddr,
    pub http: String,
    stop: watch::Sender<bool>,
}

impl Running {
    pub fn start() -> Self {
        let folder = Folder::new();
        let networks = Authority::new(&folder, "networks");
        let server = networks.identity(&folder, ACQUIRER, &networks);
        let client = networks.identity(&folder, "client.networks.example", &networks);
        let cases = folder.path("three_d_secure.jsonl");
        let (directory, _) = Directory::open(&cases, "http://localhost", CHALLENGE_LIFE).unwrap();
        let (acquirer, _) = Acquirer::open(&folder.path("books.jsonl"), directory).unwrap();
        let acquirer = Arc::new(acquirer);
        let (iso, iso_address) = listen();
        let (web, web_address) = listen();
        let (stop, stopped) = watch::channel(false);
        let tls = iso_server::tls(&server).unwrap();
        tokio::spawn(iso_server::serve(iso, tls, Arc::clone(&acquirer), stopped));
        let handle = kura_platform::serve::handle_until_signal();
        tokio::spawn(kura_platform::serve::plain(web, http::router(acquirer, axum::Router::new()), handle));
        Self { folder, networks, client, iso: iso_address, http: format!("http://{web_address}"), stop }
    }

    pub async fn connect(&self) -> Client {
        Client::connect(self.iso, &self.client).await.unwrap()
    }

    pub fn stop(&self) {
        self.stop.send(true).unwrap();
    }

    pub fn journal(&self) -> String {
        std::fs::read_to_string(self.folder.path("books.jsonl")).unwrap()
    }

    /// Status and body.
    pub async fn get(&self, path: &str) -> (u16, String) {
        get(&format!("{}{path}", self.http)).await.unwrap()
    }

    pub async fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&self.get(path).await.1).unwrap()
    }
}

pub async fn get(url: &str) -> Option<(u16, String)> {
    let client = kura_platform::tls::public_http_client(Duration::from_secs(5)).unwrap();
    let response = client.get(url).send().await.ok()?;
    Some((response.status().as_u16(), response.text().await.ok()?))
}

pub fn listen() -> (TcpListener, SocketAddr) {
    let listener = kura_platform::serve::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// `networks.toml` for the program, with ports of the system's choice.
pub fn config_file(folder: &Folder, tls: &TlsConfig) -> PathBuf {
    let quoted = |path: &Path| serde_json::to_string(path).unwrap();
    let text = format!(
        "iso8583_listener = \"127.0.0.1:0\"\nhttp_listener = \"127.0.0.1:0\"\nservices_listener = \"127.0.0.1:0\"\n\
         public_url = \"http://localhost:0\"\nbooks = {books}\njournals = {journals}\n[tls]\n{tls}[services_tls]\n{tls}",
        books = quoted(&folder.path("new/books.jsonl")),
        journals = quoted(&folder.path("new")),
        tls = format_args!(
            "certificate = {}\nprivate_key = {}\nca = {}\n",
            quoted(&tls.certificate),
            quoted(&tls.private_key),
            quoted(&tls.ca),
        ),
    );
    let path = folder.path("networks.toml");
    std::fs::write(&path, text).unwrap();
    path
}
