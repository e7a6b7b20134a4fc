//! Countries of addresses, by a database that the operator supplies, and which of them may come in.
//!
//! The database is a MaxMind DB file (GeoLite2 Country, GeoIP2, DB-IP and others have this format), whole in
//! memory. It is read again when it has been replaced; one that cannot be read leaves the one before in use.
//! None comes with this program. Source: the component's Firewall, GeoIP.

use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use maxminddb::{Reader, path};

/// A country by its two letters, as ISO 3166-1 has them.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Country([u8; 2]);

impl Country {
    /// Its two letters, upper case.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("letters are ASCII")
    }
}

impl std::str::FromStr for Country {
    type Err = CountryError;

    fn from_str(text: &str) -> Result<Self, CountryError> {
        match text.as_bytes() {
            [first, second] if first.is_ascii_alphabetic() && second.is_ascii_alphabetic() => {
                Ok(Self([
                    first.to_ascii_uppercase(),
                    second.to_ascii_uppercase(),
                ]))
            }
            _ => Err(CountryError { text: text.into() }),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

/// A text that is no country. The caller's fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CountryError {
    /// The text refused.
    pub text: Box<str>,
}

impl fmt::Display for CountryError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "`{}` is no country code of two letters such as DE",
            self.text
        )
    }
}

impl std::error::Error for CountryError {}

/// Which countries may come in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CountryRules {
    /// Those that may; empty is all.
    pub allow: Vec<Country>,
    /// Those that may not, also when they are allowed.
    pub block: Vec<Country>,
    /// Whether addresses may come in whose country is not known, such as private ones. Default true.
    pub blocks_unknown: bool,
}

impl CountryRules {
    /// Whether an address of this country may come in.
    pub fn admit(&self, country: Option<Country>) -> bool {
        match country {
            None => !self.blocks_unknown,
            Some(country) if self.block.contains(&country) => false,
            Some(country) => self.allow.is_empty() || self.allow.contains(&country),
        }
    }

    /// Whether they let everybody in.
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty() && self.block.is_empty() && !self.blocks_unknown
    }
}

/// Countries by address.
pub struct CountryDatabase {
    path: PathBuf,
    /// The same reader in each: a look-up takes the one that its address falls to, so that workers do not all
    /// write to one lock. Nothing else is locked while one is held.
    readers: [RwLock<Arc<Reader<Vec<u8>>>>; READERS],
    /// What the file was like when it was read. Held while it is read again, before `readers`.
    version: Mutex<Version>,
}

const READERS: usize = 16;

/// What tells one file from the one that replaced it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Version {
    modified: Option<SystemTime>,
    bytes: u64,
}

/// Why a database cannot be used.
#[derive(Debug)]
pub struct DatabaseError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub fault: DatabaseFault,
}

/// Why a database cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum DatabaseFault {
    /// It cannot be read.
    Io(std::io::Error),
    /// It is no MaxMind DB.
    Format(maxminddb::MaxMindDbError),
}

impl CountryDatabase {
    /// Reads a database.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is none.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let (reader, version) = read(path)?;
        let reader = Arc::new(reader);
        Ok(Self {
            path: path.into(),
            readers: std::array::from_fn(|_| RwLock::new(Arc::clone(&reader))),
            version: Mutex::new(version),
        })
    }

    /// Reads it again if the file is another now; whether it was.
    ///
    /// Reads a file, so it is not for a thread that must not wait.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is none. The one before stays in use, and this is told each time.
    pub fn refresh(&self) -> Result<bool, DatabaseError> {
        let mut version = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        if version_of(&self.path)? == *version {
            return Ok(false);
        }
        let (reader, new) = read(&self.path)?;
        let reader = Arc::new(reader);
        for shared in &self.readers {
            *shared.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&reader);
        }
        *version = new;
        Ok(true)
    }

    /// The country of an address; `None` when the database does not know, or what it says cannot be read.
    pub fn find(&self, address: IpAddr) -> Option<Country> {
        let address = address.to_canonical();
        let last = match address {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(address) => address.octets()[7],
        };
        let reader = self.readers[usize::from(last) % READERS].read();
        let reader = reader.unwrap_or_else(PoisonError::into_inner);
        let found = reader.lookup(address).ok()?;
        let of =
            |keys: &[maxminddb::PathElement<'_>]| found.decode_path::<&str>(keys).ok().flatten();
        let code = of(&path!["country", "iso_code"])
            .or_else(|| of(&path!["registered_country", "iso_code"]));
        code?.parse().ok()
    }
}

fn version_of(path: &Path) -> Result<Version, DatabaseError> {
    let metadata = fs::metadata(path).map_err(|error| io(path, error))?;
    Ok(Version {
        modified: metadata.modified().ok(),
        bytes: metadata.len(),
    })
}

fn read(path: &Path) -> Result<(Reader<Vec<u8>>, Version), DatabaseError> {
    // Before it is read: should it be replaced meanwhile, it is read once more and not too seldom.
    let version = version_of(path)?;
    let content = fs::read(path).map_err(|error| io(path, error))?;
    let reader = Reader::from_source(content).map_err(|error| DatabaseError {
        path: path.into(),
        fault: DatabaseFault::Format(error),
    })?;
    Ok((reader, version))
}

fn io(path: &Path, error: std::io::Error) -> DatabaseError {
    DatabaseError {
        path: path.into(),
        fault: DatabaseFault::Io(error),
    }
}

impl fmt::Debug for CountryDatabase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CountryDatabase({})", self.path.display())
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.fault {
            DatabaseFault::Io(_) => {
                write!(formatter, "cannot read the database of countries {path}")
            }
            DatabaseFault::Format(_) => write!(formatter, "{path} is no MaxMind DB of countries"),
        }
    }
}

impl std::error::Error for DatabaseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            DatabaseFault::Io(source) => Some(source),
            DatabaseFault::Format(source) => Some(source),
        }
    }
}

#[cfg(test)]
mod tests;
