//! Parameters and labels of certificates.
//!
//! Windows keeps certificates in a store of its own and names them by thumbprint; here they are files. Flags of which
//! this server does nothing are refused, where they ask for something; so are those that would take back what it
//! always does. Source: `netsh http add sslcert`; http-server-api §10 and §13.

use std::fmt::{Display, Write as _};
use std::path::PathBuf;

use tidegate::{
    ApiError, ErrorCode, HttpCertificate, HttpCertificateSource, HttpConfiguration, TlsBindingKey,
};

use super::grammar::Call;
use super::{ENABLE, Failure, number, show, with_causes};
use crate::console::say;

/// What a certificate is bound to.
pub(super) fn key(call: &Call) -> Result<TlsBindingKey, Failure> {
    wanted_key(call)?.ok_or_else(|| {
        Failure::parameter("what it is bound to is said by `ipport`, `hostnameport` or `ccs`")
    })
}

fn wanted_key(call: &Call) -> Result<Option<TlsBindingKey>, Failure> {
    if call.value("scopedccs").is_some() {
        return Err(Failure::unsupported(
            "a folder of certificates is bound to a port, by ccs=PORT, not to a name as well",
        ));
    }
    let given = |name| call.value(name).map(|value| (name, value));
    let (name, value) = match (given("ipport"), given("hostnameport"), given("ccs")) {
        (None, None, None) => return Ok(None),
        // By its place it may be any of them.
        (Some((_, value)), None, None) if call.is_placed("ipport") => match value {
            port if port.bytes().all(|byte| byte.is_ascii_digit()) => ("ccs", port),
            address if address.parse::<std::net::SocketAddr>().is_ok() => ("ipport", address),
            name => ("hostnameport", name),
        },
        (Some(key), None, None) | (None, Some(key), None) | (None, None, Some(key)) => key,
        _ => {
            return Err(Failure::parameter(
                "it is bound to one of `ipport`, `hostnameport` and `ccs`",
            ));
        }
    };
    let refuse = |reason: &dyn Display| Failure::parameter(format_args!("`{name}`: {reason}"));
    if name == "ccs" {
        return match value.parse() {
            Ok(port @ 1..) => Ok(Some(TlsBindingKey::Directory { port })),
            _ => Err(refuse(&format_args!("`{value}` is no port"))),
        };
    }
    let key: TlsBindingKey = value.parse().map_err(|error| refuse(&error))?;
    match (name, &key) {
        ("ipport", TlsBindingKey::Address(_)) | ("hostnameport", TlsBindingKey::Name { .. }) => {
            Ok(Some(key))
        }
        ("ipport", _) => Err(refuse(&format_args!("`{value}` is no address and port"))),
        _ => Err(refuse(&format_args!("`{value}` is no name and port"))),
    }
}

/// The certificate that a command says; what it does not say is as `kept` has it.
pub(super) fn read(
    call: &Call,
    kept: Option<&HttpCertificate>,
) -> Result<HttpCertificate, Failure> {
    let key = key(call)?;
    refuse_unsupported(call)?;
    let source = source(call, &key, kept)?;
    let mut certificate = match kept {
        Some(kept) => kept.clone(),
        None => HttpCertificate::new(key, source.clone()),
    };
    certificate.source = source;
    if let Some(id) = call.value("appid") {
        certificate.app_id = guid(id)?;
    }
    let path = |name| call.value(name).map(absolute).transpose();
    if let Some(file) = path("clientca")? {
        certificate.client_authorities = Some(file);
    }
    if let Some(file) = path("clientcrl")? {
        certificate.client_revocation_lists = Some(file);
    }
    if let Some(file) = path("ocspresponse")? {
        certificate.ocsp_response = Some(file);
    }
    let enabled = |name| call.switch(name, ENABLE);
    match enabled("clientcertnegotiation")? {
        Some(true) if certificate.client_authorities.is_none() => {
            return Err(Failure::parameter(
                "to ask clients for certificates takes clientca=FILE, PEM, with the authorities that issue them",
            ));
        }
        Some(false) if call.value("clientca").is_some() => {
            return Err(Failure::parameter(
                "`clientca` has clients asked for certificates; leave it or clientcertnegotiation=disable out",
            ));
        }
        Some(false) => {
            certificate.client_authorities = None;
            certificate.client_revocation_lists = None;
        }
        _ => {}
    }
    if certificate.client_revocation_lists.is_some() && certificate.client_authorities.is_none() {
        return Err(Failure::parameter("`clientcrl` goes with `clientca`"));
    }
    for name in [
        "verifyclientcertrevocation",
        "verifyrevocationwithcachedclientcertonly",
    ] {
        match enabled(name)? {
            Some(true) if certificate.client_revocation_lists.is_none() => {
                return Err(Failure::parameter(format_args!(
                    "`{name}` takes clientcrl=FILE, PEM, with revocation lists; none is fetched"
                )));
            }
            Some(false) if certificate.client_revocation_lists.is_some() => {
                return Err(Failure::parameter(format_args!(
                    "the lists of `clientcrl` are heeded, from the file; leave it or {name}=disable out"
                )));
            }
            _ => {}
        }
    }
    let set = |place: &mut bool, name, is_negative| -> Result<(), Failure> {
        if let Some(is_enabled) = enabled(name)? {
            *place = is_enabled != is_negative;
        }
        Ok(())
    };
    set(&mut certificate.reject, "reject", false)?;
    set(&mut certificate.http2, "disablehttp2", true)?;
    set(&mut certificate.tls12, "disabletls12", true)?;
    set(&mut certificate.tls13, "disabletls13", true)?;
    set(&mut certificate.ocsp_stapling, "disableocspstapling", true)?;
    set(
        &mut certificate.session_tickets,
        "enablesessionticket",
        false,
    )?;
    set(&mut certificate.session_ids, "disablesessionid", true)?;
    check_thumbprint(call, &certificate)?;
    Ok(certificate)
}

/// Refuses what is not done here, or always.
fn refuse_unsupported(call: &Call) -> Result<(), Failure> {
    for (name, refused, reason) in [
        (
            "usagecheck",
            false,
            "what a client certificate is for is always checked",
        ),
        (
            "dsmapperusage",
            true,
            "client certificates are not mapped to accounts",
        ),
        ("disablequic", false, "HTTP/3 is not spoken"),
        ("disablelegacytls", false, "TLS 1.0 and 1.1 are not spoken"),
        ("enabletokenbinding", true, "token binding is not spoken"),
        ("logextendedevents", true, "there is no log of such events"),
    ] {
        if call.switch(name, ENABLE)? == Some(refused) {
            let word = ENABLE[usize::from(!refused)];
            return Err(Failure::unsupported(format_args!(
                "{name}={word}: {reason}"
            )));
        }
    }
    for name in ["revocationfreshnesstime", "urlretrievaltimeout"] {
        if let Some(value) = call.value(name)
            && number(value, u32::MAX)? != 0
        {
            return Err(Failure::unsupported(format_args!(
                "{name}={value}: revocation lists are read from the file `clientcrl` when it changes, never fetched"
            )));
        }
    }
    for name in ["sslctlidentifier", "sslctlstorename"] {
        if call.value(name).is_some() {
            return Err(Failure::unsupported(format_args!(
                "`{name}`: there are no lists of that kind; clientca=FILE names the authorities of client certificates"
            )));
        }
    }
    match call.value("json") {
        Some(_) => Err(Failure::unsupported(
            "`json`: bindings are not read from files of that kind; `tidegate http exec FILE` does a file's commands",
        )),
        None => Ok(()),
    }
}

fn source(
    call: &Call,
    key: &TlsBindingKey,
    kept: Option<&HttpCertificate>,
) -> Result<HttpCertificateSource, Failure> {
    let path = |name| call.value(name).map(absolute).transpose();
    let is_folder = matches!(key, TlsBindingKey::Directory { .. });
    let (chain, private) = (path("certfile")?, path("keyfile")?);
    let (pkcs12, password_file) = (path("pkcs12")?, path("passwordfile")?);
    let folder = call.value("certstorename");
    let hash = call.value("certhash").map(thumbprint).transpose()?;
    if private.is_some() && chain.is_none() {
        return Err(Failure::parameter("`keyfile` goes with `certfile`"));
    }
    if password_file.is_some() && pkcs12.is_none() {
        return Err(Failure::parameter("`passwordfile` goes with `pkcs12`"));
    }
    let is_file = chain.is_some() || pkcs12.is_some();
    if is_folder && (is_file || hash.is_some()) {
        return Err(Failure::parameter(
            "with `ccs`, certstorename=FOLDER names all certificates, and nothing else",
        ));
    }
    match (chain, pkcs12, folder) {
        (Some(chain), None, None) => Ok(HttpCertificateSource::Pem {
            key: private.unwrap_or_else(|| chain.clone()),
            chain,
        }),
        (None, Some(path), None) => Ok(HttpCertificateSource::Pkcs12 {
            path,
            password_file,
        }),
        (None, None, Some(folder)) if is_folder => {
            Ok(HttpCertificateSource::Folder(store_folder(folder)?))
        }
        (None, None, folder) if !is_folder && hash.is_some() => {
            let kept = match kept.map(|kept| &kept.source) {
                Some(HttpCertificateSource::Thumbprint { folder, .. }) => Some(folder.clone()),
                _ => None,
            };
            let folder = match folder {
                Some(folder) => store_folder(folder)?,
                None => kept.ok_or_else(|| {
                    Failure::parameter(
                        "there is no store of certificates here to look for `certhash` in: give it \
                         certstorename=FOLDER, or name the files by certfile= and keyfile=, or pkcs12=",
                    )
                })?,
            };
            Ok(HttpCertificateSource::Thumbprint {
                thumbprint: hash.unwrap_or_default(),
                folder,
            })
        }
        (None, None, None) if kept.is_some() => Ok(kept
            .map(|kept| kept.source.clone())
            .unwrap_or_else(|| HttpCertificateSource::Folder(PathBuf::new()))),
        (None, None, None) if is_folder => Err(Failure::parameter(
            "with `ccs`, certstorename=FOLDER names the certificates",
        )),
        (None, None, _) => Err(Failure::parameter(
            "the certificate is named by certfile= and keyfile=, by pkcs12=, or by certhash= with the folder \
             certstorename=",
        )),
        _ => Err(Failure::parameter(
            "the certificate is named in one way: `certfile`, `pkcs12`, or `certstorename`",
        )),
    }
}

/// Whether files hold the certificate that the thumbprint says, where both are given.
fn check_thumbprint(call: &Call, certificate: &HttpCertificate) -> Result<(), Failure> {
    let (Some(wanted), false) = (
        call.value("certhash"),
        matches!(certificate.source, HttpCertificateSource::Thumbprint { .. }),
    ) else {
        return Ok(());
    };
    let wanted = thumbprint(wanted)?;
    let found = certificate.certificates()?;
    match found.iter().any(|found| found.thumbprint == wanted) {
        true => Ok(()),
        false => Err(Failure::new(
            ErrorCode::NoSuchLogonSession,
            format_args!(
                "the certificate that is named has the thumbprint {}, not {wanted}",
                found.first().map_or("(null)", |found| &found.thumbprint)
            ),
        )),
    }
}

fn store_folder(text: &str) -> Result<PathBuf, Failure> {
    let path = absolute(text)?;
    match path.is_dir() {
        true => Ok(path),
        false => Err(Failure::parameter(format_args!(
            "certstorename={text}: {} is no folder; certificates are kept in files here, not in stores by name",
            path.display()
        ))),
    }
}

/// Where a server finds it, wherever that is started.
fn absolute(text: &str) -> Result<PathBuf, Failure> {
    let refuse = |error| Failure::parameter(format_args!("`{text}`: {error}"));
    std::path::absolute(text).map_err(refuse)
}

fn thumbprint(text: &str) -> Result<String, Failure> {
    // As Windows' dialogs show it, with spaces between the bytes.
    let digits: String = text.split_ascii_whitespace().collect();
    let is_hash = digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match is_hash {
        true => Ok(digits.to_ascii_lowercase()),
        false => Err(Failure::parameter(format_args!(
            "`certhash` is `{text}`; it has 40 hexadecimal digits"
        ))),
    }
}

fn guid(text: &str) -> Result<String, Failure> {
    let inner = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let groups: Vec<_> = inner.unwrap_or(text).split('-').collect();
    let is_hex = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
    match lengths == [8, 4, 4, 4, 12] && groups.iter().all(is_hex) {
        true => Ok(format!("{{{}}}", groups.join("-").to_ascii_lowercase())),
        false => Err(Failure::parameter(format_args!(
            "`appid` is `{text}`; it is a GUID, such as {{4dc3e181-e14b-4a21-b022-59fc669b0914}}"
        ))),
    }
}

/// Certificates: all, or that of one key.
pub(super) fn show(all: &HttpConfiguration, call: &Call) -> Result<String, Failure> {
    if call.value("json").is_some() {
        return Err(Failure::unsupported(
            "`json`: bindings are shown as text only",
        ));
    }
    let wanted = wanted_key(call)?;
    let mut text = show::heading("SSL Certificate bindings:");
    let mut count = 0;
    for certificate in all.certificates() {
        if wanted
            .as_ref()
            .is_none_or(|wanted| certificate.key == *wanted)
        {
            count += 1;
            describe(&mut text, certificate);
        }
    }
    match (count, wanted) {
        (0, Some(key)) => Err(ApiError::NotBound { key }.into()),
        _ => Ok(text),
    }
}

fn describe(text: &mut String, certificate: &HttpCertificate) {
    // Writing to a text does not fail.
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "    {label:<28} : {value}");
    };
    let (label, key) = match &certificate.key {
        TlsBindingKey::Name { .. } => ("Hostname:port", certificate.key.to_string()),
        TlsBindingKey::Directory { port } => ("Central Certificate Store", port.to_string()),
        _ => ("IP:port", certificate.key.to_string()),
    };
    line(label, &key);
    line("Certificate Hash", &hash(certificate));
    line("Application ID", &certificate.app_id);
    let path = |path: Option<&PathBuf>| match path {
        Some(path) => path.display().to_string(),
        None => NULL.to_owned(),
    };
    let folder = match &certificate.source {
        HttpCertificateSource::Thumbprint { folder, .. }
        | HttpCertificateSource::Folder(folder) => Some(folder),
        _ => None,
    };
    line("Certificate Store Name", &path(folder));
    let checks_revocation = enabled(certificate.client_revocation_lists.is_some());
    line("Verify Client Certificate Revocation", checks_revocation);
    line(
        "Verify Revocation Using Cached Client Certificate Only",
        checks_revocation,
    );
    line("Usage Check", enabled(true));
    line("Revocation Freshness Time", "0");
    line("URL Retrieval Timeout", "0");
    line("Ctl Identifier", NULL);
    line("Ctl Store Name", NULL);
    line("DS Mapper Usage", enabled(false));
    line(
        "Negotiate Client Certificate",
        enabled(certificate.client_authorities.is_some()),
    );
    line("Reject Connections", enabled(certificate.reject));
    line("Disable HTTP2", set(!certificate.http2));
    line("Disable QUIC", set(true));
    line("Disable TLS1.2", set(!certificate.tls12));
    line("Disable TLS1.3", set(!certificate.tls13));
    line("Disable OCSP Stapling", set(!certificate.ocsp_stapling));
    line("Enable Token Binding", set(false));
    line("Log Extended Events", set(false));
    line("Disable Legacy TLS Versions", set(true));
    line("Enable Session Ticket", set(certificate.session_tickets));
    line("Disable Session ID", set(!certificate.session_ids));
    let (chain, key, pkcs12, password) = match &certificate.source {
        HttpCertificateSource::Pem { chain, key } => (Some(chain), Some(key), None, None),
        HttpCertificateSource::Pkcs12 {
            path,
            password_file,
        } => (None, None, Some(path), password_file.as_ref()),
        _ => (None, None, None, None),
    };
    line("Certificate File", &path(chain));
    line("Key File", &path(key));
    line("PKCS12 File", &path(pkcs12));
    line("Password File", &path(password));
    line(
        "Client Authorities File",
        &path(certificate.client_authorities.as_ref()),
    );
    line(
        "Client Revocation File",
        &path(certificate.client_revocation_lists.as_ref()),
    );
    line(
        "OCSP Response File",
        &path(certificate.ocsp_response.as_ref()),
    );
    text.push('\n');
}

/// The thumbprint of the certificate that would serve now.
fn hash(certificate: &HttpCertificate) -> String {
    match &certificate.source {
        HttpCertificateSource::Thumbprint { thumbprint, .. } => thumbprint.clone(),
        HttpCertificateSource::Folder(_) => NULL.to_owned(),
        _ => match certificate.certificates() {
            Ok(found) => found
                .first()
                .map_or(NULL.to_owned(), |found| found.thumbprint.clone()),
            Err(error) => {
                say(format_args!("warning: {}", with_causes(&error)));
                NULL.to_owned()
            }
        },
    }
}

fn enabled(is: bool) -> &'static str {
    match is {
        true => "Enabled",
        false => "Disabled",
    }
}

fn set(is: bool) -> &'static str {
    match is {
        true => "Set",
        false => "Not Set",
    }
}

/// What is not set.
const NULL: &str = "(null)";
