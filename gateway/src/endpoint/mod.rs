//! Endpoints as they are declared: path, right, the type of their parameters and the type of their answer. From one
//! declaration come the route, the reading of parameters, the check of the key's rights, the expansion of ids in the answer,
//! and the OpenAPI document; so none of them can say something else than the others.

pub mod expand;
pub mod list;
pub mod openapi;
pub mod read;
pub mod rights;
pub mod types;

use std::future::Future;

use axum::Router;
use axum::routing::{MethodFilter, MethodRouter};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::app::App;
use crate::edge::call::{self, Context};
use crate::error::{ApiError, ApiResult};
use list::{List, ListParams};
use rights::{Access, KeyRule, Resource, Right};

/// An endpoint that takes nothing but what stands in its path.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// What one endpoint says of itself, for the document.
#[derive(Clone)]
pub struct Operation {
    /// Upper case.
    pub method: &'static str,
    /// With `{id}`.
    pub path: &'static str,
    /// Who may.
    pub right: Right,
    /// In a few words.
    pub summary: &'static str,
    /// It is a list, with the parameters of lists.
    pub listed: bool,
    /// The schema of its parameters.
    pub parameters: fn(&mut SchemaGenerator) -> Schema,
    /// The schema of its answer.
    pub answer: fn(&mut SchemaGenerator) -> Schema,
    /// What its answer comes as.
    pub content_type: &'static str,
}

/// The endpoints of one resource.
pub struct Routes {
    resource: Resource,
    router: Router<App>,
    operations: Vec<Operation>,
}

impl Routes {
    /// None yet.
    pub fn of(resource: Resource) -> Self {
        Self { resource, router: Router::new(), operations: Vec::new() }
    }

    /// `GET` of one object.
    #[must_use]
    pub fn get<P, R, F, Fut>(self, path: &'static str, summary: &'static str, work: F) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + JsonSchema + Send + 'static,
        F: Fn(Context, P) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ApiResult<R>> + Send + 'static,
    {
        let right = self.right(Access::Read);
        self.put::<P, R>(MethodFilter::GET, "GET", path, right, summary, false, move |context, tree| {
            run(work.clone(), context, tree)
        })
    }

    /// `GET` of a page of objects.
    #[must_use]
    pub fn list<P, R, F, Fut>(self, path: &'static str, summary: &'static str, work: F) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + JsonSchema + Send + 'static,
        F: Fn(Context, P, ListParams) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ApiResult<List<R>>> + Send + 'static,
    {
        let right = self.right(Access::Read);
        let work = move |context: Context, mut tree: Map<String, Value>| {
            let work = work.clone();
            async move {
                let asked = expand::take(&mut tree)?;
                let page = ListParams::take(&mut tree)?;
                let answer = work(context.clone(), read::read(tree)?, page).await?;
                let answer = serde_json::to_value(answer).map_err(ApiError::internal)?;
                expand::expand(&context, answer, &asked).await
            }
        };
        self.put::<P, List<R>>(MethodFilter::GET, "GET", path, right, summary, true, work)
    }

    /// `POST`: makes or changes something.
    #[must_use]
    pub fn post<P, R, F, Fut>(self, path: &'static str, summary: &'static str, work: F) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + JsonSchema + Send + 'static,
        F: Fn(Context, P) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ApiResult<R>> + Send + 'static,
    {
        let right = self.right(Access::Write);
        self.put::<P, R>(MethodFilter::POST, "POST", path, right, summary, false, move |context, tree| {
            run(work.clone(), context, tree)
        })
    }

    /// `POST` with a publishable key, from a browser.
    #[must_use]
    pub fn post_from_browsers<P, R, F, Fut>(self, path: &'static str, summary: &'static str, work: F) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + JsonSchema + Send + 'static,
        F: Fn(Context, P) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ApiResult<R>> + Send + 'static,
    {
        let right = Right { key: KeyRule::Publishable, ..self.right(Access::Write) };
        self.put::<P, R>(MethodFilter::POST, "POST", path, right, summary, false, move |context, tree| {
            run(work.clone(), context, tree)
        })
    }

    /// `GET` of one object, with a publishable key too where the object's client secret comes with it.
    #[must_use]
    pub fn get_by_client_secret<P, R, F, Fut>(self, path: &'static str, summary: &'static str, work: F) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + JsonSchema + Send + 'static,
        F: Fn(Context, P) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ApiResult<R>> + Send + 'static,
    {
        let right = Right { key: KeyRule::ClientSecret, ..self.right(Access::Read) };
        self.put::<P, R>(MethodFilter::GET, "GET", path, right, summary, false, move |context, tree| {
            run(work.clone(), context, tree)
        })
    }

    /// `DELETE`.
    #[must_use]
    pub fn delete<P, R, F, Fut>(self, path: &'static str, summary: &'static str, work: F) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + JsonSchema + Send + 'static,
        F: Fn(Context, P) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ApiResult<R>> + Send + 'static,
    {
        let right = self.right(Access::Write);
        self.put::<P, R>(MethodFilter::DELETE, "DELETE", path, right, summary, false, move |context, tree| {
            run(work.clone(), context, tree)
        })
    }

    fn right(&self, access: Access) -> Right {
        Right { key: KeyRule::Secret, resource: self.resource, access }
    }

    #[allow(clippy::too_many_arguments)] // Private: the five verbs above are its only callers.
    fn put<P: JsonSchema, R: JsonSchema>(
        mut self,
        filter: MethodFilter,
        method: &'static str,
        path: &'static str,
        right: Right,
        summary: &'static str,
        listed: bool,
        work: impl call::Work,
    ) -> Self {
        self.router = self.router.route(path, call::endpoint(filter, right, work));
        let parameters = |generator: &mut SchemaGenerator| generator.subschema_for::<P>();
        let answer = |generator: &mut SchemaGenerator| generator.subschema_for::<R>();
        let content_type = "application/json";
        self.operations.push(Operation { method, path, right, summary, listed, parameters, answer, content_type });
        self
    }

    /// `GET` of a stream, which reads its own parameters and answers in its own way.
    #[must_use]
    pub fn stream<P: JsonSchema>(
        mut self,
        path: &'static str,
        summary: &'static str,
        serve: fn(Right) -> MethodRouter<App>,
    ) -> Self {
        let right = self.right(Access::Read);
        self.router = self.router.route(path, serve(right));
        let parameters = |generator: &mut SchemaGenerator| generator.subschema_for::<P>();
        let answer = |generator: &mut SchemaGenerator| generator.subschema_for::<String>();
        let (method, listed, content_type) = ("GET", false, "text/event-stream");
        self.operations.push(Operation { method, path, right, summary, listed, parameters, answer, content_type });
        self
    }

    /// More of them.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.operations.extend(other.operations);
        self
    }

    /// The router, and what it says of itself.
    pub fn into_parts(self) -> (Router<App>, Vec<Operation>) {
        (self.router, self.operations)
    }
}

async fn run<P, R, F, Fut>(work: F, context: Context, mut tree: Map<String, Value>) -> ApiResult<Value>
where
    P: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
    F: Fn(Context, P) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ApiResult<R>> + Send + 'static,
{
    let asked = expand::take(&mut tree)?;
    let answer = work(context.clone(), read::read(tree)?).await?;
    let answer = serde_json::to_value(answer).map_err(ApiError::internal)?;
    expand::expand(&context, answer, &asked).await
}
