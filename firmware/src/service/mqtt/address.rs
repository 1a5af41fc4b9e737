//! How a broker is addressed.

use std::fmt;
use std::str::FromStr;

use graphtag_runtime::source::has_wrong_port;
use http::Uri;

/// `mqtt://[USER@]HOST[:PORT]`, or `mqtts://` for TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Name or number.
    pub host: String,
    /// 1883, or 8883 with TLS, unless given.
    pub port: u16,
    /// Who connects.
    pub user: Option<String>,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

impl FromStr for BrokerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("mqtt: {text} is not mqtt://[USER@]HOST[:PORT] or mqtts://...");
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let tls = match uri.scheme_str() {
            Some("mqtt") => false,
            Some("mqtts") => true,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        let user = authority.as_str().rsplit_once('@').map(|(user, _)| user);
        if user.is_some_and(|user| user.contains(':')) {
            return Err(
                "mqtt: a password belongs into a file; give it with --mqtt-password-file".into(),
            );
        }
        let host = authority.host().trim_matches(['[', ']']);
        if host.is_empty() || !matches!(uri.path(), "" | "/") || has_wrong_port(authority) {
            return Err(wrong());
        }
        Ok(BrokerAddress {
            host: host.into(),
            port: authority
                .port_u16()
                .unwrap_or(if tls { 8883 } else { 1883 }),
            user: user.map(Into::into),
            tls,
        })
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gives_host_port_user_and_encryption() {
        let address = |text: &str| {
            let broker: BrokerAddress = text.parse().unwrap();
            (broker.host, broker.port, broker.user, broker.tls)
        };
        let home = || "home.local".to_owned();
        assert_eq!(address("mqtt://home.local"), (home(), 1883, None, false));
        assert_eq!(address("mqtts://home.local/"), (home(), 8883, None, true));
        assert_eq!(
            address("mqtt://pi@home.local:99"),
            (home(), 99, Some("pi".into()), false)
        );
        assert_eq!(
            address("mqtt://[::1]:1884"),
            ("::1".into(), 1884, None, false)
        );
    }

    #[test]
    fn others_are_refused_and_a_password_is_not_repeated() {
        for text in [
            "home.local",
            "http://home.local",
            "mqtt://",
            "mqtt://a/b",
            "mqtt://home.local:99999",
            "mqtt://home.local:",
            "",
        ] {
            assert!(text.parse::<BrokerAddress>().is_err(), "{text}");
        }
        let error = "mqtt://pi:secret@home"
            .parse::<BrokerAddress>()
            .unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }
}
