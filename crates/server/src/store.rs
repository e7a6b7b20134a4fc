//! The settings of the whole service, in a file that outlives servers: reservations, certificates, addresses to
//! listen on, timeouts, the cache's limit.
//!
//! What the HTTP Server API keeps in the registry. `tidegate http` changes it, servers read it. Here is the file as a
//! whole; what may stand in it is in `configuration` and `certificate`, how it is written in `format`, what a server
//! makes of it in `stored`. Source: service configuration of the HTTP Server API; http-server-api §1, §3, §6, §10.

mod certificate;
mod configuration;
mod error;
mod format;
mod stored;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tidegate_admission::replace::{lock, replace};
use tidegate_httpapi::Caller;

pub use self::certificate::{HttpCertificate, HttpCertificateSource};
pub use self::configuration::HttpConfiguration;
pub use self::error::{StoreError, StoreFault};
pub(crate) use self::stored::Stored;

/// The file with the settings of the whole service.
///
/// It is read by servers whose [`Settings::store`](crate::Settings::store) names it, when they start and when they
/// [reload](crate::Server::reload). Changes replace it as a whole, one writer at a time: it can be read at any
/// moment, and when a change has returned, it is on the disk.
///
/// ```no_run
/// use tidegate::{Account, HttpStore, Reservation, UrlPrefix, UrlRights};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let reservation = Reservation {
///     prefix: UrlPrefix::parse("http://+:80/shop/")?,
///     list: tidegate::AccessControlList::of(Account::parse("alice")?, UrlRights::LISTEN),
/// };
/// let store = HttpStore::at("/var/lib/tidegate/http.toml");
/// let caller = store.caller();
/// store.change(|settings| settings.reserve(reservation, caller.as_ref()))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpStore {
    path: PathBuf,
}

impl HttpStore {
    /// The store in this file, which need not be there yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where the program's store is: `/var/lib/tidegate/http.toml` for the superuser, else `http.toml` in the
    /// user's state folder. `None` when the user has no home.
    pub fn default_path() -> Option<PathBuf> {
        Some(tidegate_os::state_folder()?.join("http.toml"))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who this process is to the store: its administrator when it runs as the superuser or as the owner of the
    /// file. `None` where the system does not tell accounts: nobody is asked there.
    pub fn caller(&self) -> Option<Caller> {
        let account = tidegate_os::process_account()?;
        // Whoever makes it owns it.
        let owner = tidegate_os::file_owner(&self.path).ok().flatten();
        let is_owner = owner.is_none_or(|owner| owner == account.user_id);
        Some(Caller {
            is_administrator: account.user_id == SUPERUSER || is_owner,
            name: account.name,
            user_id: Some(account.user_id),
            group_ids: account.group_ids,
        })
    }

    /// What is in it; nothing, when there is no file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or what is in it may not be: the line and the key are named.
    pub fn read(&self) -> Result<HttpConfiguration, StoreError> {
        let fail = |fault| StoreError::File {
            path: self.path.clone(),
            fault,
        };
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(HttpConfiguration::default());
            }
            opened => opened.map_err(|error| fail(StoreFault::Read(error)))?,
        };
        let mut text = Vec::new();
        file.take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut text)
            .map_err(|error| fail(StoreFault::Read(error)))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(fail(StoreFault::TooLong));
        }
        let text = String::from_utf8(text).map_err(|_| fail(StoreFault::NotUtf8))?;
        format::read(&text).map_err(|fault| StoreError::line(&self.path, &text, fault))
    }

    /// Changes it, or makes the file with the folders above it. Whoever else changes it at the same time, in this
    /// process or another, waits. When this returns, the change is on the disk; if the process is killed before,
    /// all is as it was.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read): a file that cannot be read is never written over. Or `change` refuses, and nothing
    /// is changed; or the file cannot be written.
    pub fn change<R, E>(
        &self,
        change: impl FnOnce(&mut HttpConfiguration) -> Result<R, E>,
    ) -> Result<R, StoreError>
    where
        StoreError: From<E>,
    {
        let fail = |fault: fn(io::Error) -> StoreFault| {
            move |error| StoreError::File {
                path: self.path.clone(),
                fault: fault(error),
            }
        };
        if let Some(folder) = self.path.parent().filter(|folder| !folder.exists()) {
            tidegate_os::create_private_folder(folder).map_err(fail(StoreFault::Write))?;
        }
        let _lock = lock(&self.path).map_err(fail(StoreFault::Lock))?;
        let mut configuration = self.read()?;
        let result = change(&mut configuration)?;
        let text = format::write(&configuration);
        replace(&self.path, text.as_bytes()).map_err(fail(StoreFault::Write))?;
        Ok(result)
    }
}

const SUPERUSER: u32 = 0;

/// Longest file: some 100,000 reservations.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests;
