//! Which certificates and protocols bindings need at the driver, before anything is done about it.
//!
//! Source: http-server-api §10, the order in which a driver chooses between TLS bindings.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tidegate_httpapi::{
    AddressRange, CertificateSource, Host, HttpProtocols, Scheme, TlsBinding, TlsBindingKey,
    UrlPrefix,
};

use super::{SslError, SslOptions};
use crate::binding::{Binding, Place};
use crate::settings::Settings;

/// What bindings need at the driver besides their URLs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Plan {
    pub(super) tls: BTreeMap<TlsBindingKey, Security>,
    /// Ports without TLS that do not offer all protocols.
    pub(super) cleartext: BTreeMap<u16, HttpProtocols>,
    /// Ports whose connections begin with a PROXY header, and who is believed.
    pub(super) proxies: BTreeMap<u16, Vec<AddressRange>>,
}

/// What one key of the driver's is bound to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Security {
    /// By the server's settings. There is a certificate in the options.
    Own {
        options: SslOptions,
        protocols: HttpProtocols,
    },
    /// As the store has it.
    Stored(TlsBinding),
}

impl Security {
    pub(super) fn binding(&self) -> Option<TlsBinding> {
        match self {
            Self::Own { options, protocols } => options.binding(*protocols),
            Self::Stored(binding) => Some(binding.clone()),
        }
    }
}

impl Plan {
    /// What these bindings need. `stored` are the certificates that the store has for their ports: they are for
    /// those that have none of their own.
    ///
    /// # Errors
    ///
    /// They ask for what cannot be.
    pub(crate) fn new(
        bindings: &[Binding],
        settings: &Settings,
        stored: Vec<(TlsBindingKey, TlsBinding)>,
    ) -> Result<Self, SslError> {
        let mut claims = Claims {
            stored,
            ..Claims::default()
        };
        for binding in bindings {
            claims.add(binding, settings)?;
        }
        Ok(claims.plan())
    }
}

/// What bindings ask for, and which of them was the first to.
#[derive(Default)]
struct Claims<'a> {
    tls: BTreeMap<TlsBindingKey, (Security, &'a Binding)>,
    /// What is bound where no binding has claimed the key.
    fallback: BTreeMap<TlsBindingKey, Security>,
    /// What the store has.
    stored: Vec<(TlsBindingKey, TlsBinding)>,
    /// The protocols of ports whose bindings go by the store.
    stored_protocols: BTreeMap<u16, (HttpProtocols, &'a Binding)>,
    cleartext: BTreeMap<u16, (HttpProtocols, &'a Binding)>,
    proxies: BTreeMap<u16, (Option<Vec<AddressRange>>, &'a Binding)>,
}

impl<'a> Claims<'a> {
    fn add(&mut self, binding: &'a Binding, settings: &Settings) -> Result<(), SslError> {
        let text = || binding.to_string();
        let protocols = binding.protocols().unwrap_or(settings.protocols);
        if !protocols.http1 && !protocols.http2 {
            return Err(SslError::NoProtocol { binding: text() });
        }
        let prefix = match binding.place() {
            Place::Prefix(prefix) => prefix,
            Place::Unix { .. }
                if binding.ssl().is_some()
                    || binding.protocols().is_some()
                    || binding.proxy_protocol().is_some() =>
            {
                return Err(SslError::UnixSocket { binding: text() });
            }
            Place::Unix { .. } => return Ok(()),
        };
        let proxy_protocol = binding.proxy_protocol();
        let proxy_protocol = proxy_protocol.unwrap_or(&settings.proxy_protocol);
        claim(
            &mut self.proxies,
            prefix.port,
            (proxy_protocol.trusted(), binding),
            |port| format!("port {port}"),
        )?;
        if prefix.scheme == Scheme::Http {
            return claim(
                &mut self.cleartext,
                prefix.port,
                (protocols, binding),
                |port| format!("port {port}"),
            );
        }
        if !settings.binding_options.configure_ssl_certificate {
            return Ok(());
        }
        let options = binding.ssl().unwrap_or(&settings.ssl.options);
        let Some(certificate) = &options.certificate else {
            if self.stored.iter().any(|(key, _)| key.port() == prefix.port) {
                return claim(
                    &mut self.stored_protocols,
                    prefix.port,
                    (protocols, binding),
                    |port| format!("port {port}"),
                );
            }
            return Err(SslError::CertificateMissing { binding: text() });
        };
        if !options.tls12 && !options.tls13 {
            return Err(SslError::NoVersion { binding: text() });
        }
        let security = Security::Own {
            options: options.clone(),
            protocols,
        };
        let (keys, fallback) = keys(prefix, certificate);
        for key in keys {
            let claimed = (security.clone(), binding);
            claim(&mut self.tls, key, claimed, TlsBindingKey::to_string)?;
        }
        for key in fallback {
            self.fallback.insert(key, security.clone());
        }
        Ok(())
    }

    fn plan(self) -> Plan {
        let protocols = self.stored_protocols;
        let stored = self.stored.into_iter().map(|(key, mut binding)| {
            if let Some((protocols, _)) = protocols.get(&key.port()) {
                binding.protocols.http1 &= protocols.http1;
                binding.protocols.http2 &= protocols.http2;
            }
            (key, Security::Stored(binding))
        });
        let mut tls = self.fallback;
        // What the settings bind wins, but for what is bound where nobody else does.
        tls.extend(stored);
        let claimed = self.tls.into_iter();
        tls.extend(claimed.map(|(key, (security, _))| (key, security)));
        let cleartext = self.cleartext.into_iter();
        let proxies = self.proxies.into_iter();
        Plan {
            tls,
            proxies: proxies
                .filter_map(|(port, (trusted, _))| Some((port, trusted?)))
                .collect(),
            cleartext: cleartext
                .map(|(port, (protocols, _))| (port, protocols))
                .filter(|(_, protocols)| *protocols != HttpProtocols::default())
                .collect(),
        }
    }
}

/// Has `key` for a binding, unless another has it for something else.
fn claim<'a, K: Ord, V: PartialEq>(
    claims: &mut BTreeMap<K, (V, &'a Binding)>,
    key: K,
    (wanted, binding): (V, &'a Binding),
    place: impl FnOnce(&K) -> String,
) -> Result<(), SslError> {
    match claims.get(&key) {
        Some((claimed, first)) if *claimed != wanted => Err(SslError::Conflict {
            place: place(&key),
            first: first.to_string(),
            second: binding.to_string(),
        }),
        Some(_) => Ok(()),
        None => {
            claims.insert(key, (wanted, binding));
            Ok(())
        }
    }
}

/// What the certificate of a prefix is bound to, and what it is bound to besides where nobody else
/// claims that.
fn keys(
    prefix: &UrlPrefix,
    certificate: &CertificateSource,
) -> (Vec<TlsBindingKey>, Vec<TlsBindingKey>) {
    let port = prefix.port;
    if let CertificateSource::Directory(_) = certificate {
        // Which names it answers for is found in its certificates, not in the prefix.
        return (vec![TlsBindingKey::Directory { port }], Vec::new());
    }
    let address = |address| TlsBindingKey::Address(SocketAddr::new(address, port));
    let every_address = || {
        vec![
            address(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            address(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        ]
    };
    match &prefix.host {
        Host::StrongWildcard | Host::WeakWildcard => (every_address(), Vec::new()),
        Host::Address(host) => (vec![address(*host)], Vec::new()),
        Host::Name {
            name, subdomains, ..
        } => {
            let name = match subdomains {
                true => format!("*.{name}").into(),
                false => name.clone(),
            };
            // Whoever asks a server on his own machine by address, as `https://127.0.0.1`, names no host.
            // The loopback addresses themselves would come before the names of other bindings.
            let fallback = match &*name {
                "localhost" => every_address(),
                _ => Vec::new(),
            };
            (vec![TlsBindingKey::Name { name, port }], fallback)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::BindingOptions;

    fn binding(text: &str) -> Binding {
        text.parse().unwrap()
    }

    fn certificate(name: &str) -> SslOptions {
        SslOptions::pem(format!("{name}.crt"), format!("{name}.key"))
    }

    fn settings() -> Settings {
        let mut settings = Settings::default();
        settings.ssl.options = certificate("default");
        settings
    }

    /// The keys that bindings come to, each with the file of its chain.
    fn bound(bindings: &[Binding], settings: &Settings) -> Vec<(String, String)> {
        let plan = Plan::new(bindings, settings, Vec::new()).unwrap();
        let bound = plan.tls.iter().map(|(key, security)| {
            let source = match security.binding().unwrap().certificate {
                CertificateSource::Pem { chain, .. } => chain,
                CertificateSource::Directory(path) => path,
                source => panic!("{source:?}"),
            };
            (key.to_string(), source.display().to_string())
        });
        bound.collect()
    }

    fn keys_of(binding_text: &str) -> Vec<String> {
        let bound = bound(&[binding(binding_text)], &settings());
        bound.into_iter().map(|(key, _)| key).collect()
    }

    fn refused(bindings: &[Binding], settings: &Settings) -> String {
        Plan::new(bindings, settings, Vec::new())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_binding_is_bound_by_its_host() {
        let every_address = ["0.0.0.0:443", "[::]:443"];
        assert_eq!(keys_of("https://+:443/"), every_address);
        assert_eq!(keys_of("https://*:443/a/"), every_address);
        assert_eq!(keys_of("https://Shop.Example:8443/"), ["shop.example:8443"]);
        assert_eq!(keys_of("https://*.example:443/"), ["*.example:443"]);
        assert_eq!(
            keys_of("https://shop.example:443:10.0.0.4/"),
            ["shop.example:443"]
        );
        assert_eq!(keys_of("https://10.0.0.4:443/"), ["10.0.0.4:443"]);
        assert_eq!(keys_of("https://[::1]:443/"), ["[::1]:443"]);
        assert_eq!(keys_of("http://+:80/"), [""; 0]);
        assert_eq!(keys_of("unix:/run/a"), [""; 0]);
    }

    // A browser names localhost, a client that was given an address names nothing: both are served.
    #[test]
    fn localhost_answers_who_names_nothing_unless_another_binding_does() {
        assert_eq!(
            keys_of("https://localhost:8443/"),
            ["0.0.0.0:8443", "[::]:8443", "localhost:8443"]
        );
        let every = binding("https://+:8443/").with_ssl(certificate("every"));
        let local = binding("https://localhost:8443/");
        let wanted = [
            ("0.0.0.0:8443", "every.crt"),
            ("[::]:8443", "every.crt"),
            ("localhost:8443", "default.crt"),
        ]
        .map(|(key, file)| (key.to_owned(), file.to_owned()));
        let settings = settings();
        assert_eq!(bound(&[every.clone(), local.clone()], &settings), wanted);
        assert_eq!(bound(&[local, every], &settings), wanted);
    }

    #[test]
    fn a_directory_is_bound_to_the_port() {
        let mut settings = settings();
        settings.ssl.options = SslOptions::directory("certificates");
        let bindings = [
            binding("https://+:443/"),
            binding("https://a.example:443/"),
            binding("https://b.example:443/").with_ssl(certificate("b")),
        ];
        let bound = bound(&bindings, &settings);
        let wanted = [("b.example:443", "b.crt"), ("ccs:443", "certificates")]
            .map(|(key, file)| (key.to_owned(), file.to_owned()));
        assert_eq!(bound, wanted);
    }

    #[test]
    fn options_and_protocols_reach_the_driver() {
        let mut options = certificate("a");
        options.ocsp_response = Some("a.ocsp".into());
        options.tls12 = false;
        options.session_tickets = false;
        let bindings = [binding("https://a.example:443/")
            .with_ssl(options)
            .with_protocols(HttpProtocols::HTTP2)];
        let plan = Plan::new(&bindings, &Settings::default(), Vec::new()).unwrap();
        let tls = plan.tls.values().next().unwrap().binding().unwrap();
        assert_eq!(tls.ocsp_response, Some("a.ocsp".into()));
        assert!(!tls.tls12 && tls.tls13 && !tls.session_tickets);
        assert_eq!(tls.protocols, HttpProtocols::HTTP2);
    }

    #[test]
    fn ports_without_tls_are_told_of_when_they_do_not_offer_all() {
        let settings = Settings {
            protocols: HttpProtocols::HTTP1,
            ..Settings::default()
        };
        let bindings = [
            binding("http://+:80/"),
            binding("http://localhost:80/"),
            binding("http://+:81/").with_protocols(HttpProtocols::BOTH),
            binding("http://+:82/").with_protocols(HttpProtocols::HTTP2),
            binding("unix:/run/a"),
        ];
        let plan = Plan::new(&bindings, &settings, Vec::new()).unwrap();
        let told: Vec<_> = plan.cleartext.into_iter().collect();
        assert_eq!(
            told,
            [(80, HttpProtocols::HTTP1), (82, HttpProtocols::HTTP2)]
        );
    }

    #[test]
    fn a_certificate_may_be_left_to_the_driver() {
        let mut settings = Settings::default();
        let bindings = [binding("https://+:443/")];
        assert_eq!(
            refused(&bindings, &settings),
            "https://+:443/ has no certificate"
        );
        settings.binding_options = BindingOptions {
            configure_ssl_certificate: false,
        };
        assert_eq!(
            Plan::new(&bindings, &settings, Vec::new()),
            Ok(Plan::default())
        );
    }

    #[test]
    fn a_stored_certificate_is_for_who_has_none() {
        let stored = |key: &str, file: &str| {
            let source = certificate(file).certificate.unwrap();
            (key.parse().unwrap(), TlsBinding::new(source))
        };
        let store = vec![
            stored("0.0.0.0:443", "stored"),
            stored("a.example:443", "stored"),
        ];
        let bindings = [
            binding("https://+:443/").with_protocols(HttpProtocols::HTTP1),
            binding("https://a.example:443/").with_ssl(certificate("own")),
        ];
        let plan = Plan::new(&bindings, &Settings::default(), store.clone()).unwrap();
        let bound = plan.tls.iter().map(|(key, security)| {
            let binding = security.binding().unwrap();
            let CertificateSource::Pem { chain, .. } = binding.certificate else {
                panic!("{key}");
            };
            let file = chain.display().to_string();
            (key.to_string(), file, binding.protocols)
        });
        let (http1, both) = (HttpProtocols::HTTP1, HttpProtocols::BOTH);
        let wanted = [
            ("0.0.0.0:443".to_owned(), "stored.crt".to_owned(), http1),
            ("a.example:443".to_owned(), "own.crt".to_owned(), both),
        ];
        assert_eq!(bound.collect::<Vec<_>>(), wanted);
        let other = [binding("https://+:444/")];
        let missing = Plan::new(&other, &Settings::default(), store).unwrap_err();
        assert_eq!(missing.to_string(), "https://+:444/ has no certificate");
    }

    #[test]
    fn what_cannot_be_is_refused_by_the_binding() {
        let mut mute = certificate("a");
        (mute.tls12, mute.tls13) = (false, false);
        let none = HttpProtocols {
            http1: false,
            http2: false,
        };
        let cases = [
            (
                binding("https://a:1/").with_ssl(mute),
                "https://a:1/ speaks no version of TLS",
            ),
            (
                binding("https://a:1/").with_protocols(none),
                "https://a:1/ speaks no version of HTTP",
            ),
            (
                binding("unix:/a").with_ssl(certificate("a")),
                "unix:/a:/ has neither TLS nor a choice of protocols or PROXY headers",
            ),
            (
                binding("unix:/a").with_protocols(HttpProtocols::HTTP2),
                "unix:/a:/ has neither TLS nor a choice of protocols or PROXY headers",
            ),
        ];
        for (binding, wanted) in cases {
            assert_eq!(refused(&[binding], &settings()), wanted);
        }
    }

    #[test]
    fn bindings_that_share_a_place_must_agree() {
        let settings = settings();
        let agreeing = [binding("https://+:443/a/"), binding("https://*:443/b/")];
        assert_eq!(bound(&agreeing, &settings).len(), 2);
        let [first, second] = agreeing;
        let second = second.with_protocols(HttpProtocols::HTTP1);
        assert_eq!(
            refused(&[first, second], &settings),
            "https://+:443/a/ and https://*:443/b/ share 0.0.0.0:443, yet not their SSL options, \
             protocols and PROXY headers"
        );
        let ports = [
            binding("http://+:80/"),
            binding("http://a:80/").with_protocols(HttpProtocols::HTTP1),
        ];
        assert_eq!(
            refused(&ports, &settings),
            "http://+:80/ and http://a:80/ share port 80, yet not their SSL options, protocols and \
             PROXY headers"
        );
    }
}
