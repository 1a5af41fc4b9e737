//! Accepts connections, a limited number at a time, and drops those that are too slow.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

/// Connections at a time; further ones wait for a place. A process may open 1,024 files unless told otherwise.
const CONNECTIONS: usize = 512;
/// The most time for the head of a request, and for an idle connection.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// The most bytes of the head of a request.
const HEAD_BYTES: usize = 16 << 10;
/// A client that takes nothing for so long is gone.
const UNTAKEN_MILLISECONDS: u32 = 10_000;

/// Serves `routes` until `stopped`.
///
/// # Errors
/// When the listener is not usable.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            _ = stopped.wait_for(|&stop| stop) => return Ok(()),
        };
        match accepted {
            Ok((stream, _)) => {
                let routes = routes.clone();
                tokio::spawn(async move {
                    // A connection that fails concerns its client alone.
                    let _ = connection(stream, routes).await;
                    drop(place);
                });
            }
            // Too many open files, or a client that left at once.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn connection(stream: TcpStream, routes: Router) -> hyper::Result<()> {
    // Latency and dead clients; without these options it works as well.
    let _ = stream.set_nodelay(true);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, UNTAKEN_MILLISECONDS);
    answer(stream, routes).await
}

/// Answers the requests that come over `stream`, one after the other.
///
/// # Errors
/// When the client is too slow, breaks off, or does not speak HTTP.
pub async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    routes: Router,
) -> hyper::Result<()> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
        .await
}
