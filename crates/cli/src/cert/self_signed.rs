//! `tidegate cert self-signed`: a certificate that vouches for itself, for development.
//!
//! The key is on the curve P-256, which every client knows. Names and addresses are subject alternative
//! names, since clients look at nothing else (RFC 9525 §6.3). It is no authority's certificate: trusting
//! it trusts one server.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueHint};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use tempfile::NamedTempFile;
use tidegate::TlsBindingKey;

use crate::console::{print, say};

/// Makes a certificate for development, signed by its own key.
///
/// Browsers and other clients refuse it until they are told to trust it. Two files are written, NAME.crt
/// and NAME.key, after the first name.
#[derive(Args, Debug)]
pub(crate) struct SelfSigned {
    /// Host names and IP addresses that it is good for; the first label of a name may be *
    #[arg(value_name = "NAME", required = true, value_parser = name)]
    names: Vec<Name>,

    /// Folder to write to; it is made where it is missing
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, default_value = ".")]
    out: PathBuf,

    /// How long it is good for, at most 825: beyond that, Apple's systems refuse it
    #[arg(long, value_name = "N", default_value_t = 365)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=825))]
    days: u16,

    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

/// Makes the files, and says how to use them.
pub(super) fn run(options: &SelfSigned) -> ExitCode {
    match make(options) {
        Ok(made) => {
            print(made);
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(format_args!("error: {error:?}"));
            ExitCode::FAILURE
        }
    }
}

/// What a certificate is for.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Name {
    /// In lower case, as A-labels; the first label may be `*`.
    Host(String),
    Address(IpAddr),
}

fn name(text: &str) -> Result<Name, String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(address) = bare.parse() {
        return Ok(Name::Address(address));
    }
    // A name may be what a certificate can be bound to on some port.
    match format!("{text}:443").parse() {
        Ok(TlsBindingKey::Name { name, .. }) => Ok(Name::Host(name.into())),
        Ok(TlsBindingKey::Directory { .. }) => Ok(Name::Host(text.to_owned())),
        _ => Err("it is neither a host name nor an IP address".to_owned()),
    }
}

impl Name {
    /// The name of the certificate's file, without its ending.
    fn file_stem(&self) -> String {
        match self {
            Self::Host(name) => name.replace('*', "_wildcard"),
            // A colon is no part of a file's name on every platform.
            Self::Address(address) => address.to_string().replace(':', "-"),
        }
    }

    /// As the host of a URL.
    fn url(&self) -> String {
        let authority = match self {
            Self::Host(name) => format!("{name}:{PORT}"),
            Self::Address(address) => SocketAddr::new(*address, PORT).to_string(),
        };
        format!("https://{authority}/")
    }

    /// As the host of a URL that can be asked for.
    fn example_url(&self) -> String {
        self.url().replace('*', "www")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => formatter.write_str(name),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

/// The port of the URLs that are proposed: 443 needs privileges on most platforms.
const PORT: u16 = 8443;

fn make(options: &SelfSigned) -> Result<Made<'_>, CertError> {
    let stem = options
        .names
        .first()
        .map(Name::file_stem)
        .unwrap_or_default();
    let certificate = options.out.join(format!("{stem}.crt"));
    let key = options.out.join(format!("{stem}.key"));
    if !options.force {
        // Both before either, so that no half is written.
        for path in [&certificate, &key] {
            if fs::symlink_metadata(path).is_ok() {
                return Err(CertError::Exists { path: path.clone() });
            }
        }
    }
    let now = SystemTime::now();
    let until = now + Duration::from_secs(u64::from(options.days) * 86_400);
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(CertError::Make)?;
    // The clock of a client may be a little slow.
    let since = now - Duration::from_secs(3600);
    let signed = params(&options.names, since, until)
        .and_then(|params| params.self_signed(&pair))
        .map_err(CertError::Make)?;
    let write_error = |path: &Path| {
        let path = path.to_path_buf();
        move |source| CertError::Write { path, source }
    };
    fs::create_dir_all(&options.out).map_err(write_error(&options.out))?;
    // A temporary file may be read by its owner alone; it is the key's from its first byte on.
    NamedTempFile::new_in(&options.out)
        .and_then(|file| write(file, &key, &pair.serialize_pem(), options.force))
        .map_err(write_error(&key))?;
    tempfile::Builder::new()
        .make_in(&options.out, |path| File::create_new(path))
        .and_then(|file| write(file, &certificate, &signed.pem(), options.force))
        .map_err(write_error(&certificate))?;
    Ok(Made {
        names: &options.names,
        certificate,
        key,
        until,
    })
}

fn params(
    names: &[Name],
    since: SystemTime,
    until: SystemTime,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    for name in names {
        params.subject_alt_names.push(match name {
            Name::Host(name) => SanType::DnsName(name.as_str().try_into()?),
            Name::Address(address) => SanType::IpAddress(*address),
        });
    }
    let subject = names.first().map(Name::to_string).unwrap_or_default();
    params.distinguished_name = DistinguishedName::new();
    // RFC 5280, ub-common-name: 64 characters at most.
    let subject = match subject.len() {
        1..=64 => subject,
        _ => "Tidegate development certificate".to_owned(),
    };
    params.distinguished_name.push(DnType::CommonName, subject);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let date = |time: SystemTime| epoch + time.duration_since(UNIX_EPOCH).unwrap_or_default();
    (params.not_before, params.not_after) = (date(since), date(until));
    Ok(params)
}

/// Writes the file as a whole, or not at all: a server may be reading it.
fn write(mut file: NamedTempFile, path: &Path, text: &str, force: bool) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    let persisted = match force {
        true => file.persist(path),
        false => file.persist_noclobber(path),
    };
    match persisted {
        Ok(_) => Ok(()),
        Err(error) => Err(error.error),
    }
}

/// What was made, and how to use it.
struct Made<'a> {
    names: &'a [Name],
    certificate: PathBuf,
    key: PathBuf,
    until: SystemTime,
}

impl fmt::Display for Made<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names.iter().map(Name::to_string).collect();
        writeln!(
            formatter,
            "made a self-signed certificate for {}, good until {}\n",
            names.join(", "),
            httpdate::fmt_http_date(self.until)
        )?;
        writeln!(formatter, "  certificate  {}", self.certificate.display())?;
        writeln!(
            formatter,
            "  key          {}, which you alone may read",
            self.key.display()
        )?;
        write!(formatter, "\nServe with it:\n\n  tidegate serve")?;
        for name in self.names {
            write!(formatter, " --listen {}", quoted(&name.url()))?;
        }
        let certificate = quoted(&self.certificate.display().to_string());
        let key = quoted(&self.key.display().to_string());
        writeln!(formatter, " --tls-cert {certificate} --tls-key {key}")?;
        let Some(name) = self.names.first() else {
            return Ok(());
        };
        write!(
            formatter,
            "\nAsk it, trusting this certificate:\n\n  curl --cacert {certificate} {}",
            name.example_url()
        )
    }
}

/// As a word of a shell's command line.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:\\".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Why there is no certificate.
enum CertError {
    /// A file is there already.
    Exists { path: PathBuf },
    /// The certificate could not be made.
    Make(rcgen::Error),
    /// A file or folder could not be written.
    Write { path: PathBuf, source: io::Error },
}

impl fmt::Display for CertError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists { path } => write!(formatter, "{} is there already", path.display()),
            Self::Make(_) => formatter.write_str("cannot make the certificate"),
            Self::Write { path, .. } => write!(formatter, "cannot write {}", path.display()),
        }
    }
}

/// As a person reads it: with the cause and the way out.
impl fmt::Debug for CertError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)?;
        match (self, std::error::Error::source(self)) {
            (Self::Exists { .. }, _) => {
                formatter.write_str("\n  to do: --force replaces it, --out DIR writes elsewhere")
            }
            (_, Some(cause)) => write!(formatter, "\n  because: {cause}"),
            (_, None) => Ok(()),
        }
    }
}

impl std::error::Error for CertError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Exists { .. } => None,
            Self::Make(error) => Some(error),
            Self::Write { source, .. } => Some(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(folder: &Path, names: &[&str]) -> SelfSigned {
        SelfSigned {
            names: names.iter().map(|text| name(text).unwrap()).collect(),
            out: folder.join("made"),
            days: 30,
            force: false,
        }
    }

    #[test]
    fn a_name_is_a_host_or_an_address() {
        let host = |name: &str| Ok(Name::Host(name.to_owned()));
        assert_eq!(name("LocalHost"), host("localhost"));
        assert_eq!(name("*.Example.com"), host("*.example.com"));
        assert_eq!(name("bücher.example"), host("xn--bcher-kva.example"));
        assert_eq!(name("ccs"), host("ccs"));
        let loopback = Ok(Name::Address("::1".parse().unwrap()));
        assert_eq!(name("::1"), loopback);
        assert_eq!(name("[::1]"), loopback);
        for bad in ["", "a b", "a/b", "https://a", "a.*.b", "a:1", "../a"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn both_files_are_made_and_not_replaced_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options(folder.path(), &["localhost", "127.0.0.1"]);
        let made = make(&options).unwrap();
        let certificate = fs::read_to_string(&made.certificate).unwrap();
        assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        let key = fs::read_to_string(&made.key).unwrap();
        assert!(KeyPair::from_pem(&key).is_ok());
        // The key alone would be enough to lose something.
        fs::remove_file(&made.certificate).unwrap();
        let error = make(&options).map(drop).unwrap_err();
        let text = format!("{error:?}");
        assert!(text.contains("localhost.key is there already"), "{text}");
        assert!(text.contains("to do: --force"), "{text}");
        assert!(!options.out.join("localhost.crt").exists());
        options.force = true;
        make(&options).unwrap();
        let names: Vec<_> = fs::read_dir(&options.out).unwrap().collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert_ne!(
            fs::read_to_string(options.out.join("localhost.key")).unwrap(),
            key
        );
    }

    #[test]
    fn a_folder_that_cannot_be_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options(folder.path(), &["a"]);
        fs::write(&options.out, "a file").unwrap();
        options.force = true;
        let error = make(&options).map(drop).unwrap_err();
        let text = format!("{error:?}");
        assert!(
            text.starts_with("cannot write ") && text.contains("because: "),
            "{text}"
        );
    }

    #[test]
    fn the_command_to_serve_with_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path(), &["*.example.com", "::1"]);
        let made = make(&options).unwrap().to_string();
        let out = options.out.display();
        for part in [
            "for *.example.com, ::1, good until ".to_owned(),
            String::from("'https://*.example.com:8443/' --listen 'https://[::1]:8443/'"),
            format!("--tls-cert {out}/_wildcard.example.com.crt --tls-key {out}/_wildcard"),
            format!("curl --cacert {out}/_wildcard.example.com.crt https://www.example.com:8443/"),
        ] {
            assert!(made.contains(&part), "{part}: {made}");
        }
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_long_name_is_no_common_name() {
        let long = format!("{}.example", "a".repeat(60));
        let params = params(&[name(&long).unwrap()], UNIX_EPOCH, UNIX_EPOCH).unwrap();
        let subject = format!("{:?}", params.distinguished_name);
        assert!(subject.contains("development certificate"), "{subject}");
    }
}
