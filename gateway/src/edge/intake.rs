//! The first and the last room: every request is counted, named, bounded and searched here, and every answer dressed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};
use kura_platform::clock;
use kura_wire::ids::RequestId;

use super::body::MAX_BODY_LEN;
use super::limits::Allowance;
use super::request_log::{Asker, Asking};
use super::{envelope, pan_guard};
use crate::app::App;
use crate::codes::Code;
use crate::error::{ApiError, ApiResult};
use crate::signals::Place;

/// How long a body may take.
const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// How much of a body that is too large is still read and thrown away, so that its sender hears why.
const MAX_DRAINED_LEN: usize = 8 * 1024 * 1024;

/// Around every route.
pub async fn run(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = RequestId::from_bytes(kura_platform::random::bytes());
    let method = request.method().clone();
    let route = route_of(request.uri().path());
    let address = address_of(&app, &request);
    let asking = Asking::of(id, clock::now(), method.clone(), request.uri().path(), request.headers());
    let (allowance, response) = admit(&app, id, asking.asker(), address, request, next).await;
    let (status, took) = (response.status(), began.elapsed());
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(request_id = %id, %method, route, status = status.as_u16(), ms, "request");
    let code = response.extensions().get::<ApiError>().map(ApiError::code);
    let place = Place { address, route: format!("{method} {route}"), request: id };
    let logged = asking.ended(&app, &place, status, code, took).await;
    envelope::dress(&app, id, logged, allowance, response)
}

/// The path for the log: words of ours as they are, everything else (ids, and what strangers make up) as a star.
pub(super) fn route_of(path: &str) -> String {
    let word =
        |segment: &str| segment.len() <= 20 && segment.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let shown = |segment| if segment == "v1" || word(segment) { segment } else { "*" };
    path.split('/').take(8).map(shown).collect::<Vec<_>>().join("/")
}

fn address_of(app: &App, request: &Request) -> IpAddr {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip());
    client_address(request.headers(), peer, app.trusted_proxies)
}

async fn admit(
    app: &App,
    id: RequestId,
    asker: Asker,
    address: IpAddr,
    request: Request,
    next: Next,
) -> (Option<Allowance>, Response) {
    let mut allowance = match app.limits.take_for_address(address) {
        Ok(allowance) => Some(allowance),
        Err(error) => return (None, error.into_response()),
    };
    match app.limits.take_for_key(request.headers(), address) {
        Some(Ok(left)) => allowance = Some(left),
        Some(Err(error)) => return (None, error.into_response()),
        None => {}
    }
    let passed = async {
        let mut request = searched(app, address, request).await?;
        // Not before: whoever sends slowly must not hold a place that others could use.
        let _place = app.limits.enter()?;
        request.extensions_mut().insert(id);
        request.extensions_mut().insert(asker);
        request.extensions_mut().insert(ClientAddress(address));
        Ok::<_, ApiError>(next.run(request).await)
    };
    (allowance, passed.await.unwrap_or_else(IntoResponse::into_response))
}

/// Where a request comes from, as far as our own proxies can tell.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

/// The address that the outermost of our own proxies was reached from: each appends one, so what stands to the left of those
/// is a stranger's word. Whoever came past the proxies is who they are.
fn client_address(headers: &HeaderMap, peer: IpAddr, proxies: u8) -> IpAddr {
    let Some(skipped) = usize::from(proxies).checked_sub(1) else { return peer.to_canonical() };
    let mut told: Vec<&str> = Vec::new();
    for value in headers.get_all("x-forwarded-for") {
        told.extend(value.to_str().unwrap_or_default().split(',').map(str::trim));
    }
    let address = told.iter().rev().nth(skipped).and_then(|text| text.parse::<IpAddr>().ok());
    address.unwrap_or(peer).to_canonical()
}

/// The request with its body read, if there is nothing in it that looks like a card.
async fn searched(app: &App, address: IpAddr, request: Request) -> ApiResult<Request> {
    let (mut parts, body) = request.into_parts();
    let refused = |_| ApiError::new(Code::RawCardDataRefused);
    pan_guard::search_head(&parts.uri, &parts.headers).map_err(refused)?;
    let body = if body.is_end_stream() {
        Bytes::new()
    } else {
        let _place = app.limits.enter_body(address)?;
        read(&parts.headers, body).await?
    };
    let card_free = pan_guard::search(&parts.uri, &parts.headers, &body).map_err(refused)?;
    parts.extensions.insert(card_free);
    Ok(Request::from_parts(parts, Body::from(body)))
}

async fn read(headers: &HeaderMap, body: Body) -> ApiResult<Bytes> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse::<usize>().ok());
    if announced == Some(0) {
        return Ok(Bytes::new());
    }
    let reading = async {
        if announced.is_some_and(|len| len > MAX_BODY_LEN) {
            drain(body).await;
            return Err(ApiError::new(Code::BodyTooLarge));
        }
        let mut limited = Limited::new(body, MAX_BODY_LEN);
        match (&mut limited).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(ApiError::new(Code::BodyTooLarge)),
            Err(_) => Err(ApiError::new(Code::BodyMalformed)),
        }
    };
    tokio::time::timeout(BODY_DEADLINE, reading).await.unwrap_or_else(|_| Err(ApiError::new(Code::BodyTimeout)))
}

/// A sender that is still writing would see a broken connection instead of the answer.
async fn drain(mut body: Body) {
    let mut read = 0;
    while read < MAX_DRAINED_LEN {
        match body.frame().await {
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) | None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use tower::ServiceExt;

    /// A body whose sender has all the time in the world.
    fn endless() -> Body {
        let never = std::future::pending::<Option<Result<HeaderMap, std::convert::Infallible>>>();
        Body::new(http_body_util::Full::new(Bytes::from_static(b"a=1")).with_trailers(never))
    }

    /// Lets every spawned request come as far as it can.
    async fn settle() {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }

    fn ask(router: &Router, host: u32, body: Body) -> impl Future<Output = u16> + Send + 'static {
        let method = if body.is_end_stream() { "GET" } else { "POST" };
        let mut request = Request::builder().method(method).uri("/v1/tokens/x").body(body).unwrap();
        let address = Ipv4Addr::from_bits(0xc000_0200 + host);
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((address, 40000))));
        let router = router.clone();
        async move { router.oneshot(request).await.unwrap().status().as_u16() }
    }

    /// One host with slow bodies uses up its own places alone, and many hosts together keep nobody from asking without a
    /// body: no slow body holds a place among the requests at once.
    #[tokio::test]
    async fn slow_bodies_keep_nobody_else_out() {
        let router = crate::app::tests::without_backends().public_router();
        let per_address = u32::try_from(crate::edge::limits::BODIES_PER_ADDRESS.get()).unwrap();
        let mut slow = tokio::task::JoinSet::new();
        for _ in 0..per_address {
            slow.spawn(ask(&router, 1, endless()));
        }
        settle().await;
        assert_eq!(ask(&router, 1, endless()).await, 429, "no more for the slow host");
        assert_eq!(ask(&router, 2, Body::from("a=1")).await, 405, "a body of another host is read");
        for host in 2..=1024 / per_address {
            for _ in 0..per_address {
                slow.spawn(ask(&router, host, endless()));
            }
        }
        settle().await;
        assert_eq!(ask(&router, 99, Body::from("a=1")).await, 503, "all places for bodies are taken");
        for host in [1, 99] {
            assert_eq!(ask(&router, host, Body::empty()).await, 401, "what has no body needs none");
        }
        slow.abort_all();
        while slow.join_next().await.is_some() {}
        assert_eq!(ask(&router, 1, Body::from("a=1")).await, 405, "places are given back");
    }

    /// Without proxies the header counts for nothing; behind some of them, what stands left of what they appended does.
    #[test]
    fn only_our_own_proxies_are_believed() {
        let peer: IpAddr = "10.0.0.9".parse().unwrap();
        let told = |lines: &[&str], proxies| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            client_address(&headers, peer, proxies).to_string()
        };
        assert_eq!(told(&["192.0.2.1"], 0), "10.0.0.9");
        assert_eq!(told(&["192.0.2.1"], 1), "192.0.2.1");
        assert_eq!(told(&["203.0.113.5, 192.0.2.1"], 1), "192.0.2.1", "the left one is the sender's own");
        assert_eq!(told(&["203.0.113.5", "192.0.2.1, 10.0.0.1"], 2), "192.0.2.1", "over several lines");
        assert_eq!(told(&["::ffff:192.0.2.1"], 1), "192.0.2.1");
        assert_eq!(told(&["192.0.2.1"], 2), "10.0.0.9", "past the outer proxy");
        assert_eq!(told(&[], 1), "10.0.0.9");
        assert_eq!(told(&["unknown"], 1), "10.0.0.9");
    }

    /// The log names endpoints, not objects, and repeats nothing that a stranger made up.
    #[test]
    fn logged_routes_hold_no_ids() {
        let id = "pi_0123456789abcdefghjkmnpqrs";
        assert_eq!(route_of(&format!("/v1/payment_intents/{id}/confirm")), "/v1/payment_intents/*/confirm");
        assert_eq!(route_of("/4242424242424242"), "/*");
        assert_eq!(route_of("/"), "/");
    }
}
