//! `/forward`: asks `/inspect` by way of another connection, to show what forwarding tells an upstream.
//!
//! The upstream is the site itself, where it is served by http. The rules are the server's settings, as a
//! settings file has them under `[[forward]]`; a file has its own.

use tidegate::{ForwardHost, ForwardSettings, Request, Response, Settings, UrlPrefix};

/// The rules of a server with these bindings; none where nothing is served by http.
pub(crate) fn rules(settings: &Settings) -> Vec<ForwardSettings> {
    let prefixes = settings
        .bindings
        .iter()
        .filter_map(|binding| binding.prefix());
    let Some(upstream) = prefixes.filter_map(Upstream::of).next() else {
        return Vec::new();
    };
    let rule = |base: String| {
        let mut rule = ForwardSettings::new(format!("{base}forward"), [upstream.url.parse().ok()?]);
        rule.strip_path = true;
        rule.host = ForwardHost::Name(upstream.host.clone());
        Some(rule)
    };
    super::bases(settings)
        .into_iter()
        .filter_map(rule)
        .collect()
}

/// Where the site can be asked for from this machine.
struct Upstream {
    url: String,
    /// `Host` with the port.
    host: String,
}

impl Upstream {
    fn of(prefix: &UrlPrefix) -> Option<Self> {
        let (host, port, path) = (prefix.host.to_string(), prefix.port, &prefix.path);
        // Neither one that is tied to an address, nor a name for many.
        if prefix.to_string() != format!("http://{host}:{port}{path}") || host.starts_with("*.") {
            return None;
        }
        let is_address = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();
        let is_wildcard = matches!(&*host, "+" | "*");
        let here = "127.0.0.1".to_owned();
        let address = if is_address { &host } else { &here };
        let name = if is_wildcard { &here } else { &host };
        Some(Self {
            url: format!("http://{address}:{port}{path}inspect"),
            host: format!("{name}:{port}"),
        })
    }
}

/// What is answered where there is no rule.
pub(super) fn missing(_: &Request<'_>, response: &mut Response) {
    response.status(404);
    response.text(
        "Nothing is forwarded here: that takes a binding with http, or [[forward]] in the settings file.\n",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules_of(bindings: &[&str]) -> Vec<(String, String, ForwardHost)> {
        let mut settings = Settings::default();
        for binding in bindings {
            settings.bindings.push(binding.parse().unwrap());
        }
        let rules = rules(&settings).into_iter();
        rules
            .map(|rule| {
                let url = &rule.to[0];
                let url = format!("{}:{}{}", url.host(), url.port(), url.base());
                (rule.path, url, rule.host)
            })
            .collect()
    }

    #[test]
    fn the_upstream_is_the_site_itself() {
        let rule = |path: &str, url: &str, host: &str| {
            (
                path.to_owned(),
                url.to_owned(),
                ForwardHost::Name(host.to_owned()),
            )
        };
        let named = ["https://localhost:443/", "http://localhost:80/"];
        let url = "127.0.0.1:80/inspect";
        assert_eq!(rules_of(&named), [rule("/forward", url, "localhost:80")]);
        let wild = ["http://+:81/site/"];
        let (url, host) = ("127.0.0.1:81/site/inspect", "127.0.0.1:81");
        let both = [
            rule("/forward", url, host),
            rule("/site/forward", url, host),
        ];
        assert_eq!(rules_of(&wild), both);
        let address = ["http://[::1]:82/"];
        let wanted = [rule("/forward", "[::1]:82/inspect", "[::1]:82")];
        assert_eq!(rules_of(&address), wanted);
    }

    #[test]
    fn nothing_is_forwarded_without_http() {
        let bindings = [
            "https://localhost:443/",
            "unix:/run/x",
            "http://*.example.org:80/",
        ];
        assert_eq!(rules_of(&bindings), []);
    }
}
