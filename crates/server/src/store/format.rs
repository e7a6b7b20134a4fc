//! How a store is written: TOML, with the names of the administration tool's parameters.

use std::fmt::{Display, Write as _};
use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use tidegate_httpapi::{AccessControlList, Reservation, TlsBindingKey, UrlPrefix};
use toml::Spanned;

use super::certificate::{HttpCertificate, HttpCertificateSource};
use super::configuration::HttpConfiguration;

/// What is wrong with a text.
#[derive(Debug)]
pub(super) struct Fault {
    /// Where, in bytes.
    pub(super) at: Option<usize>,
    pub(super) message: String,
}

impl Fault {
    fn at(span: Range<usize>, message: impl Display) -> Self {
        Self {
            at: Some(span.start),
            message: message.to_string(),
        }
    }
}

/// Reads a store.
pub(super) fn read(text: &str) -> Result<HttpConfiguration, Fault> {
    let content: Content = toml::from_str(text).map_err(|error| Fault {
        at: error.span().map(|span| span.start),
        message: error.message().to_owned(),
    })?;
    let mut configuration = HttpConfiguration::default();
    for entry in content.urlacl {
        let reservation = Reservation {
            prefix: entry.url.get_ref().0.clone(),
            list: entry.sddl.0,
        };
        configuration
            .reserve(reservation, None)
            .map_err(|error| Fault::at(entry.url.span(), error))?;
    }
    for entry in content.sslcert {
        let span = entry.span();
        let certificate = entry.into_inner().certificate();
        let certificate = certificate.map_err(|message| Fault::at(span.clone(), message))?;
        let mut others = configuration.certificates.iter();
        if others.any(|other| other.key == certificate.key) {
            let message = format!("{} has a certificate already", certificate.key);
            return Err(Fault::at(span, message));
        }
        // Whether its files can be used is seen when they are.
        configuration.certificates.push(certificate);
    }
    for address in content.iplisten {
        configuration
            .add_listen_address(*address.get_ref())
            .map_err(|error| Fault::at(address.span(), error))?;
    }
    let check = |value: &Option<Spanned<u16>>, set: &mut dyn FnMut(u16) -> Result<(), _>| {
        let Some(value) = value else { return Ok(()) };
        set(*value.get_ref())
            .map_err(|error: tidegate_httpapi::LimitError| Fault::at(value.span(), error))
    };
    check(&content.timeout.idleconnectiontimeout, &mut |seconds| {
        configuration.set_idle_connection_timeout(Some(seconds))
    })?;
    check(&content.timeout.headerwaittimeout, &mut |seconds| {
        configuration.set_header_wait_timeout(Some(seconds))
    })?;
    if let Some(bytes) = content.cacheparam.maxcacheresponsesize {
        configuration
            .set_cache_response_bytes_max(Some(*bytes.get_ref()))
            .map_err(|error| Fault::at(bytes.span(), error))?;
    }
    Ok(configuration)
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Content {
    iplisten: Vec<Spanned<IpAddr>>,
    timeout: TimeoutTable,
    cacheparam: CacheTable,
    urlacl: Vec<ReservationTable>,
    sslcert: Vec<Spanned<CertificateTable>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TimeoutTable {
    idleconnectiontimeout: Option<Spanned<u16>>,
    headerwaittimeout: Option<Spanned<u16>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CacheTable {
    maxcacheresponsesize: Option<Spanned<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReservationTable {
    url: Spanned<Parsed<UrlPrefix>>,
    sddl: Parsed<AccessControlList>,
}

/// A value that its text is parsed into.
struct Parsed<T>(T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CertificateTable {
    ipport: Option<Parsed<TlsBindingKey>>,
    hostnameport: Option<Parsed<TlsBindingKey>>,
    ccs: Option<u16>,
    certfile: Option<PathBuf>,
    keyfile: Option<PathBuf>,
    pkcs12: Option<PathBuf>,
    passwordfile: Option<PathBuf>,
    certhash: Option<String>,
    certstorename: Option<PathBuf>,
    appid: Option<String>,
    clientca: Option<PathBuf>,
    clientcrl: Option<PathBuf>,
    ocspresponse: Option<PathBuf>,
    reject: bool,
    disablehttp2: bool,
    disabletls12: bool,
    disabletls13: bool,
    disableocspstapling: bool,
    disablesessionticket: bool,
    disablesessionid: bool,
}

impl CertificateTable {
    fn certificate(self) -> Result<HttpCertificate, &'static str> {
        let key = match (self.ipport, self.hostnameport, self.ccs) {
            (Some(Parsed(key @ TlsBindingKey::Address(_))), None, None) => key,
            (Some(_), None, None) => return Err("`ipport` is no address and port"),
            (None, Some(Parsed(key @ TlsBindingKey::Name { .. })), None) => key,
            (None, Some(_), None) => return Err("`hostnameport` is no name and port"),
            (None, None, Some(port @ 1..)) => TlsBindingKey::Directory { port },
            _ => return Err("it is bound to one of `ipport`, `hostnameport` and `ccs`"),
        };
        let is_folder = matches!(key, TlsBindingKey::Directory { .. });
        let source = match (
            self.certfile,
            self.pkcs12,
            self.certhash,
            self.certstorename,
        ) {
            (Some(chain), None, None, None) if !is_folder => HttpCertificateSource::Pem {
                key: self.keyfile.clone().unwrap_or_else(|| chain.clone()),
                chain,
            },
            (None, Some(path), None, None) if !is_folder => HttpCertificateSource::Pkcs12 {
                path,
                password_file: self.passwordfile.clone(),
            },
            (None, None, Some(hash), Some(folder)) if !is_folder => {
                HttpCertificateSource::Thumbprint {
                    thumbprint: thumbprint(&hash).ok_or("`certhash` has 40 hexadecimal digits")?,
                    folder,
                }
            }
            (None, None, None, Some(folder)) if is_folder => HttpCertificateSource::Folder(folder),
            _ => {
                return Err(
                    "its certificate is one of `certfile`, `pkcs12`, and `certhash` with `certstorename`; \
                     with `ccs`, `certstorename`",
                );
            }
        };
        if self.keyfile.is_some() && !matches!(source, HttpCertificateSource::Pem { .. }) {
            return Err("`keyfile` goes with `certfile`");
        }
        if self.passwordfile.is_some() && !matches!(source, HttpCertificateSource::Pkcs12 { .. }) {
            return Err("`passwordfile` goes with `pkcs12`");
        }
        if self.clientcrl.is_some() && self.clientca.is_none() {
            return Err("`clientcrl` goes with `clientca`");
        }
        let mut certificate = HttpCertificate::new(key, source);
        if let Some(id) = self.appid {
            certificate.app_id = id;
        }
        certificate.client_authorities = self.clientca;
        certificate.client_revocation_lists = self.clientcrl;
        certificate.ocsp_response = self.ocspresponse;
        certificate.reject = self.reject;
        certificate.http2 = !self.disablehttp2;
        certificate.tls12 = !self.disabletls12;
        certificate.tls13 = !self.disabletls13;
        certificate.ocsp_stapling = !self.disableocspstapling;
        certificate.session_tickets = !self.disablesessionticket;
        certificate.session_ids = !self.disablesessionid;
        Ok(certificate)
    }
}

fn thumbprint(text: &str) -> Option<String> {
    let is_hash = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| text.to_ascii_lowercase())
}

/// Writes a store.
pub(super) fn write(configuration: &HttpConfiguration) -> String {
    let mut text = HEADER.to_owned();
    // Writing to a text does not fail.
    let out = &mut text;
    if !configuration.listen_addresses.is_empty() {
        let addresses = configuration.listen_addresses.iter();
        let addresses: Vec<_> = addresses
            .map(|address| quoted(&address.to_string()))
            .collect();
        let _ = writeln!(out, "\niplisten = [{}]", addresses.join(", "));
    }
    let timeouts = [
        (
            "idleconnectiontimeout",
            configuration.idle_connection_timeout,
        ),
        ("headerwaittimeout", configuration.header_wait_timeout),
    ];
    if timeouts.iter().any(|(_, seconds)| seconds.is_some()) {
        let _ = writeln!(out, "\n[timeout]");
    }
    for (key, seconds) in timeouts {
        if let Some(seconds) = seconds {
            let _ = writeln!(out, "{key} = {seconds}");
        }
    }
    if let Some(bytes) = configuration.cache_response_bytes_max {
        let _ = writeln!(out, "\n[cacheparam]\nmaxcacheresponsesize = {bytes}");
    }
    for reservation in &configuration.reservations {
        let _ = writeln!(out, "\n[[urlacl]]");
        text_of(out, "url", &reservation.prefix.to_string());
        text_of(out, "sddl", &reservation.list.to_string());
    }
    for certificate in &configuration.certificates {
        let _ = writeln!(out, "\n[[sslcert]]");
        write_certificate(out, certificate);
    }
    text
}

fn write_certificate(out: &mut String, certificate: &HttpCertificate) {
    match &certificate.key {
        TlsBindingKey::Directory { port } => {
            let _ = writeln!(out, "ccs = {port}");
        }
        key @ TlsBindingKey::Address(_) => text_of(out, "ipport", &key.to_string()),
        key @ TlsBindingKey::Name { .. } => text_of(out, "hostnameport", &key.to_string()),
    }
    match &certificate.source {
        HttpCertificateSource::Pem { chain, key } => {
            path_of(out, "certfile", Some(chain));
            path_of(out, "keyfile", Some(key));
        }
        HttpCertificateSource::Pkcs12 {
            path,
            password_file,
        } => {
            path_of(out, "pkcs12", Some(path));
            path_of(out, "passwordfile", password_file.as_deref());
        }
        HttpCertificateSource::Thumbprint { thumbprint, folder } => {
            text_of(out, "certhash", thumbprint);
            path_of(out, "certstorename", Some(folder));
        }
        HttpCertificateSource::Folder(folder) => path_of(out, "certstorename", Some(folder)),
    }
    text_of(out, "appid", &certificate.app_id);
    path_of(out, "clientca", certificate.client_authorities.as_deref());
    path_of(
        out,
        "clientcrl",
        certificate.client_revocation_lists.as_deref(),
    );
    path_of(out, "ocspresponse", certificate.ocsp_response.as_deref());
    for (key, is_set) in [
        ("reject", certificate.reject),
        ("disablehttp2", !certificate.http2),
        ("disabletls12", !certificate.tls12),
        ("disabletls13", !certificate.tls13),
        ("disableocspstapling", !certificate.ocsp_stapling),
        ("disablesessionticket", !certificate.session_tickets),
        ("disablesessionid", !certificate.session_ids),
    ] {
        if is_set {
            let _ = writeln!(out, "{key} = true");
        }
    }
}

fn path_of(out: &mut String, key: &str, path: Option<&Path>) {
    if let Some(path) = path {
        text_of(out, key, &path.display().to_string());
    }
}

fn text_of(out: &mut String, key: &str, value: &str) {
    let _ = writeln!(out, "{key} = {}", quoted(value));
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

const HEADER: &str = "\
# Settings of the whole HTTP service, written by `tidegate http`: comments that are added here are lost with the
# next change. Servers read the file when they start, and when it has changed.
";
