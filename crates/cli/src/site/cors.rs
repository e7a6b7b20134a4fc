//! `/cors/open` and `/cors/closed`: what pages of other origins may read, and what they may not.
//!
//! The rules are the server's settings, as a settings file has them under `[[cors]]`; a file has its own.

use tidegate::{CorsOrigins, CorsSettings, Request, Response, Settings};

/// The rules of a server with these bindings.
pub(crate) fn rules(settings: &Settings) -> Vec<CorsSettings> {
    let bases = super::bases(settings);
    bases.iter().flat_map(|base| at(base)).collect()
}

/// The rules of a site that is served under this path, which ends with a slash.
fn at(base: &str) -> [CorsSettings; 2] {
    let open = CorsSettings {
        path: format!("{base}cors/open"),
        origins: CorsOrigins::any(),
        methods: ["PUT"].into(),
        headers: ["X-Tide"].into(),
        exposed_headers: ["X-Tide"].into(),
        ..CorsSettings::default()
    };
    let closed = CorsSettings {
        path: format!("{base}cors/closed"),
        ..CorsSettings::default()
    };
    [open, closed]
}

/// Says who asked, and gives a field back.
pub(super) fn tell(request: &Request<'_>, response: &mut Response) {
    if let Some(tide) = request.header("X-Tide")
        && response.try_header("X-Tide", &*tide).is_err()
    {
        return super::refuse(response, "The field cannot be sent back");
    }
    let origin = request.origin().unwrap_or("no page of another origin");
    response.cache_control("no-store");
    response.text(format!("{} by {origin}\n", request.method()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_for_every_path_the_site_is_served_at() {
        let mut settings = Settings::default();
        for binding in [
            "http://+:80/",
            "http://a:80/site/",
            "http://b:80/site/",
            "unix:/run/x",
        ] {
            settings.bindings.push(binding.parse().unwrap());
        }
        let rules = rules(&settings);
        let paths: Vec<_> = rules.iter().map(|rule| &*rule.path).collect();
        assert_eq!(
            paths,
            [
                "/cors/open",
                "/cors/closed",
                "/site/cors/open",
                "/site/cors/closed"
            ]
        );
    }
}
