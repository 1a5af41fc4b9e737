//! The live page and the API: `openapi.json` describes it.

mod guard;
mod metrics;
mod preview;
mod routes;
mod server;
mod state;
mod streams;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::ends_within;
use super::live::Live;
use guard::Guard;
use routes::Service;

/// How long open connections may take to notice the end.
const FAREWELL: Duration = Duration::from_millis(300);

/// Where to serve, and to whom.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// The address; port 0 takes a free one.
    pub address: SocketAddr,
    /// What a client must know; `None` lets everyone in who reaches the address.
    pub token: Option<String>,
    /// The name of this device.
    pub name: String,
}

/// Answers the requests for `live` that come over one connection, as [`Web`] does for all, until `stopped`.
///
/// # Errors
/// When the client is too slow, breaks off, or does not speak HTTP.
pub async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    options: &HttpOptions,
    live: Arc<Live>,
    stopped: watch::Receiver<bool>,
) -> Result<()> {
    Ok(server::answer(stream, routes(options, live, stopped)).await?)
}

fn routes(options: &HttpOptions, live: Arc<Live>, stopped: watch::Receiver<bool>) -> Router {
    let guard = Guard::new(options.token.as_deref(), &options.name);
    let service = Service::new(live, options.name.clone(), stopped);
    routes::routes(Arc::new(service), guard)
}

/// The running server.
pub struct Web {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Web {
    /// Serves `live` in a thread of its own.
    ///
    /// # Errors
    /// When the address can't be had.
    pub fn start(options: &HttpOptions, live: Arc<Live>) -> Result<Self> {
        let address = options.address;
        let listener =
            TcpListener::bind(address).with_context(|| format!("http: address {address}"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .context("http")?;
        let (stop, stopped) = watch::channel(false);
        let routes = routes(options, live, stopped.clone());
        let running = thread::spawn(move || {
            if let Err(error) = runtime.block_on(server::serve(listener, routes, stopped)) {
                eprintln!("graphtag: http: {error}; the page and the API are gone");
            }
            runtime.shutdown_timeout(FAREWELL);
        });
        eprintln!("graphtag: live page at http://{address}/");
        Ok(Web { stop, running })
    }

    /// Ends open connections, or gives them up after a moment.
    pub fn finish(self) {
        self.stop.send_replace(true);
        ends_within(&self.running, 2 * FAREWELL);
    }
}
