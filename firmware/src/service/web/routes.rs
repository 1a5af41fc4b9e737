//! What is served under which path.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router, middleware};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::guard::{self, Guard};
use super::preview::Preview;
use super::state::{self, StateReport};
use super::{metrics, streams};
use crate::service::live::Live;

/// Clients of streams at a time.
const STREAMS: usize = 64;
/// The most bytes of the body of a request.
const BODY_BYTES: usize = 4 << 10;

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

/// All paths.
pub fn routes(service: Arc<Service>, guard: Guard) -> Router {
    Router::new()
        .route(
            "/",
            get(file(
                "text/html; charset=utf-8",
                include_str!("page/index.html"),
            )),
        )
        .route(
            "/page.css",
            get(file("text/css", include_str!("page/page.css"))),
        )
        .route(
            "/page.js",
            get(file("text/javascript", include_str!("page/page.js"))),
        )
        .route(
            "/icon.svg",
            get(file("image/svg+xml", include_str!("page/icon.svg"))),
        )
        .route(
            "/api/openapi.json",
            get(file("application/json", include_str!("openapi.json"))),
        )
        .route("/api/state", get(get_state))
        .route("/api/events", get(get_events))
        .route("/api/snapshot.jpg", get(get_snapshot))
        .route("/api/thresholds/{label}", put(put_threshold))
        .route("/live.mjpg", get(get_pictures))
        .route("/metrics", get(get_metrics))
        .route("/healthz", get(get_health))
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
    Path(label): Path<String>,
    body: Bytes,
) -> Result<Json<Threshold>, Refusal> {
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

async fn get_health(State(service): Shared) -> Response {
    match service.live.unhealthy() {
        None => "ok\n".into_response(),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")).into_response(),
    }
}
