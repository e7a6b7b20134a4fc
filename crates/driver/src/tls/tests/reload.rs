//! Files that change while handshakes go on.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tidegate_httpapi::{CertificateSource, TlsBinding, TlsBindingKey};
use tracing_subscriber::fmt::MakeWriter;

use super::peer::{Bound, Identity, VERSIONS, Wire, client, write};

/// A certificate in files, and who serves it.
struct Place {
    folder: TempDir,
    bound: Bound,
    log: Log,
    now: SystemTime,
}

impl Place {
    fn new(identity: &Identity) -> Self {
        let place = Self::with_log(Bound::new(&[]));
        place.put(identity);
        place.add("0.0.0.0:443", place.source());
        place
    }

    fn with_log(bound: Bound) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            bound,
            log: Log::default(),
            // What was written before this is settled.
            now: SystemTime::now() + Duration::from_secs(60),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn source(&self) -> CertificateSource {
        CertificateSource::Pem {
            chain: self.path("chain.pem"),
            key: self.path("key.pem"),
        }
    }

    fn add(&self, key: &str, source: CertificateSource) {
        let key: TlsBindingKey = key.parse().unwrap();
        let add = || self.bound.store.add(&key, &TlsBinding::new(source));
        self.log.of(add).unwrap();
    }

    fn put(&self, identity: &Identity) {
        write(&self.path("chain.pem"), identity.certificate.pem());
        write(&self.path("key.pem"), identity.key.serialize_pem());
    }

    /// A round of the thread; and the lines it writes.
    fn look(&self) -> Vec<String> {
        self.look_at(self.now)
    }

    fn look_at(&self, now: SystemTime) -> Vec<String> {
        self.log.take();
        self.log.of(|| self.bound.store.look(now));
        self.log.take()
    }

    /// Whether it is this that new clients are shown.
    fn shows(&self, identity: &Identity) -> bool {
        let client = Arc::new(client(&[&identity.certificate], &VERSIONS));
        let mut wire = Wire::new(&client, "h", &self.bound.bindings());
        wire.settle().is_ok() && wire.shown() == &identity.der()
    }
}

#[test]
fn a_renewed_certificate_serves_new_handshakes() {
    let [old, new] = ["h", "h"].map(Identity::self_signed);
    let place = Place::new(&old);
    assert!(place.look().is_empty());
    let clients = Arc::new(client(&[&old.certificate, &new.certificate], &VERSIONS));
    let mut open = Wire::established(&clients, &place.bound.bindings());
    let mut half = Wire::new(&clients, "h", &place.bound.bindings());
    let mut hello = half.take_from_client();
    half.give_server(&mut hello);

    place.put(&new);
    let lines = place.look();
    assert!(
        matches!(&lines[..], [line] if line.contains("INFO")),
        "{lines:?}"
    );
    assert!(place.shows(&new));
    assert!(place.look().is_empty());

    // What began before goes on, and sessions stay good.
    half.bindings = place.bound.bindings();
    half.give_client().unwrap();
    half.settle().unwrap();
    assert_eq!(half.shown(), &old.der());
    open.client_says(b"still here");
    open.settle().unwrap();
    assert_eq!(open.received, b"still here");
    let resumed = Wire::established(&clients, &place.bound.bindings());
    assert!(resumed.session.info().unwrap().resumed);
}

#[test]
fn a_broken_certificate_is_refused_and_told_once() {
    let [old, new] = ["h", "h"].map(Identity::self_signed);
    let place = Place::new(&old);
    let pem = new.certificate.pem();
    for broken in ["", "nothing", &pem[..pem.len() / 2], &pem] {
        write(&place.path("chain.pem"), broken);
        let lines = place.look();
        let [line] = &lines[..] else {
            panic!("{lines:?}")
        };
        assert!(
            line.contains("ERROR") && line.contains("chain.pem"),
            "{line}"
        );
        assert!(place.look().is_empty(), "told twice");
        assert!(place.shows(&old));
    }
    std::fs::remove_file(place.path("chain.pem")).unwrap();
    assert_eq!(place.look().len(), 1);
    assert!(place.shows(&old));
    // And is good again at last.
    place.put(&new);
    place.look();
    assert!(place.shows(&new));
}

#[test]
fn a_half_written_pair_is_looked_at_again() {
    let [old, new] = ["h", "h"].map(Identity::self_signed);
    let place = Place::new(&old);
    write(&place.path("chain.pem"), new.certificate.pem());
    // At once: it may be in the middle of being written.
    assert!(place.look_at(SystemTime::now()).is_empty());
    assert!(place.shows(&old));
    write(&place.path("key.pem"), new.key.serialize_pem());
    let lines = place.look_at(SystemTime::now());
    assert!(lines.iter().all(|line| line.contains("INFO")), "{lines:?}");
    assert!(place.shows(&new));
    // Or never was completed.
    write(&place.path("chain.pem"), old.certificate.pem());
    assert!(place.look_at(SystemTime::now()).is_empty());
    let lines = place.look();
    assert!(
        matches!(&lines[..], [line] if line.contains("ERROR")),
        "{lines:?}"
    );
}

#[test]
fn an_explicit_reload_says_what_is_wrong() {
    let [old, new] = ["h", "h"].map(Identity::self_signed);
    let place = Place::new(&old);
    place.put(&new);
    place.bound.store.reload().unwrap();
    assert!(place.shows(&new));
    write(&place.path("key.pem"), "nothing");
    let error = place.bound.store.reload().unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("key.pem"), "{source}");
    assert!(place.shows(&new));
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_elsewhere_is_a_change() {
    use std::os::unix::fs::symlink;
    let [old, new] = ["h", "h"].map(Identity::self_signed);
    let place = Place::with_log(Bound::new(&[]));
    for (folder, identity) in [("1", &old), ("2", &new)] {
        std::fs::create_dir(place.path(folder)).unwrap();
        write(
            &place.path(folder).join("chain.pem"),
            identity.certificate.pem(),
        );
        write(
            &place.path(folder).join("key.pem"),
            identity.key.serialize_pem(),
        );
    }
    // As volumes of containers do it.
    let current = place.path("current");
    symlink("1", &current).unwrap();
    let source = CertificateSource::Pem {
        chain: current.join("chain.pem"),
        key: current.join("key.pem"),
    };
    place.add("0.0.0.0:443", source);
    assert!(place.shows(&old));
    symlink("2", place.path("next")).unwrap();
    std::fs::rename(place.path("next"), &current).unwrap();
    place.look();
    assert!(place.shows(&new));
}

#[test]
fn a_directory_is_looked_at_as_a_whole() {
    let [old, new, other] = ["h", "h", "other"].map(Identity::self_signed);
    let place = Place::with_log(Bound::new(&[]));
    write(&place.path("h.pem"), old.pem());
    place.add(
        "ccs:443",
        CertificateSource::Directory(place.folder.path().into()),
    );
    assert!(place.look().is_empty());
    // One more, in a folder.
    std::fs::create_dir(place.path("other")).unwrap();
    assert!(place.look().is_empty());
    write(&place.path("other/fullchain.pem"), other.certificate.pem());
    let lines = place.look();
    assert!(
        matches!(&lines[..], [line] if line.contains("privkey.pem")),
        "{lines:?}"
    );
    write(&place.path("other/privkey.pem"), other.key.serialize_pem());
    let lines = place.look();
    assert!(
        matches!(&lines[..], [line] if line.contains("INFO")),
        "{lines:?}"
    );
    // One that breaks serves as before; one that is good again serves.
    write(&place.path("h.pem"), "nothing");
    let lines = place.look();
    assert!(
        matches!(&lines[..], [line] if line.contains("h.pem")),
        "{lines:?}"
    );
    assert!(place.look().is_empty());
    assert!(place.shows(&old));
    write(&place.path("h.pem"), new.pem());
    place.look();
    assert!(place.shows(&new));
    // One that has gone is gone.
    std::fs::remove_file(place.path("h.pem")).unwrap();
    place.look();
    assert!(!place.shows(&new));
    assert_eq!(place.bound.store.infos()[0].certificates.len(), 1);
}

#[test]
fn the_thread_finds_what_has_changed() {
    let [old, new] = ["h", "h"].map(Identity::self_signed);
    let (sender, published) = std::sync::mpsc::channel();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.pem");
    write(&path, old.pem());
    let store = crate::tls::Store::new(Duration::from_millis(1), move |bindings| {
        let _ = sender.send(bindings);
    });
    let source = CertificateSource::Pem {
        chain: path.clone(),
        key: path.clone(),
    };
    let key = "0.0.0.0:443".parse().unwrap();
    store.add(&key, &TlsBinding::new(source)).unwrap();
    published.recv().unwrap();
    write(&path, new.pem());
    let client = Arc::new(client(&[&new.certificate], &VERSIONS));
    let bindings = published.recv().unwrap();
    Wire::established(&client, &bindings);
    drop(store);
    // Its thread has ended, and let go of what it held.
    while published.recv().is_ok() {}
}

#[test]
fn the_end_of_a_certificate_is_told() {
    let identity = {
        let mut identity = Identity::self_signed("h");
        let mut params = rcgen::CertificateParams::new(["h".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2100, 1, 20);
        identity.certificate = params.self_signed(&identity.key).unwrap();
        identity
    };
    let place = Place::new(&identity);
    assert!(place.look().is_empty());
    let day = |day: u64| {
        let end = place.bound.store.infos()[0].certificates[0].not_after;
        end - Duration::from_secs(20 * 24 * 60 * 60) + Duration::from_secs(day * 24 * 60 * 60)
    };
    let said = |at| {
        let lines = place.look_at(at);
        assert!(
            lines.iter().all(|line| line.contains("2100-01-20")),
            "{lines:?}"
        );
        lines
            .iter()
            .map(|line| line.contains("ERROR"))
            .collect::<Vec<_>>()
    };
    assert!(said(day(5)).is_empty());
    assert_eq!(said(day(6)), [false]);
    assert!(said(day(6)).is_empty());
    assert_eq!(said(day(7)), [false]);
    assert_eq!(said(day(20) + Duration::from_secs(1)), [true]);
}

/// Lines of the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn of<T>(&self, run: impl FnOnce() -> T) -> T {
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, run)
    }

    fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
