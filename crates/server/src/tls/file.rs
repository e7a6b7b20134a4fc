//! How a settings file says what secures bindings.
//!
//! Here are the keys and which of them exclude or need each other.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use tidegate_httpapi::{
    CertificateAuthorities, CertificateSource, ClientCertificates, HttpProtocols,
};

use super::{SslOptions, SslSettings};

/// `true`, `false`, or a table with `enabled` and the options.
pub(crate) struct SslValue {
    pub(crate) enabled: bool,
    /// A table's.
    pub(crate) options: Option<SslOptions>,
}

impl<'de> Deserialize<'de> for SslValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SslVisitor)
    }
}

impl<'de> Deserialize<'de> for SslSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = SslValue::deserialize(deserializer)?;
        Ok(Self {
            enabled: value.enabled,
            options: value.options.unwrap_or_default(),
        })
    }
}

struct SslVisitor;

impl<'de> Visitor<'de> for SslVisitor {
    type Value = SslValue;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("true, false or a table")
    }

    fn visit_bool<E: Error>(self, enabled: bool) -> Result<SslValue, E> {
        Ok(SslValue {
            enabled,
            options: None,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SslValue, A::Error> {
        let table = SslTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(SslValue {
            enabled: table.enabled,
            options: Some(table.options().map_err(A::Error::custom)?),
        })
    }
}

/// What secures https bindings. The certificate is `certificate` with `key`, or `pkcs12`, or `directory`;
/// files are read again when they have changed.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SslTable {
    /// Whether it is https. Default true, since there is a table.
    enabled: bool,
    /// The certificate's chain, PEM.
    certificate: Option<PathBuf>,
    /// Its key, PEM. Default: it is in the same file as the chain.
    key: Option<PathBuf>,
    /// A PKCS#12 file with chain and key.
    pkcs12: Option<PathBuf>,
    /// The password of the PKCS#12 file. Default: it has none.
    password: Option<String>,
    /// A directory of certificates, each of which answers for the names in it: `NAME.pem` with chain and key,
    /// `NAME.crt` beside `NAME.key`, or a folder with `fullchain.pem` and `privkey.pem`.
    directory: Option<PathBuf>,
    /// A file with a DER-encoded OCSP response to staple, read again as it changes. Default none.
    ocsp_response: Option<PathBuf>,
    /// Whether clients show a certificate. Default off.
    client_certificates: ClientCertificatesWord,
    /// A PEM file with the certificates of those who may issue clients' ones. Default none.
    client_authorities: Option<PathBuf>,
    /// A PEM file with lists of clients' certificates that were revoked. Default none.
    revocation_lists: Option<PathBuf>,
    /// Whether TLS 1.2 is spoken. Default true.
    tls12: bool,
    /// Whether TLS 1.3 is spoken. Default true.
    tls13: bool,
    /// Whether clients may resume sessions by tickets. Default true.
    session_tickets: bool,
}

impl Default for SslTable {
    fn default() -> Self {
        let options = SslOptions::default();
        Self {
            enabled: true,
            certificate: None,
            key: None,
            pkcs12: None,
            password: None,
            directory: None,
            ocsp_response: options.ocsp_response,
            client_certificates: ClientCertificatesWord::Off,
            client_authorities: None,
            revocation_lists: None,
            tls12: options.tls12,
            tls13: options.tls13,
            session_tickets: options.session_tickets,
        }
    }
}

#[derive(Clone, Copy, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ClientCertificatesWord {
    Off,
    Request,
    Require,
}

impl SslTable {
    fn options(self) -> Result<SslOptions, &'static str> {
        if !self.tls12 && !self.tls13 {
            return Err("with `tls12` and `tls13` both false, no version of TLS is left");
        }
        let client_certificates = self.client_certificates()?;
        Ok(SslOptions {
            ocsp_response: self.ocsp_response.clone(),
            client_certificates,
            tls12: self.tls12,
            tls13: self.tls13,
            session_tickets: self.session_tickets,
            certificate: self.source()?,
        })
    }

    fn client_certificates(&self) -> Result<ClientCertificates, &'static str> {
        use ClientCertificatesWord::{Off, Request, Require};
        let word = self.client_certificates;
        let Some(file) = self.client_authorities.clone() else {
            return match (word, &self.revocation_lists) {
                (Off, None) => Ok(ClientCertificates::Off),
                (Off, Some(_)) => Err("`revocation_lists` needs `client_authorities`"),
                (Request | Require, _) => Err(
                    "`client_certificates` needs `client_authorities`, a PEM file with the \
                     certificates of those who may issue them",
                ),
            };
        };
        let authorities = CertificateAuthorities {
            file,
            revocation_lists: self.revocation_lists.clone(),
        };
        match word {
            Off => {
                Err("`client_authorities` needs `client_certificates`: \"request\" or \"require\"")
            }
            Request => Ok(ClientCertificates::Request(authorities)),
            Require => Ok(ClientCertificates::Require(authorities)),
        }
    }

    fn source(self) -> Result<Option<CertificateSource>, &'static str> {
        if self.key.is_some() && self.certificate.is_none() {
            return Err("`key` needs `certificate`");
        }
        if self.password.is_some() && self.pkcs12.is_none() {
            return Err("`password` needs `pkcs12`");
        }
        Ok(match (self.certificate, self.pkcs12, self.directory) {
            (None, None, None) => None,
            (Some(chain), None, None) => Some(CertificateSource::Pem {
                // Both may be in one file.
                key: self.key.unwrap_or_else(|| chain.clone()),
                chain,
            }),
            (None, Some(path), None) => Some(CertificateSource::Pkcs12 {
                path,
                password: self.password.unwrap_or_default(),
            }),
            (None, None, Some(path)) => Some(CertificateSource::Directory(path)),
            _ => return Err("there is one of `certificate`, `pkcs12` and `directory`"),
        })
    }
}

/// Reads the versions of HTTP that are offered: `["http1"]`, `["http2"]` or both.
pub(crate) fn protocols<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<HttpProtocols, D::Error> {
    let words = Vec::<ProtocolWord>::deserialize(deserializer)?;
    if words.is_empty() {
        return Err(D::Error::custom(
            "there is at least one of `http1` and `http2`",
        ));
    }
    Ok(HttpProtocols {
        http1: words.contains(&ProtocolWord::Http1),
        http2: words.contains(&ProtocolWord::Http2),
    })
}

/// As [`protocols`], where they may be left out.
pub(crate) fn some_protocols<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<HttpProtocols>, D::Error> {
    protocols(deserializer).map(Some)
}

#[derive(Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ProtocolWord {
    Http1,
    Http2,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SslSettings, String> {
        #[derive(Debug, Deserialize)]
        struct File {
            ssl: SslSettings,
        }
        let file: Result<File, _> = toml::from_str(text);
        file.map(|file| file.ssl)
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_table_enables_and_fills_the_options() {
        let ssl = read(
            r#"
            [ssl]
            certificate = "a.crt"
            key = "a.key"
            ocsp_response = "a.ocsp"
            client_certificates = "require"
            client_authorities = "ca.pem"
            revocation_lists = "ca.crl"
            tls12 = false
            session_tickets = false
            "#,
        );
        let mut options = SslOptions::pem("a.crt", "a.key");
        options.ocsp_response = Some("a.ocsp".into());
        options.client_certificates = ClientCertificates::Require(CertificateAuthorities {
            file: "ca.pem".into(),
            revocation_lists: Some("ca.crl".into()),
        });
        options.tls12 = false;
        options.session_tickets = false;
        let enabled = true;
        assert_eq!(ssl, Ok(SslSettings { enabled, options }));
    }

    #[test]
    fn each_kind_of_certificate_has_its_keys() {
        let options = |text: &str| read(&format!("[ssl]\n{text}")).unwrap().options;
        assert_eq!(
            options("certificate = 'a.pem'"),
            SslOptions::pem("a.pem", "a.pem")
        );
        assert_eq!(
            options("pkcs12 = 'a.p12'\npassword = 'x'"),
            SslOptions::pkcs12("a.p12", "x")
        );
        assert_eq!(options("pkcs12 = 'a.p12'"), SslOptions::pkcs12("a.p12", ""));
        assert_eq!(options("directory = 'd'"), SslOptions::directory("d"));
    }

    #[test]
    fn it_may_be_a_word_and_may_be_off() {
        assert_eq!(read("ssl = true").map(|ssl| ssl.enabled), Ok(true));
        assert_eq!(read("ssl = false"), Ok(SslSettings::default()));
        let ssl = read("[ssl]\nenabled = false\ndirectory = 'd'").unwrap();
        assert!(!ssl.enabled && ssl.options.certificate.is_some());
    }

    #[test]
    fn keys_that_need_or_exclude_others_say_so() {
        let cases = [
            ("key = 'a'", "`key` needs `certificate`"),
            ("password = 'a'", "`password` needs `pkcs12`"),
            ("certificate = 'a'\npkcs12 = 'b'", "one of `certificate`"),
            ("directory = 'a'\npkcs12 = 'b'", "one of `certificate`"),
            (
                "client_certificates = 'require'",
                "needs `client_authorities`",
            ),
            ("client_authorities = 'a'", "needs `client_certificates`"),
            ("revocation_lists = 'a'", "needs `client_authorities`"),
            ("tls12 = false\ntls13 = false", "no version of TLS is left"),
            ("client_certificates = 'on'", "unknown variant `on`"),
            ("thumbprint = 'a'", "unknown field `thumbprint`"),
        ];
        for (text, wanted) in cases {
            let message = read(&format!("[ssl]\n{text}")).unwrap_err();
            assert!(message.contains(wanted), "{message}");
        }
        assert!(
            read("ssl = 1")
                .unwrap_err()
                .contains("true, false or a table")
        );
    }
}
