//! Random namespaces beside a list that is searched from end to end.

use std::net::IpAddr;

use tidegate_engine::PortKey;
use tidegate_httpapi::{ErrorCode, Host, UrlPrefix, fold_path};

use crate::random::{Random, for_seeds};
use crate::site::{Got, Site, get_from, queue};

#[derive(Default)]
struct Model {
    registrations: Vec<(UrlPrefix, u64)>,
    reservations: Vec<UrlPrefix>,
}

impl Model {
    fn port_is_free_for(&self, prefix: &UrlPrefix) -> bool {
        let mut all = self
            .registrations
            .iter()
            .map(|(prefix, _)| prefix)
            .chain(&self.reservations);
        all.all(|other| other.scheme == prefix.scheme)
    }

    fn get(&self, host: &str, local: Option<IpAddr>, path: &str) -> Got {
        let mut host_is_known = false;
        for bucket in buckets(host, local) {
            let of_bucket = |prefix: &UrlPrefix| prefix.host == bucket;
            let registrations = self
                .registrations
                .iter()
                .filter(|(prefix, _)| of_bucket(prefix))
                // The registration serves where both have the path: it counts as a little longer.
                .map(|(prefix, number)| (2 * prefix.path.len() + 1, prefix, queue(*number)));
            let reservations = self
                .reservations
                .iter()
                .filter(|prefix| of_bucket(prefix))
                .map(|prefix| (2 * prefix.path.len(), prefix, Got::ReservedOnly));
            let all: Vec<_> = registrations.chain(reservations).collect();
            host_is_known |= !all.is_empty();
            let best = all
                .into_iter()
                .filter(|(_, prefix, _)| {
                    fold_path(&format!("{path}/")).starts_with(&*fold_path(&prefix.path))
                })
                .max_by_key(|(length, _, _)| *length);
            if let Some((_, _, got)) = best {
                return got;
            }
        }
        match host_is_known {
            true => Got::UnknownPath,
            false => Got::UnknownHost,
        }
    }
}

/// The hosts of prefixes that are for this host, in order.
fn buckets(host: &str, local: Option<IpAddr>) -> Vec<Host> {
    let mut buckets = vec![Host::StrongWildcard];
    let host = host.to_ascii_lowercase();
    let mut name = |name: &str, subdomains| {
        for address in local.map(Some).into_iter().chain([None]) {
            buckets.push(Host::Name {
                name: name.into(),
                subdomains,
                address,
            });
        }
    };
    name(&host, false);
    for (dot, _) in host.match_indices('.') {
        name(&host[dot + 1..], true);
    }
    buckets.extend(local.map(Host::Address));
    buckets.push(Host::WeakWildcard);
    buckets
}

const HOSTS: [&str; 18] = [
    "+:80",
    "*:80",
    "a.b.c:80",
    "b.c:80",
    "c:80",
    "xa.b.c:80",
    "*.a.b.c:80",
    "*.b.c:80",
    "*.c:80",
    "a.b.c:80:10.0.0.4",
    "a.b.c:80:10.0.0.5",
    "b.c:80:[::1]",
    "*.b.c:80:10.0.0.4",
    "*.c:80:[::1]",
    "10.0.0.4:80",
    "10.0.0.5:80",
    "[::1]:80",
    "[fe80::1]:80",
];
const ASKED: [&str; 9] = [
    "a.b.c", "A.B.c", "b.c", "c", "x.a.b.c", "y.x.b.c", "x.c", "other", "10.0.0.4",
];
const LOCALS: [Option<&str>; 5] = [
    None,
    Some("10.0.0.4"),
    Some("10.0.0.5"),
    Some("::1"),
    Some("10.0.0.6"),
];
const SEGMENTS: [&str; 10] = ["a", "A", "ab", "é", "É", "aé", "b", "σ", "ς", "x y"];

fn path(random: &mut Random) -> String {
    (0..random.below(4))
        .map(|_| format!("/{}", random.pick(&SEGMENTS)))
        .collect()
}

fn prefix(random: &mut Random) -> UrlPrefix {
    let scheme = if random.below(20) == 0 {
        "https"
    } else {
        "http"
    };
    let host = *random.pick(&HOSTS);
    UrlPrefix::parse(&format!("{scheme}://{host}{}/", path(random))).unwrap()
}

fn change(site: &mut Site, model: &mut Model, random: &mut Random) {
    let prefix = prefix(random);
    let text = prefix.to_string();
    let number = random.below(4) as u64;
    let claimed = model
        .registrations
        .iter()
        .position(|(other, _)| *other == prefix);
    let reserved = model.reservations.iter().position(|other| *other == prefix);
    let (result, expected) = match random.below(6) {
        0..=2 => {
            let free = claimed.is_none() && model.port_is_free_for(&prefix);
            if free {
                model.registrations.push((prefix, number));
            }
            let result = site.try_register(&text, number).map(drop);
            (result, (!free).then_some(ErrorCode::AlreadyExists))
        }
        3 => {
            let own = claimed.filter(|&index| model.registrations[index].1 == number);
            own.map(|index| model.registrations.remove(index));
            let result = site.try_remove(&text, number).map(drop);
            (result, own.is_none().then_some(ErrorCode::FileNotFound))
        }
        4 => {
            let free = reserved.is_none() && model.port_is_free_for(&prefix);
            if free {
                model.reservations.push(prefix);
            }
            let result = site.try_reserve(&text);
            (result, (!free).then_some(ErrorCode::AlreadyExists))
        }
        _ => {
            reserved.map(|index| model.reservations.remove(index));
            let result = site.try_delete_reservation(&text);
            (
                result,
                reserved.is_none().then_some(ErrorCode::FileNotFound),
            )
        }
    };
    assert_eq!(result.err().map(|error| error.code()), expected, "{text}");
}

#[test]
fn random_namespaces_route_as_the_list_says() {
    for_seeds(300, |random| {
        let mut site = Site::new();
        let mut model = Model::default();
        for _ in 0..12 {
            for _ in 0..1 + random.below(6) {
                change(&mut site, &mut model, random);
            }
            let snapshot = site.control.snapshot();
            for _ in 0..40 {
                let host = *random.pick(&ASKED);
                let local = random.pick(&LOCALS).map(|local| local.parse().unwrap());
                let path = match path(random) {
                    path if path.is_empty() || random.below(2) == 0 => path + "/",
                    path => path,
                };
                let got = get_from(&snapshot, PortKey::Tcp(80), host, local, &path);
                let wanted = model.get(host, local, path.trim_end_matches('/'));
                assert_eq!(got, wanted, "{host} via {local:?} {path}");
            }
        }
    });
}

#[test]
fn changes_of_endpoints_add_up() {
    for_seeds(200, |random| {
        let mut site = Site::new();
        let mut open = Vec::new();
        for _ in 0..60 {
            let prefix = prefix(random).to_string();
            let result = match random.below(2) {
                0 => site.try_register(&prefix, 1),
                _ => site.try_remove(&prefix, 1),
            };
            let Ok(change) = result else { continue };
            assert!(change.close.iter().all(|need| open.contains(need)));
            open.retain(|need| !change.close.contains(need));
            assert!(change.open.iter().all(|need| !open.contains(need)));
            open.extend(change.open);
            open.sort();
            assert_eq!(open, site.control.needed_endpoints());
        }
    });
}

// A host and a path are a peer's bytes: nothing in them may stop a worker.
#[test]
fn any_host_and_path_get_an_answer() {
    const PIECES: [&str; 18] = [
        "a", "B", ".", "..", ":", "80", "[", "]", "*", "+", "/", "é", "σ", "\u{0}", "\u{fffd}",
        "漢", "１", "\u{200d}",
    ];
    for_seeds(50, |random| {
        let mut site = Site::new();
        for number in 0..8 {
            let _ = site.try_register(&prefix(random).to_string(), number);
        }
        let snapshot = site.control.snapshot();
        let mut text = |length| -> String {
            (0..random.below(length))
                .map(|_| *random.pick(&PIECES))
                .collect()
        };
        for _ in 0..500 {
            let (host, path) = (text(300), text(20));
            get_from(&snapshot, PortKey::Tcp(80), &host, None, &path);
            get_from(&snapshot, PortKey::Unix(1), &host, None, &path);
        }
    });
}
