//! Errors as pages. This is the one place that turns them into HTTP; their sources are logged here, once.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::client::Client;
use super::site::Refusal;
use crate::control::ControlError;
use crate::hasher::HashError;
use crate::store::StoreError;
use crate::text::Texts;

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageError {
    /// Nobody is signed in: on to the sign-in page, and back to here afterwards.
    NotSignedIn(Option<String>),
    /// Nothing at this address.
    NotFound,
    /// An enrolment link that is used, over, or never was.
    LinkGone,
    /// The role may not.
    Forbidden,
    /// The form's token is another session's, or the form another site's.
    Form,
    /// Another host was asked for.
    WrongHost,
    /// Address or form can't be read.
    Request,
    /// Too much at once.
    Busy,
    /// The gateway's control plane gave no answer.
    Gateway,
    /// Anything else; the log has it.
    Internal,
}

impl From<Refusal> for PageError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::WrongHost => Self::WrongHost,
            Refusal::CrossSite => Self::Form,
        }
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "store");
        if error.is_busy() { Self::Busy } else { Self::Internal }
    }
}

impl From<HashError> for PageError {
    fn from(error: HashError) -> Self {
        tracing::error!(%error, "password hashing");
        match error {
            HashError::Busy => Self::Busy,
            _ => Self::Internal,
        }
    }
}

impl From<ControlError> for PageError {
    fn from(error: ControlError) -> Self {
        tracing::error!(%error, "control plane");
        Self::Gateway
    }
}

impl From<askama::Error> for PageError {
    fn from(error: askama::Error) -> Self {
        tracing::error!(%error, "template");
        Self::Internal
    }
}

impl PageError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotSignedIn(_) => StatusCode::SEE_OTHER,
            Self::NotFound | Self::LinkGone => StatusCode::NOT_FOUND,
            Self::Forbidden | Self::Form => StatusCode::FORBIDDEN,
            Self::WrongHost => StatusCode::MISDIRECTED_REQUEST,
            Self::Request => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Gateway => StatusCode::BAD_GATEWAY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn words(&self, t: &'static Texts) -> (&'static str, &'static str) {
        match self {
            Self::NotFound => (t.error_not_found, t.error_not_found_lead),
            Self::LinkGone => (t.link_gone, t.link_gone_lead),
            Self::Forbidden => (t.error_forbidden, t.error_forbidden_lead),
            Self::Form => (t.error_form, t.error_form_lead),
            Self::WrongHost | Self::Request => (t.error_request, t.error_request_lead),
            Self::Busy => (t.error_busy, t.error_busy_lead),
            Self::Gateway => (t.error_gateway, t.error_gateway_lead),
            Self::NotSignedIn(_) | Self::Internal => (t.error_internal, t.error_internal_lead),
        }
    }

    /// What an answer that some layer made stands for.
    fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Self::NotFound,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => Self::Busy,
            status if status.is_client_error() => Self::Request,
            _ => Self::Internal,
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        if let Self::NotSignedIn(return_to) = &self {
            let next = return_to.as_deref().map_or_else(String::new, |path| {
                format!("?next={}", url::form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>())
            });
            return Redirect::to(&format!("/sign-in{next}")).into_response();
        }
        let mut answer = self.status().into_response();
        answer.extensions_mut().insert(self);
        answer
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    t: &'static Texts,
    title: &'static str,
    lead: &'static str,
    reference: String,
    go_home: bool,
}

/// Gives an error answer its page, in the reader's language. Answers that are pages already stay as they are.
pub fn render(answer: Response, client: Client) -> Response {
    let is_page = answer.headers().get(header::CONTENT_TYPE) == Some(&HTML);
    let status = answer.status();
    if is_page || !(status.is_client_error() || status.is_server_error()) {
        return answer;
    }
    let error = answer.extensions().get::<PageError>().cloned().unwrap_or_else(|| PageError::of_status(status));
    let (title, lead) = error.words(client.texts());
    let go_home = !matches!(error, PageError::LinkGone);
    let page = ErrorPage { t: client.texts(), title, lead, reference: client.request_id.to_string(), go_home }.render();
    match page {
        Ok(page) => (status, Html(page)).into_response(),
        Err(_) => status.into_response(),
    }
}

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
