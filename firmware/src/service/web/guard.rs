//! Who may ask: a token where there is one, and pages of other origins never.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The most time from the head of a request to that of its answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Everything that a page may load comes from here.
const POLICY: &str = "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 4] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
];

/// What is asked of every request.
#[derive(Clone)]
pub struct Guard {
    /// Hashed, so that comparing takes the same time for tokens of any length.
    token: Option<[u8; 32]>,
    names: Vec<String>,
}

impl Guard {
    /// Asks for `token`, or where there is none, that the client calls the device by an address or by `name`.
    pub fn new(token: Option<&str>, name: &str) -> Self {
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy().to_lowercase();
        let local = |name: &str| [name.to_owned(), format!("{name}.local")];
        Guard {
            token: token.map(digest),
            names: [local(&host), local(name), local("localhost")].concat(),
        }
    }

    fn client(&self, headers: &HeaderMap) -> Client {
        let given = text(headers, AUTHORIZATION).and_then(token_of);
        let shown = self.token.is_none_or(|expected| {
            given.is_some_and(|given| bool::from(digest(&given).ct_eq(&expected)))
        });
        if shown {
            Client::Known
        } else {
            Client::Stranger
        }
    }

    fn refusal(&self, request: &Request) -> Option<Response> {
        let headers = request.headers();
        let host = text(headers, HOST).unwrap_or_default();
        if text(headers, ORIGIN).is_some_and(|origin| !same_origin(origin, host)) {
            return Some((StatusCode::FORBIDDEN, "a page of another origin\n").into_response());
        }
        if self.token.is_none() {
            // A name that an attacker made point here (DNS rebinding) is none of ours.
            let known = is_address(host) || self.names.contains(&name_of(host));
            let refused = (
                StatusCode::FORBIDDEN,
                "not a name of this device; use its address\n",
            );
            return (!known).then(|| refused.into_response());
        }
        // Health is for load balancers and container engines, which know no token.
        if self.client(headers) == Client::Known || request.uri().path() == "/healthz" {
            return None;
        }
        let realm = [(
            WWW_AUTHENTICATE,
            "Basic realm=\"graphtag: any name, and the token as password\"",
        )];
        Some((StatusCode::UNAUTHORIZED, realm, "a token is needed\n").into_response())
    }
}

/// Whether a client has shown the token, where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// It has, or there is none.
    Known,
    /// It has not, and asks for what is open all the same.
    Stranger,
}

/// Refuses what [`Guard`] does not let in, and answers in time and with the headers of a safe page. Handlers find
/// the [`Client`] among the request's extensions.
pub async fn watch(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let client = guard.client(request.headers());
    request.extensions_mut().insert(client);
    let mut response = match guard.refusal(&request) {
        Some(refusal) => refusal,
        None => match tokio::time::timeout(ANSWER_TIME, next.run(request)).await {
            Ok(response) => response,
            Err(_) => (StatusCode::REQUEST_TIMEOUT, "too slow\n").into_response(),
        },
    };
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

fn digest(token: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The token of `Bearer TOKEN`, or the password of `Basic`, which browsers ask their users for.
fn token_of(authorization: &str) -> Option<Vec<u8>> {
    let (scheme, rest) = authorization.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().into());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = STANDARD.decode(rest.trim()).ok()?;
    let colon = pair.iter().position(|&byte| byte == b':')?;
    Some(pair[colon + 1..].into())
}

fn same_origin(origin: &str, host: &str) -> bool {
    origin
        .split_once("://")
        .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
}

fn name_of(host: &str) -> String {
    let authority = host.parse::<Authority>();
    authority
        .map(|authority| authority.host().to_lowercase())
        .unwrap_or_default()
}

fn is_address(host: &str) -> bool {
    let name = name_of(host);
    name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn status(guard: &Guard, headers: &[(HeaderName, &str)]) -> Option<StatusCode> {
        let mut request = Request::builder().uri("/api/state");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let refusal = guard.refusal(&request.body(Body::empty()).unwrap());
        refusal.map(|response| response.status())
    }

    #[test]
    fn a_name_that_is_not_ours_is_refused() {
        let guard = Guard::new(None, "porch");
        for host in [
            "127.0.0.1:8080",
            "[::1]:8080",
            "localhost",
            "porch.local:80",
            "PORCH",
        ] {
            assert_eq!(status(&guard, &[(HOST, host)]), None, "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "", "a b"] {
            let refused = Some(StatusCode::FORBIDDEN);
            assert_eq!(status(&guard, &[(HOST, host)]), refused, "{host}");
        }
    }

    #[test]
    fn a_page_of_another_origin_is_refused() {
        let guard = Guard::new(None, "porch");
        let from = |origin| status(&guard, &[(HOST, "127.0.0.1:8080"), (ORIGIN, origin)]);
        assert_eq!(from("http://127.0.0.1:8080"), None);
        for origin in ["http://127.0.0.1:9090", "https://evil.example", "null"] {
            assert_eq!(from(origin), Some(StatusCode::FORBIDDEN), "{origin}");
        }
    }

    #[test]
    fn only_the_token_opens() {
        let guard = Guard::new(Some("open sesame"), "porch");
        let with = |authorization| status(&guard, &[(HOST, "x"), (AUTHORIZATION, authorization)]);
        let basic = format!("Basic {}", STANDARD.encode("any:open sesame"));
        for authorization in ["Bearer open sesame", "bearer open sesame", &basic] {
            assert_eq!(with(authorization), None, "{authorization}");
        }
        let wrong = format!("Basic {}", STANDARD.encode("open sesame"));
        for authorization in [
            "Bearer open",
            "open sesame",
            "Basic !",
            "Digest open sesame",
            &wrong,
        ] {
            let refused = Some(StatusCode::UNAUTHORIZED);
            assert_eq!(with(authorization), refused, "{authorization}");
        }
        assert_eq!(status(&guard, &[]), Some(StatusCode::UNAUTHORIZED));
    }
}
