//! Where events are posted to.

use std::fmt;
use std::str::FromStr;

use graphtag_runtime::source::has_wrong_port;
use http::Uri;

/// An address of the web. What follows its host may be a secret, as in Home Assistant's webhooks, and is
/// not displayed.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookAddress(Uri);

impl WebhookAddress {
    /// All of it.
    pub fn uri(&self) -> &Uri {
        &self.0
    }

    /// Name or number, without brackets.
    pub fn host(&self) -> &str {
        let host = self.0.host().unwrap_or_default();
        host.trim_matches(['[', ']'])
    }

    /// 80, or 443 for https, unless given.
    pub fn port(&self) -> u16 {
        let usual = if self.is_encrypted() { 443 } else { 80 };
        self.0.port_u16().unwrap_or(usual)
    }

    /// Whether it is https.
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

impl FromStr for WebhookAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "webhook: neither http://HOST[:PORT]/PATH nor https://...";
        let uri: Uri = text.parse().map_err(|_| WRONG)?;
        let authority = uri.authority().ok_or(WRONG)?;
        if authority.as_str().contains('@') {
            return Err(
                "webhook: a password in the address; give a token with --webhook-token-file",
            );
        }
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        if !known || authority.host().is_empty() || has_wrong_port(authority) {
            return Err(WRONG);
        }
        Ok(WebhookAddress(uri))
    }
}

impl fmt::Display for WebhookAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or_default();
        let authority = self
            .0
            .authority()
            .map_or("", |authority| authority.as_str());
        write!(formatter, "{scheme}://{authority}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_is_displayed() {
        let text = "https://home.local:8123/api/webhook/3f9a?key=1";
        let address: WebhookAddress = text.parse().unwrap();
        assert_eq!(address.to_string(), "https://home.local:8123");
        assert_eq!((address.host(), address.port()), ("home.local", 8123));
        assert_eq!(address.uri().to_string(), text);
    }

    #[test]
    fn a_port_that_is_not_given_is_the_scheme_s() {
        let port = |text: &str| text.parse::<WebhookAddress>().map(|address| address.port());
        assert_eq!(port("http://[::1]/events"), Ok(80));
        assert_eq!(port("https://home.local"), Ok(443));
    }

    #[test]
    fn others_are_refused_and_none_is_repeated() {
        for text in [
            "",
            "home.local",
            "ftp://home.local/secret",
            "/secret",
            "https://:443/secret",
            "https://home.local:99999/secret",
            "https://pi:secret@home.local/",
            "https://a b/secret",
        ] {
            let Err(error) = text.parse::<WebhookAddress>() else {
                panic!("{text} is taken");
            };
            assert!(error.starts_with("webhook: ") && !error.contains("secret"));
        }
    }
}
