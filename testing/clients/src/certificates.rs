//! Certificates for the servers and clients of a run: the program makes those that sign themselves,
//! OpenSSL makes an authority and what that signs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::ClientError;
use crate::options::Options;
use crate::process;
use crate::server::io;

/// Has the program make a certificate that is good for `names`: `NAME.crt` and `NAME.key` in `folder`, after
/// the first of them.
pub(crate) fn self_signed(
    options: &Options,
    folder: &Path,
    names: &[&str],
) -> Result<(), ClientError> {
    let mut command = Command::new(&options.program);
    command
        .args(["cert", "self-signed", "--force", "--out"])
        .arg(folder)
        .args(names);
    process::run(command, Vec::new(), LIMIT).map(|_| ())
}

/// Who signs certificates, as OpenSSL's small one does.
pub(crate) struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// A new one; its certificate is `authority.crt` in `folder`, and what it signs will be there too.
    pub(crate) fn new(folder: &Path) -> Result<Self, ClientError> {
        let authority = Self {
            folder: folder.to_path_buf(),
        };
        fs::write(folder.join("index"), "").map_err(io("writing a file"))?;
        fs::write(folder.join("openssl.conf"), SETTINGS).map_err(io("writing a file"))?;
        authority.openssl(&[
            "req",
            "-x509",
            "-config",
            "openssl.conf",
            "-extensions",
            "authority",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "3",
            "-subj",
            "/CN=Authority of a test",
            "-keyout",
            "authority.key",
            "-out",
            "authority.crt",
        ])?;
        Ok(authority)
    }

    /// Signs a certificate for a server's names, or for a client when it has none: `NAME.crt` and `NAME.key`.
    pub(crate) fn sign(&self, name: &str, server_names: &[&str]) -> Result<(), ClientError> {
        let (request, key) = (format!("{name}.csr"), format!("{name}.key"));
        let subject = format!("/CN={name}");
        self.openssl(&[
            "req",
            "-new",
            "-config",
            "openssl.conf",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            &subject,
            "-keyout",
            &key,
            "-out",
            &request,
        ])?;
        let extensions = match server_names {
            [] => "extendedKeyUsage = clientAuth\n".to_owned(),
            names => format!(
                "extendedKeyUsage = serverAuth\nsubjectAltName = {}\n",
                names.join(",")
            ),
        };
        let file = self.folder.join("extensions.conf");
        fs::write(file, format!("[own]\n{extensions}")).map_err(io("writing a file"))?;
        let certificate = format!("{name}.crt");
        self.openssl(&[
            "ca",
            "-batch",
            "-config",
            "openssl.conf",
            "-extfile",
            "extensions.conf",
            "-extensions",
            "own",
            "-notext",
            "-in",
            &request,
            "-out",
            &certificate,
        ])
    }

    /// Takes a certificate back; `revoked.pem` says so.
    pub(crate) fn revoke(&self, name: &str) -> Result<(), ClientError> {
        let certificate = format!("{name}.crt");
        self.openssl(&["ca", "-config", "openssl.conf", "-revoke", &certificate])?;
        self.openssl(&[
            "ca",
            "-config",
            "openssl.conf",
            "-gencrl",
            "-out",
            "revoked.pem",
        ])
    }

    /// Makes an OCSP response that says what the authority knows of a certificate: `NAME.ocsp`.
    pub(crate) fn respond_about(&self, name: &str) -> Result<(), ClientError> {
        let (certificate, response) = (format!("{name}.crt"), format!("{name}.ocsp"));
        let request = "request.ocsp";
        self.openssl(&[
            "ocsp",
            "-issuer",
            "authority.crt",
            "-cert",
            &certificate,
            "-no_nonce",
            "-reqout",
            request,
        ])?;
        self.openssl(&[
            "ocsp",
            "-index",
            "index",
            "-CA",
            "authority.crt",
            "-rsigner",
            "authority.crt",
            "-rkey",
            "authority.key",
            "-ndays",
            "3",
            "-reqin",
            request,
            "-respout",
            &response,
        ])
    }

    fn openssl(&self, words: &[&str]) -> Result<(), ClientError> {
        let mut command = Command::new("openssl");
        command.current_dir(&self.folder).args(words);
        process::run(command, Vec::new(), LIMIT).map(|_| ())
    }
}

/// What OpenSSL's authority needs to be told.
const SETTINGS: &str = "
[req]
distinguished_name = empty
[empty]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign, digitalSignature
subjectKeyIdentifier = hash
[ca]
default_ca = own_authority
[own_authority]
database = index
new_certs_dir = .
rand_serial = yes
certificate = authority.crt
private_key = authority.key
default_md = sha256
default_days = 3
default_crl_days = 3
policy = any
crl_extensions = revocation_list
[any]
commonName = supplied
[revocation_list]
authorityKeyIdentifier = keyid
";

const LIMIT: Duration = Duration::from_secs(30);
