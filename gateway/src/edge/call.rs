//! One shape for all endpoints of the API: a query (GET) or a command (POST), as a function from a context and parameters to
//! a JSON object.
//!
//! A command runs on a task of its own, so a merchant who hangs up half-way doesn't leave a payment half-way.

use std::future::Future;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use http_body_util::BodyExt;
use kura_platform::database::{PgTransaction, PooledConnection};
use kura_wire::ids::RequestId;
use kura_wire::vault::CvcRule;
use serde_json::{Map, Value};

use super::auth::{AuthenticatedMerchant, authenticate};
use super::idempotency::{self, Admission, Running};
use super::intake::{ClientAddress, route_of};
use super::request_log::Asker;
use super::{body, client_secret, envelope, pan_guard};
use crate::api_key::KeyKind;
use crate::app::App;
use crate::codes::Code;
use crate::endpoint::rights::{Access, KeyRule, Resource, Right};
use crate::error::{ApiError, ApiResult};
use crate::events::Cause;
use crate::request_ids::{RequestIds, SEED_LEN};
use crate::signals::{self, Place};
use crate::store::Tenant;
use crate::store::cards::Card;
use crate::store::idempotency::RowKey;

/// What an endpoint does with a request: from a context and the tree of parameters to a JSON object.
pub trait Work: Clone + Send + Sync + 'static {
    /// Does it.
    fn call(&self, context: Context, tree: Map<String, Value>) -> impl Future<Output = ApiResult<Value>> + Send;
}

impl<F, Fut> Work for F
where
    F: Fn(Context, Map<String, Value>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ApiResult<Value>> + Send + 'static,
{
    fn call(&self, context: Context, tree: Map<String, Value>) -> impl Future<Output = ApiResult<Value>> + Send {
        self(context, tree)
    }
}

/// Everything about a request but its parameters.
#[derive(Clone)]
pub struct Context {
    /// The process's state.
    pub app: App,
    /// With which key; none in a worker's own work.
    pub merchant: Option<AuthenticatedMerchant>,
    /// This request.
    pub request_id: RequestId,
    /// Its `Origin` header.
    pub origin: Option<String>,
    /// Its `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// Nobody ran this request before. Otherwise some of what it makes may be there already.
    pub first_run: bool,
    tenant: Tenant,
    seed: [u8; SEED_LEN],
    path_ids: Vec<String>,
    pub(crate) place: Option<Place>,
}

impl Context {
    /// A worker's own work for a merchant, which nobody asked for: a renewal, a clock that was turned. The seed follows from
    /// what is worked on, so a second run of the same work makes the same ids and meets what the first one made.
    pub fn working(app: App, tenant: Tenant, seed: [u8; SEED_LEN]) -> Self {
        Self {
            app,
            merchant: None,
            request_id: RequestId::from_bytes(kura_platform::random::bytes()),
            origin: None,
            idempotency_key: None,
            first_run: false,
            tenant,
            seed,
            path_ids: Vec::new(),
            place: None,
        }
    }

    /// A part of this request's work that others may have begun before: it makes the ids of its own seed.
    #[must_use]
    pub fn within(&self, seed: [u8; SEED_LEN]) -> Self {
        Self { seed, first_run: false, ..self.clone() }
    }

    /// Whose data, in which mode.
    pub fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// It came with a publishable key, so from anybody.
    pub fn is_publishable(&self) -> bool {
        self.merchant.as_ref().is_some_and(|merchant| merchant.kind() == KeyKind::Publishable)
    }

    /// Whose space of idempotency keys: all of a merchant's servers share one, whichever key they have. Our own work is done as
    /// with a secret one.
    fn scope(&self) -> KeyKind {
        match self.merchant.as_ref().map(AuthenticatedMerchant::kind) {
            Some(KeyKind::Publishable) => KeyKind::Publishable,
            Some(KeyKind::Secret | KeyKind::Restricted) | None => KeyKind::Secret,
        }
    }

    /// Tells those who watch, where an answer shows that somebody tries what is not theirs.
    pub fn watch(&self, asked: &[String], outcome: Result<&Value, &ApiError>) {
        let (Some(merchant), Some(place)) = (&self.merchant, &self.place) else { return };
        let signals = &self.app.signals;
        match outcome {
            Err(error) if error.code() == Code::ResourceMissing => signals.note_ids(asked, merchant.key(), place),
            Err(error) => {
                if let Some(kind) = signals::kind_of(error.code()) {
                    signals.note(kind, merchant.key(), place);
                }
            }
            // A list by a foreign object's id is empty.
            Ok(answer) if answer["object"] == "list" && answer["data"].as_array().is_some_and(Vec::is_empty) => {
                signals.note_ids(asked, merchant.key(), place);
            }
            Ok(_) => {}
        }
    }

    /// May this be done?
    ///
    /// # Errors
    /// 403 for a restricted key that was not given the right.
    pub fn require(&self, resource: Resource, access: Access) -> ApiResult<()> {
        self.merchant.as_ref().map_or(Ok(()), |merchant| merchant.require(resource, access))
    }

    /// What is to be done when no security code is at hand for this card. What nobody asked for goes on without.
    pub fn cvc_rule(&self, card: &Card) -> CvcRule {
        self.merchant.as_ref().map_or(CvcRule::Proceed, |merchant| merchant.cvc_rule(card))
    }

    /// The `{id}` of the path, parsed.
    ///
    /// # Errors
    /// 404 when it is not even well-formed: an absent object is absent.
    pub fn id<T: std::str::FromStr>(&self, what: &str) -> ApiResult<T> {
        self.raw_id().parse().map_err(|_| ApiError::missing(what, "id"))
    }

    /// The path's second id, as in `/v1/customers/{id}/payment_methods/{payment_method}`.
    ///
    /// # Errors
    /// 404 when it is not even well-formed.
    pub fn second_id<T: std::str::FromStr>(&self, what: &str) -> ApiResult<T> {
        let id = self.path_ids.get(1).map_or("", String::as_str);
        id.parse().map_err(|_| ApiError::missing(what, what))
    }

    /// The `{id}` of the path, as it is.
    pub fn raw_id(&self) -> &str {
        self.path_ids.first().map_or("", String::as_str)
    }

    /// A connection that shows the merchant's rows.
    ///
    /// # Errors
    /// The database's.
    pub async fn db(&self) -> ApiResult<PooledConnection> {
        Ok(self.app.db.of(self.tenant()).await?)
    }

    /// A transaction that shows the merchant's rows.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(&self) -> ApiResult<PgTransaction<'static>> {
        Ok(self.app.db.begin(self.tenant()).await?)
    }

    /// The ids that this request may hand out.
    pub fn ids(&self) -> RequestIds<'_> {
        RequestIds::new(&self.app.secrets.ids, self.seed)
    }

    /// On whose behalf things happen in this request.
    pub fn cause(&self) -> Cause {
        Cause {
            tenant: self.tenant(),
            request: self.merchant.as_ref().map(|_| self.request_id),
            idempotency_key: self.idempotency_key.clone(),
        }
    }

    /// For the vault.
    pub fn vault_context(&self) -> kura_wire::vault::Context {
        kura_wire::vault::Context {
            request_id: self.request_id,
            merchant: self.tenant().merchant(),
            livemode: self.tenant().livemode(),
        }
    }
}

/// Everything that both kinds have in common.
async fn context(app: &App, parts: &Parts, path: &RawPathParams) -> ApiResult<Context> {
    let request_id = parts.extensions.get::<RequestId>().copied();
    let request_id = request_id.ok_or_else(|| ApiError::internal("a request without an id"))?;
    let address =
        parts.extensions.get::<ClientAddress>().ok_or_else(|| ApiError::internal("a request from nowhere"))?.0;
    let place =
        Place { address, route: format!("{} {}", parts.method, route_of(parts.uri.path())), request: request_id };
    let merchant = authenticate(app, &parts.headers, &place).await?;
    if let Some(asker) = parts.extensions.get::<Asker>() {
        asker.is(&merchant);
    }
    envelope::refuse_unserved(&parts.headers)?;
    let origin =
        parts.headers.get(header::ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes()).into_owned());
    Ok(Context {
        app: app.clone(),
        tenant: merchant.tenant(),
        merchant: Some(merchant),
        request_id,
        origin,
        idempotency_key: None,
        first_run: true,
        seed: kura_platform::random::bytes(),
        path_ids: path.iter().map(|(_, id)| id.to_owned()).collect(),
        place: Some(place),
    })
}

fn require(context: &Context, right: Right) -> ApiResult<()> {
    let kind = context.merchant.as_ref().map_or(KeyKind::Secret, AuthenticatedMerchant::kind);
    let checked = match (kind, right.key) {
        (KeyKind::Publishable, KeyRule::Secret) => Err(ApiError::new(Code::SecretKeyRequired)),
        (KeyKind::Secret | KeyKind::Restricted, KeyRule::Publishable) => {
            Err(ApiError::new(Code::PublishableKeyRequired))
        }
        // What it may see, the client secret says.
        (KeyKind::Publishable, KeyRule::ClientSecret) => Ok(()),
        _ => context.require(right.resource, right.access),
    };
    checked.inspect_err(|error| context.watch(&[], Err(error)))
}

/// An endpoint: `GET` and `DELETE` have their parameters in the query, `POST` in the body; `POST` is done once for each
/// `Idempotency-Key`.
pub fn endpoint(method: MethodFilter, right: Right, work: impl Work) -> MethodRouter<App> {
    let serve = move |State(app): State<App>, path: RawPathParams, request: Request| {
        let work = work.clone();
        async move {
            if method == MethodFilter::GET {
                return read(&app, right, &path, request, work).await;
            }
            match receive(&app, right, &path, request).await {
                Ok(received) => run_command(received, work).await,
                Err(error) => error.into_response(),
            }
        }
    };
    on(method, serve)
}

/// A request that reads, as far as it is the same for all: who asks, whether he may, and his parameters.
///
/// # Errors
/// What the edge refuses.
pub async fn reading(
    app: &App,
    right: Right,
    path: &RawPathParams,
    parts: &Parts,
) -> ApiResult<(Context, Map<String, Value>)> {
    let context = context(app, parts, path).await?;
    require(&context, right)?;
    let tree = body::parse_form(parts.uri.query().unwrap_or_default().as_bytes())?;
    search(&tree)?;
    Ok((context, tree))
}

async fn read(app: &App, right: Right, path: &RawPathParams, request: Request, work: impl Work) -> Response {
    let (parts, _) = request.into_parts();
    let run = async {
        let (context, tree) = reading(app, right, path, &parts).await?;
        watched(&context, tree, work).await
    };
    match run.await {
        Ok(value) => json(StatusCode::OK, value.to_string()),
        Err(error) => error.into_response(),
    }
}

/// A command that may run as far as its form goes.
struct Received {
    context: Context,
    tree: Map<String, Value>,
    key: Option<String>,
    fingerprint: [u8; 32],
}

async fn receive(app: &App, right: Right, path: &RawPathParams, request: Request) -> ApiResult<Received> {
    let (parts, body) = request.into_parts();
    let context = context(app, &parts, path).await?;
    require(&context, right)?;
    // The intake has read it; this can neither wait nor fail.
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_else(|_| Bytes::new());
    let query = parts.uri.query().unwrap_or_default();
    let mut tree = body::parse(&parts.headers, &body)?;
    for (name, value) in body::parse_form(query.as_bytes())? {
        if tree.insert(name, value).is_some() {
            return Err(ApiError::with_message(
                Code::BodyMalformed,
                "Malformed parameters: one name in query and body.",
            ));
        }
    }
    search(&tree)?;
    // Deleting twice is deleting once, whatever the key.
    let key = if parts.method == Method::DELETE { None } else { idempotency::key_of(&parts.headers)? };
    let path = parts.uri.path().as_bytes();
    // One key is not given what was answered to another that may see more.
    let rights = context.merchant.as_ref().map(AuthenticatedMerchant::rights_words).unwrap_or_default();
    let parts = [parts.method.as_str().as_bytes(), path, query.as_bytes(), &body, rights.as_bytes()];
    let fingerprint = app.secrets.idempotency.tag(if rights.is_empty() { &parts[..4] } else { &parts });
    Ok(Received { context, tree, key, fingerprint })
}

fn search(tree: &Map<String, Value>) -> ApiResult<()> {
    tree.iter().try_for_each(|(name, value)| {
        let entry = Value::Object(std::iter::once((name.clone(), value.clone())).collect());
        pan_guard::search_tree(&entry).map_err(|_| ApiError::new(Code::RawCardDataRefused))
    })
}

async fn run_command(received: Received, work: impl Work) -> Response {
    let (app, request_id) = (received.context.app.clone(), received.context.request_id);
    let (tenant, scope) = (received.context.tenant(), received.context.scope());
    let key = received.key.clone();
    let done = tokio::spawn(async move {
        match received.key.clone() {
            None => respond(&received.context, watched(&received.context, received.tree, work).await).0,
            Some(key) => run_once(received, &key, work).await,
        }
    })
    .await;
    match done {
        Ok(response) => response,
        Err(error) => {
            if let Some(key) = key {
                let row = RowKey { tenant, scope, key: &key };
                let failed = ApiError::new(Code::InternalError);
                idempotency::conclude(&app, row, request_id, Err((&failed, ""))).await;
            }
            ApiError::internal(format_args!("a command ended early: {error}")).into_response()
        }
    }
}

async fn watched(context: &Context, tree: Map<String, Value>, work: impl Work) -> ApiResult<Value> {
    let asked = signals::ids_in(&context.path_ids, &tree);
    let outcome = work.call(context.clone(), tree).await.map_err(ApiError::once_begun);
    let outcome = client_secret::reveal(context, outcome);
    context.watch(&asked, outcome.as_ref());
    outcome
}

async fn run_once(received: Received, key: &str, work: impl Work) -> Response {
    let mut context = received.context;
    let app = context.app.clone();
    let row = RowKey { tenant: context.tenant(), scope: context.scope(), key };
    let request_id = context.request_id;
    let _runs = Running::enter(&app, request_id);
    let mut response = match idempotency::admit(&app, row, received.fingerprint, request_id).await {
        Err(error) => return error.into_response(),
        Ok(Admission::Replay { status, body, original }) => replay(status, body, original),
        Ok(Admission::Run { seed, first }) => {
            (context.seed, context.first_run) = (seed, first);
            context.idempotency_key = Some(key.to_owned());
            let outcome = watched(&context, received.tree, work).await;
            let (response, body, failed) = respond(&context, outcome);
            let outcome = match &failed {
                Some(error) => Err((error, body.as_str())),
                None => Ok(body.as_str()),
            };
            idempotency::conclude(&app, row, request_id, outcome).await;
            response
        }
    };
    if let Ok(value) = HeaderValue::try_from(key) {
        response.headers_mut().insert("idempotency-key", value);
    }
    response
}

/// The answer, its text (to be kept), and the error if it is one.
fn respond(context: &Context, outcome: ApiResult<Value>) -> (Response, String, Option<ApiError>) {
    match outcome {
        Ok(value) => {
            let body = value.to_string();
            (json(StatusCode::OK, body.clone()), body, None)
        }
        Err(error) => {
            let body = context.app.error_body(&error, Some(context.request_id)).to_string();
            (error.clone().into_response(), body, Some(error))
        }
    }
}

fn replay(status: u16, body: String, original: RequestId) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, body);
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));
    if let Ok(original) = HeaderValue::try_from(original.to_string()) {
        headers.insert(HeaderName::from_static("original-request"), original);
    }
    response
}

fn json(status: StatusCode, body: String) -> Response {
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, headers, Body::from(body)).into_response()
}

/// A router that answers with envelopes where it has no route.
pub fn with_fallbacks(router: Router<App>) -> Router<App> {
    router
        .fallback(|| async { ApiError::new(Code::UrlUnknown) })
        .method_not_allowed_fallback(|| async { ApiError::new(Code::MethodNotAllowed) })
}
