//! The walls between the crates: which may use which, and where `unsafe` is allowed.
//!
//! The rules are those of `ARCHITECTURE.md`; a new arrow is a change of design and is made there too.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::error::StepError;
use super::step::cargo;

/// Each crate and those of ours that it may use.
const ARROWS: [(&str, &[&str]); 8] = [
    ("tidegate-httpapi", &[]),
    ("tidegate-admission", &["tidegate-httpapi"]),
    ("tidegate-proto", &["tidegate-httpapi"]),
    ("tidegate-engine", &["tidegate-httpapi"]),
    ("tidegate-os", &["tidegate-httpapi"]),
    (
        "tidegate-driver",
        &[
            "tidegate-httpapi",
            "tidegate-proto",
            "tidegate-engine",
            "tidegate-os",
        ],
    ),
    (
        "tidegate",
        &[
            "tidegate-httpapi",
            "tidegate-admission",
            "tidegate-proto",
            "tidegate-os",
            "tidegate-driver",
        ],
    ),
    ("tidegate-cli", &["tidegate"]),
];

/// The crate that calls the system, and the load generator, which does so too but is no part of the
/// server.
const UNSAFE_ALLOWED: [&str; 2] = ["tidegate-os", "bench-generator"];

/// Whether the crates keep to the walls.
pub(crate) fn check(root: &Path) -> Result<(), StepError> {
    let metadata = metadata(root)?;
    let members: Vec<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    let mut broken = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        if let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) {
            for dependency in &package.dependencies {
                let used = dependency.name.as_str();
                // A test may stand on what is above its crate; what is shipped may not.
                if dependency.kind.as_deref() != Some("dev")
                    && members.contains(&used)
                    && !allowed.contains(&used)
                {
                    broken.push(format!("{name} must not use {used}"));
                }
            }
        } else if Path::new(&package.manifest_path).starts_with(root.join("crates")) {
            broken.push(format!("{name} has no rule about what it may use"));
        }
        if UNSAFE_ALLOWED.contains(&name) {
            continue;
        }
        for target in package.targets.iter().filter(|target| target.is_shipped()) {
            let path = Path::new(&target.src_path);
            let text = fs::read_to_string(path).map_err(|source| StepError::File {
                path: path.to_path_buf(),
                source,
            })?;
            if !text.lines().any(|line| line == "#![forbid(unsafe_code)]") {
                let path = path.strip_prefix(root).unwrap_or(path).display();
                broken.push(format!("{path} does not forbid unsafe code"));
            }
        }
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(StepError::Walls(broken))
    }
}

/// What cargo says of the workspace in a folder.
pub(crate) fn metadata(root: &Path) -> Result<Metadata, StepError> {
    let output = cargo()
        .current_dir(root)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .map_err(|source| StepError::Start {
            program: "cargo metadata".to_owned(),
            source,
        })?;
    serde_json::from_slice(&output.stdout).map_err(StepError::Metadata)
}

/// A workspace.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    packages: Vec<Package>,
}

impl Metadata {
    /// The names of its programs.
    pub(crate) fn programs(&self) -> impl Iterator<Item = &str> {
        self.packages
            .iter()
            .flat_map(|package| &package.targets)
            .filter(|target| target.kind.iter().any(|kind| kind == "bin"))
            .map(|target| target.name.as_str())
    }
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    src_path: String,
}

impl Target {
    /// A library or a program, not a test, an example or a build script.
    fn is_shipped(&self) -> bool {
        self.kind.iter().any(|kind| kind == "lib" || kind == "bin")
    }
}
