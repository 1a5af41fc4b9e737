//! What is served under which path.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, put};
use axum::{Extension, Json, Router, middleware};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::guard::{self, Client, Guard};
use super::preview::Preview;
use super::state::{self, StateReport};
use super::{metrics, streams};
use crate::service::live::Live;

/// Clients of streams at a time.
const STREAMS: usize = 64;
/// The most bytes of the body of a request.
const BODY_BYTES: usize = 4 << 10;
/// The description of the API.
const OPENAPI: &str = include_str!("openapi.json");

/// What the handlers share.
pub struct Service {
    pub live: Arc<Live>,
    pub preview: Preview,
    pub stopped: watch::Receiver<bool>,
    name: String,
    streams: Arc<Semaphore>,
}

impl Service {
    pub fn new(live: Arc<Live>, name: String, stopped: watch::Receiver<bool>) -> Self {
        Service {
            live,
            preview: Preview::default(),
            stopped,
            name,
            streams: Arc::new(Semaphore::new(STREAMS)),
        }
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let place = self.streams.clone().try_acquire_owned();
        place.map_err(|_| Refusal(StatusCode::SERVICE_UNAVAILABLE, "too many viewers".into()))
    }
}

type Shared = State<Arc<Service>>;

/// Why a request was not granted.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(serde_json::json!({"error": self.1}))).into_response()
    }
}

/// The page, and the document that describes the rest.
fn files() -> [(&'static str, MethodRouter<Arc<Service>>); 6] {
    const HTML: &str = "text/html; charset=utf-8";
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    [
        ("/", get(file(HTML, include_str!("page/index.html")))),
        (
            "/page.css",
            get(file("text/css", include_str!("page/page.css"))),
        ),
        ("/page.js", get(file(SCRIPT, include_str!("page/page.js")))),
        (
            "/chart.js",
            get(file(SCRIPT, include_str!("page/chart.js"))),
        ),
        (
            "/icon.svg",
            get(file("image/svg+xml", include_str!("page/icon.svg"))),
        ),
        ("/api/openapi.json", get(file("application/json", OPENAPI))),
    ]
}

/// What [`OPENAPI`] describes.
fn api() -> [(&'static str, MethodRouter<Arc<Service>>); 7] {
    [
        ("/api/state", get(get_state)),
        ("/api/events", get(get_events)),
        ("/api/snapshot.jpg", get(get_snapshot)),
        ("/api/thresholds/{label}", put(put_threshold)),
        ("/live.mjpg", get(get_pictures)),
        ("/metrics", get(get_metrics)),
        ("/healthz", get(get_health)),
    ]
}

/// All paths.
pub fn routes(service: Arc<Service>, guard: Guard) -> Router {
    let paths = files().into_iter().chain(api());
    paths
        .fold(Router::new(), |router, (path, methods)| {
            router.route(path, methods)
        })
        .with_state(service)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(guard, guard::watch))
}

fn file(
    kind: &'static str,
    content: &'static str,
) -> impl Fn() -> std::future::Ready<([(axum::http::HeaderName, &'static str); 1], &'static str)> + Clone
{
    move || std::future::ready(([(CONTENT_TYPE, kind)], content))
}

async fn get_state(State(service): Shared) -> Json<StateReport> {
    Json(state::state(&service.name, &service.live))
}

async fn get_events(State(service): Shared) -> Result<Response, Refusal> {
    let place = service.place()?;
    Ok(streams::events(service, place))
}

async fn get_pictures(State(service): Shared) -> Result<Response, Refusal> {
    let place = service.place()?;
    Ok(streams::pictures(service, place))
}

async fn get_snapshot(State(service): Shared) -> Result<Response, Refusal> {
    let latest = service.live.latest().borrow().clone();
    let jpeg = match latest {
        Some(observation) => service.preview.of(&observation).await,
        None => None,
    };
    match jpeg {
        Some(jpeg) => Ok(([(CONTENT_TYPE, "image/jpeg")], jpeg).into_response()),
        None => Err(Refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "no picture at present".into(),
        )),
    }
}

/// The body of a request for a threshold, and of its answer.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Threshold {
    threshold: f32,
}

async fn put_threshold(
    State(service): Shared,
    label: Result<Path<String>, PathRejection>,
    body: Bytes,
) -> Result<Json<Threshold>, Refusal> {
    let Path(label) = label.map_err(|error| Refusal(error.status(), error.body_text()))?;
    let refusal = |problem: String| Refusal(StatusCode::UNPROCESSABLE_ENTITY, problem);
    let threshold: Threshold =
        serde_json::from_slice(&body).map_err(|error| refusal(error.to_string()))?;
    if !(0.0..=1.0).contains(&threshold.threshold) {
        return Err(refusal("the threshold is not from 0 to 1".into()));
    }
    let latest = service.live.latest().borrow().clone();
    let labels = latest
        .as_ref()
        .map(|latest| &*latest.labels)
        .unwrap_or_default();
    let Some(index) = labels.iter().position(|known| *known == label) else {
        return Err(Refusal(
            StatusCode::NOT_FOUND,
            format!("there is no label {label:?}"),
        ));
    };
    service
        .live
        .control
        .set_threshold(index, threshold.threshold);
    Ok(Json(threshold))
}

async fn get_metrics(State(service): Shared) -> Result<Response, Refusal> {
    let text = metrics::text(&service.live);
    let text =
        text.map_err(|error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response())
}

async fn get_health(State(service): Shared, Extension(client): Extension<Client>) -> Response {
    let problem = match (service.live.unhealthy(), client) {
        (None, _) => return "ok\n".into_response(),
        (Some(problem), Client::Known) => problem,
        // It may name the source, and what its program said.
        (Some(_), Client::Stranger) => "not ok".into(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_describes_every_path_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let described = document["paths"].as_object().unwrap().keys();
        let described: BTreeSet<&str> = described.map(String::as_str).collect();
        let served = api().map(|(path, _)| path);
        assert_eq!(described, BTreeSet::from(served));
    }
}
