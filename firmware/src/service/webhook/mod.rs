//! Posts every event as JSON to an address of the web.
//!
//! The body is an [`EventReport`]. A secret signs it as GitHub's webhooks are signed: the header
//! `X-Hub-Signature-256` is `sha256=` and the HMAC-SHA256 of the body in hexadecimal. A token becomes
//! `Authorization: Bearer TOKEN`.

mod address;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use graphtag_runtime::stream::Observation;
use hmac::{Hmac, Mac};
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use sha2::Sha256;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

use super::ends_within;
use super::live::Live;
use super::report::{self, EventReport};
pub use address::WebhookAddress;

/// Events that may wait for the receiver.
const QUEUE: usize = 256;
/// How long a receiver may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often an event is posted before it is given up.
const ATTEMPTS: u32 = 5;
/// The wait before the second attempt; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest that a stop goes unnoticed between attempts.
const SLICE: Duration = Duration::from_millis(20);
/// How long the queue may take to empty at the end.
const FAREWELL: Duration = Duration::from_millis(500);
/// As GitHub names it, so that receivers know how to check it.
const SIGNATURE: &str = "X-Hub-Signature-256";

/// What to post where.
pub struct WebhookOptions {
    /// Where to.
    pub address: WebhookAddress,
    /// Signs every body.
    pub secret: Option<String>,
    /// Proves who posts.
    pub token: Option<String>,
    /// A certificate authority's PEM file; the system's authorities if `None`.
    pub authority: Option<Vec<u8>>,
}

/// The running sink.
pub struct Webhook {
    queue: SyncSender<EventReport>,
    live: Arc<Live>,
    address: WebhookAddress,
    lossless: bool,
    stopped: Arc<AtomicBool>,
    running: JoinHandle<()>,
}

impl Webhook {
    /// Posts in a thread of its own. What can't be delivered is counted in `live`. Where `lossless`, publishing and
    /// the end wait for a slow receiver; otherwise they don't.
    ///
    /// # Errors
    /// When there is no authority that could vouch for the receiver.
    pub fn start(options: WebhookOptions, lossless: bool, live: Arc<Live>) -> Result<Self> {
        let (queue, events) = sync_channel(QUEUE);
        let stopped = Arc::new(AtomicBool::new(false));
        let address = options.address.clone();
        let mut posting = Posting {
            agent: agent(&options)?,
            options,
            stopped: stopped.clone(),
            away: false,
        };
        let counted = live.clone();
        let running = thread::spawn(move || posting.run(&events, &counted.dropped.webhook));
        Ok(Webhook {
            queue,
            live,
            address,
            lossless,
            stopped,
            running,
        })
    }

    /// Queues the events of `observation`; when too many wait already, waits or drops them.
    pub fn publish(&self, observation: &Observation) {
        for event in report::events(observation) {
            if self.lossless {
                // It fails only when the thread has panicked, which says so itself.
                let _ = self.queue.send(event);
            } else if let Err(TrySendError::Full(_)) = self.queue.try_send(event) {
                let before = self.live.dropped.webhook.fetch_add(1, Ordering::Relaxed);
                if before == 0 {
                    eprintln!(
                        "graphtag: webhook {}: too slow, so that events are dropped",
                        self.address
                    );
                }
            }
        }
    }

    /// Posts what is queued, or gives up after a moment.
    pub fn finish(self) {
        drop(self.queue);
        let ended = if self.lossless {
            self.running.join().is_ok()
        } else {
            self.stopped.store(true, Ordering::Relaxed);
            ends_within(&self.running, FAREWELL)
        };
        let dropped = self.live.dropped.webhook.load(Ordering::Relaxed);
        let what = match (dropped, ended) {
            (0, true) => return,
            (0, false) => "the last events".to_owned(),
            (dropped, true) => format!("{dropped} events"),
            (dropped, false) => format!("{dropped} events and the last"),
        };
        eprintln!(
            "graphtag: webhook {}: {what} were not delivered",
            self.address
        );
    }
}

fn agent(options: &WebhookOptions) -> Result<Agent> {
    let mut config = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("graphtag/", env!("CARGO_PKG_VERSION")));
    if options.address.is_encrypted() {
        let authorities = match &options.authority {
            Some(pem) => certificates(pem)?,
            None => system_authorities()?,
        };
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&authorities))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        config = config.tls_config(tls.build());
    }
    Ok(config.build().new_agent())
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>> {
    let mut certificates = Vec::new();
    for item in ureq::tls::parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.context("webhook_authority")? {
            certificates.push(certificate);
        }
    }
    ensure!(
        !certificates.is_empty(),
        "webhook_authority: no certificate in it"
    );
    Ok(certificates)
}

fn system_authorities() -> Result<Vec<Certificate<'static>>> {
    let found = rustls_native_certs::load_native_certs().certs;
    ensure!(
        !found.is_empty(),
        "webhook: this system knows no certificate authority; install ca-certificates, or give --webhook-authority"
    );
    let certificates = found
        .iter()
        .map(|der| Certificate::from_der(der).to_owned());
    Ok(certificates.collect())
}

struct Posting {
    agent: Agent,
    options: WebhookOptions,
    stopped: Arc<AtomicBool>,
    /// Whether the last attempt failed.
    away: bool,
}

/// Why an event was not taken.
struct Failure {
    cause: String,
    /// Whether another attempt can't help.
    lasting: bool,
}

impl Posting {
    fn run(&mut self, events: &Receiver<EventReport>, dropped: &AtomicU64) {
        for event in events {
            let body = serde_json::to_string(&event).unwrap_or_default();
            if !self.deliver(&body) {
                dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Whether `body` was taken, at the latest attempt.
    fn deliver(&mut self, body: &str) -> bool {
        let mut wait = FIRST_WAIT;
        for _ in 0..ATTEMPTS {
            let address = &self.options.address;
            let Err(failure) = self.post(body) else {
                if self.away {
                    eprintln!("graphtag: webhook {address}: events are taken again");
                }
                self.away = false;
                return true;
            };
            if !self.away {
                eprintln!("graphtag: webhook {address}: {}", failure.cause);
            }
            self.away = true;
            if failure.lasting || self.is_stopped_after(wait) {
                return false;
            }
            wait *= 2;
        }
        false
    }

    fn post(&self, body: &str) -> Result<(), Failure> {
        let WebhookOptions {
            address,
            secret,
            token,
            ..
        } = &self.options;
        let mut request = self
            .agent
            .post(address.uri())
            .header(CONTENT_TYPE, "application/json");
        if let Some(secret) = secret {
            request = request.header(SIGNATURE, signature(secret, body));
        }
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let answer = request.send(body).map_err(|error| Failure {
            cause: format!("{}; trying again", cause(&error)),
            lasting: false,
        })?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status if is_passing(status) => Err(Failure {
                cause: format!("it answers {status}; trying again"),
                lasting: false,
            }),
            status => Err(Failure {
                cause: format!("it refuses events: {status}"),
                lasting: true,
            }),
        }
    }

    /// Waits, unless the end comes first.
    fn is_stopped_after(&self, wait: Duration) -> bool {
        let end = Instant::now() + wait;
        while Instant::now() < end && !self.stopped.load(Ordering::Relaxed) {
            thread::sleep(SLICE);
        }
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Whether the same request may be granted later.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        )
}

fn cause(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::HostNotFound => "there is no such host".into(),
        error => error.to_string(),
    }
}

/// `sha256=` and the HMAC-SHA256 (RFC 2104) of `body` with the key `secret`.
fn signature(secret: &str, body: &str) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(body.as_bytes());
    let bytes = mac.finalize().into_bytes();
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}

#[cfg(test)]
mod tests;
