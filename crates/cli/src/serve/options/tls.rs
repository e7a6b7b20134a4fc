//! The flags of `tidegate serve` that name a certificate.

use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use tidegate::{CertificateSource, Settings};

/// Where the certificate of https URLs comes from.
#[derive(Args, Debug, Default)]
pub(super) struct TlsOptions {
    /// Certificate chain of https URLs, PEM; with its key, unless that is in --tls-key
    ///
    /// `tidegate cert self-signed localhost` makes one for development. Files are read again a few seconds
    /// after they have changed, and at SIGHUP.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = TLS)]
    #[arg(conflicts_with_all = ["tls_pkcs12", "tls_directory"])]
    tls_cert: Option<PathBuf>,

    /// Key of the certificate, PEM (PKCS#8, PKCS#1 or SEC1)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = TLS)]
    #[arg(requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Certificate chain and key of https URLs, PKCS#12
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = TLS)]
    #[arg(conflicts_with = "tls_directory")]
    tls_pkcs12: Option<PathBuf>,

    /// File with the password of --tls-pkcs12; without it, there is none
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = TLS)]
    #[arg(requires = "tls_pkcs12")]
    tls_password_file: Option<PathBuf>,

    /// Folder of certificates, each for the names in it: NAME.pem with chain and key, NAME.crt beside
    /// NAME.key, or folders with fullchain.pem and privkey.pem
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = TLS)]
    tls_directory: Option<PathBuf>,
}

impl TlsOptions {
    /// Puts the certificate that was given into `settings`; the file's rules of its use stay.
    ///
    /// # Errors
    ///
    /// The password cannot be read. The message names the flag.
    pub(super) fn apply(&self, settings: &mut Settings) -> Result<(), String> {
        let source = match (&self.tls_cert, &self.tls_pkcs12, &self.tls_directory) {
            (Some(chain), ..) => CertificateSource::Pem {
                chain: chain.clone(),
                key: self.tls_key.as_ref().unwrap_or(chain).clone(),
            },
            (_, Some(path), _) => CertificateSource::Pkcs12 {
                path: path.clone(),
                password: self.password()?,
            },
            (.., Some(path)) => CertificateSource::Directory(path.clone()),
            _ => return Ok(()),
        };
        settings.ssl.options.certificate = Some(source);
        Ok(())
    }

    fn password(&self) -> Result<String, String> {
        let Some(file) = &self.tls_password_file else {
            return Ok(String::new());
        };
        let text = fs::read_to_string(file)
            .map_err(|error| format!("--tls-password-file: {}: {error}", file.display()))?;
        // Editors end the last line; a password does not contain that.
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

const TLS: &str = "Certificates";

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tidegate::SslOptions;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: TlsOptions,
    }

    fn apply(flags: &str) -> Result<SslOptions, String> {
        let line = ["serve"].into_iter().chain(flags.split_whitespace());
        let line = Line::try_parse_from(line).map_err(|error| error.to_string())?;
        let mut settings = Settings::default();
        settings.ssl.options.tls12 = false;
        line.options.apply(&mut settings)?;
        assert!(!settings.ssl.options.tls12, "the file's rules stay");
        settings.ssl.options.tls12 = true;
        Ok(settings.ssl.options)
    }

    #[test]
    fn each_kind_of_certificate_has_its_flags() {
        assert_eq!(apply(""), Ok(SslOptions::default()));
        assert_eq!(
            apply("--tls-cert a.crt --tls-key a.key"),
            Ok(SslOptions::pem("a.crt", "a.key"))
        );
        assert_eq!(
            apply("--tls-cert a.pem"),
            Ok(SslOptions::pem("a.pem", "a.pem"))
        );
        assert_eq!(
            apply("--tls-pkcs12 a.p12"),
            Ok(SslOptions::pkcs12("a.p12", ""))
        );
        assert_eq!(apply("--tls-directory d"), Ok(SslOptions::directory("d")));
    }

    #[test]
    fn a_password_is_the_files_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        fs::write(&file, " open sesame \r\n").unwrap();
        let flags = format!("--tls-pkcs12 a.p12 --tls-password-file {}", file.display());
        assert_eq!(
            apply(&flags),
            Ok(SslOptions::pkcs12("a.p12", " open sesame "))
        );
        fs::remove_file(&file).unwrap();
        let message = apply(&flags).unwrap_err();
        assert!(message.starts_with("--tls-password-file: "), "{message}");
    }

    #[test]
    fn flags_that_need_or_exclude_others_say_so() {
        for (flags, other) in [
            ("--tls-key a", "--tls-cert"),
            ("--tls-password-file a", "--tls-pkcs12"),
            ("--tls-cert a --tls-pkcs12 b", "--tls-pkcs12"),
            ("--tls-cert a --tls-directory b", "--tls-directory"),
            ("--tls-pkcs12 a --tls-directory b", "--tls-directory"),
        ] {
            let message = apply(flags).unwrap_err();
            assert!(message.contains(other), "{message}");
        }
    }
}
