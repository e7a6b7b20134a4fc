//! Which certificate is chosen. http-server-api §10, T01–T03.

use std::sync::Arc;

use tidegate_httpapi::{CertificateSource, TlsBinding};

use super::peer::{Bound, Identity, write};

/// Bindings, then `local`, the name asked for, and the binding that is chosen.
type Case<'a> = (&'a [&'a str], &'a str, Option<&'a str>, Option<&'a str>);

#[test]
fn the_first_that_fits_is_chosen() {
    const V4: &str = "10.0.0.4:443";
    const V6: &str = "[2001:db8::4]:443";
    let cases: &[Case<'_>] = &[
        // T01: the exact address before the name.
        (&[V4, "h:443"], V4, Some("h"), Some(V4)),
        (&[V4, "h:443"], "10.0.0.5:443", Some("h"), Some("h:443")),
        // T02: the name before the wildcard address.
        (&["0.0.0.0:443", "h:443"], V4, Some("h"), Some("h:443")),
        (
            &["0.0.0.0:443", "h:443"],
            V4,
            Some("other"),
            Some("0.0.0.0:443"),
        ),
        (&["0.0.0.0:443", "h:443"], V4, None, Some("0.0.0.0:443")),
        // T03: nothing fits.
        (&["h:443"], V4, None, None),
        (&["h:443"], V4, Some("other"), None),
        (&["h:443"], "10.0.0.4:444", Some("h"), None),
        (&[], V4, Some("h"), None),
        // Names: without case; exact before the wildcard label, which is one label.
        (&["h:443"], V4, Some("H"), Some("h:443")),
        (
            &["*.a.b:443", "x.a.b:443"],
            V4,
            Some("x.a.b"),
            Some("x.a.b:443"),
        ),
        (
            &["*.a.b:443", "x.a.b:443"],
            V4,
            Some("Y.A.b"),
            Some("*.a.b:443"),
        ),
        (&["*.a.b:443"], V4, Some("a.b"), None),
        (&["*.a.b:443"], V4, Some("z.y.a.b"), None),
        (&["*.a.b:443"], V4, Some("b"), None),
        // A directory: after names, before wildcard addresses.
        (&["ccs:443", "0.0.0.0:443"], V4, Some("d"), Some("ccs:443")),
        (&["ccs:443", "d:443"], V4, Some("d"), Some("d:443")),
        (&["ccs:443", "*.d:443"], V4, Some("x.d"), Some("*.d:443")),
        (&["ccs:443"], V4, Some("x.d"), Some("ccs:443")),
        (
            &["ccs:443", "0.0.0.0:443"],
            V4,
            Some("other"),
            Some("0.0.0.0:443"),
        ),
        (&["ccs:443"], V4, Some("other"), None),
        // Who goes to an address names nobody; a certificate of the directory may be for the address.
        (&["ccs:443"], "10.0.0.9:443", None, Some("ccs:443")),
        (&["ccs:443"], V4, None, None),
        (&["ccs:443"], "10.0.0.9:444", None, None),
        // Wildcard addresses: the family's own; `[::]` for IPv4 where there is no other.
        (&["0.0.0.0:443", "[::]:443"], V4, None, Some("0.0.0.0:443")),
        (&["0.0.0.0:443", "[::]:443"], V6, None, Some("[::]:443")),
        (&["[::]:443"], V4, None, Some("[::]:443")),
        (&["0.0.0.0:443"], V6, None, None),
        // A socket for both families sees IPv4 as mapped.
        (&[V4, "[::]:443"], "[::ffff:10.0.0.4]:443", None, Some(V4)),
        (
            &["0.0.0.0:443", "[::]:443"],
            "[::ffff:10.0.0.5]:443",
            None,
            Some("0.0.0.0:443"),
        ),
        (
            &["[::ffff:10.0.0.4]:443"],
            V4,
            None,
            Some("[::ffff:10.0.0.4]:443"),
        ),
        (&[V6], V6, Some("h"), Some(V6)),
    ];
    let identity = Identity::self_signed("h");
    let folder = tempfile::tempdir().unwrap();
    for (file, name) in [("d.pem", "d"), ("wild.pem", "*.d"), ("ip.pem", "10.0.0.9")] {
        write(&folder.path().join(file), Identity::self_signed(name).pem());
    }
    let directory = TlsBinding::new(CertificateSource::Directory(folder.path().into()));
    for (keys, local, name, expected) in cases {
        let bound = Bound::new(&[]);
        for key in *keys {
            let binding = match key.starts_with("ccs:") {
                true => directory.clone(),
                false => identity.binding(),
            };
            bound.store.add(&key.parse().unwrap(), &binding).unwrap();
        }
        let local = local.parse().unwrap();
        let select = || bound.bindings().select(local, *name);
        let first = select().as_ref().map(Arc::as_ptr);
        // It is the one without which something else is chosen.
        let chosen = keys.iter().find(|key| {
            bound.store.remove(&key.parse().unwrap()).unwrap();
            select().as_ref().map(Arc::as_ptr) != first
        });
        assert_eq!(chosen, expected.as_ref(), "{keys:?} {local} {name:?}");
    }
}
