//! Where things are: the checkout, what was built, what was installed, and room for scratch files.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::BenchError;
use super::process;

/// Absolute paths of everything a benchmark uses.
#[derive(Debug)]
pub(crate) struct Places {
    /// The workspace's root.
    pub(crate) root: PathBuf,
    /// Release programs of the workspace.
    pub(crate) release: PathBuf,
    /// Configurations and logs of one run.
    pub(crate) scratch: PathBuf,
}

impl Places {
    pub(crate) fn find() -> Result<Self, BenchError> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest
            .join("..")
            .canonicalize()
            .map_err(BenchError::file(manifest))?;
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Ok(Self {
            release: root.join(target).join("release"),
            scratch: env::temp_dir().join(format!("tidegate-bench-{}", std::process::id())),
            root,
        })
    }

    /// Makes the scratch folder, with the files that file-serving peers serve.
    pub(crate) fn prepare_scratch(&self) -> Result<(), BenchError> {
        let www = self.www();
        fs::create_dir_all(&www).map_err(BenchError::file(&www))?;
        for (name, content) in [
            ("hello", bench_answers::HELLO.to_owned()),
            ("json", bench_answers::json()),
        ] {
            let path = www.join(name);
            fs::write(&path, content).map_err(BenchError::file(&path))?;
        }
        Ok(())
    }

    /// Makes the files of the suite about content: parts of the same bytes, of several lengths.
    pub(crate) fn prepare_files(&self) -> Result<(), BenchError> {
        let whole = bench_answers::download();
        for (name, bytes) in FILES {
            let path = self.www().join(name);
            fs::write(&path, &whole[..bytes]).map_err(BenchError::file(&path))?;
        }
        Ok(())
    }

    /// Makes what only the suites with TLS need: the certificate, its key, both in one file, and more
    /// files to serve.
    pub(crate) fn prepare_tls(&self) -> Result<(), BenchError> {
        for (name, content) in [
            ("download", bench_answers::download()),
            // nghttpd reads an upload to its end, and answers with the file.
            ("upload", bench_answers::UPLOADED.into()),
        ] {
            let path = self.www().join(name);
            fs::write(&path, content).map_err(BenchError::file(&path))?;
        }
        let program = find_program("openssl").ok_or(BenchError::Missing {
            what: "openssl, which makes the certificate,",
            remedy: "install the package openssl, or give --install",
        })?;
        let mut command = Command::new(program);
        command.args(CERTIFICATE_REQUEST);
        command.arg("-keyout").arg(self.key());
        command.arg("-out").arg(self.certificate());
        process::run_to_end(&mut command)?;
        let mut both = Vec::new();
        for path in [self.certificate(), self.key()] {
            both.extend(fs::read(&path).map_err(BenchError::file(&path))?);
        }
        let path = self.certificate_and_key();
        fs::write(&path, both).map_err(BenchError::file(&path))
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.scratch.join("certificate.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.scratch.join("key.pem")
    }

    pub(crate) fn certificate_and_key(&self) -> PathBuf {
        self.scratch.join("both.pem")
    }

    pub(crate) fn www(&self) -> PathBuf {
        self.scratch.join("www")
    }

    /// Where servers put what they take in.
    pub(crate) fn uploads(&self) -> PathBuf {
        self.scratch.join("uploads")
    }

    pub(crate) fn generator(&self) -> PathBuf {
        self.release.join("bench-generator")
    }

    pub(crate) fn subject(&self) -> PathBuf {
        self.release.join("bench-subject")
    }

    /// The program that users run.
    pub(crate) fn program(&self) -> PathBuf {
        self.release.join("tidegate")
    }

    pub(crate) fn bare_responder(&self) -> PathBuf {
        self.release.join("examples").join("bare")
    }

    pub(crate) fn bare_websocket(&self) -> PathBuf {
        self.release.join("examples").join("bare_websocket")
    }

    pub(crate) fn peers(&self) -> PathBuf {
        self.root.join("bench").join("peers")
    }

    pub(crate) fn peer(&self, name: &str) -> PathBuf {
        self.peers().join("target").join("release").join(name)
    }

    pub(crate) fn tools(&self) -> PathBuf {
        self.root.join("bench").join(".tools")
    }

    pub(crate) fn bun(&self) -> PathBuf {
        self.tools()
            .join("node_modules")
            .join(BUN_PACKAGE)
            .join("bin")
            .join("bun")
    }

    /// The folder of npm's `ws`.
    pub(crate) fn ws(&self) -> PathBuf {
        self.tools().join("node_modules").join(WS_PACKAGE)
    }

    pub(crate) fn results(&self) -> PathBuf {
        self.root.join("bench").join("RESULTS.md")
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        // What is left of a run that failed to clean up is small and in the temporary folder.
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

/// Finds a program in the folders of `PATH`, and those that hold servers.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

/// Names of the files to serve, and their lengths.
const FILES: [(&str, usize); 3] = [
    ("1k.bin", 1 << 10),
    ("100k.bin", 100 << 10),
    ("10m.bin", bench_answers::DOWNLOAD_BYTES),
];

/// ECDSA on P-256, signed by itself.
const CERTIFICATE_REQUEST: [&str; 13] = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "30",
    "-subj",
    "/CN=localhost",
    "-addext",
    "subjectAltName=DNS:localhost,IP:127.0.0.1",
];

/// The npm package that holds Bun's program for this platform.
pub(crate) const BUN_PACKAGE: &str = "@oven/bun-linux-x64";

/// The npm package with the WebSocket server for Node.
pub(crate) const WS_PACKAGE: &str = "ws";
