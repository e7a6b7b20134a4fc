//! A firewall that knows attacks when it sees them, and a limit of three requests in ten seconds.

use std::time::Duration;

use tidegate::{FirewallSettings, RateLimitSettings, RateRuleSettings, Server};

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    let mut firewall = FirewallSettings::default();
    firewall.enabled = true;
    firewall.patterns.sql_injection = true;
    firewall.patterns.path_traversal = true;
    firewall.threat_score.enabled = true;
    let mut rates = RateLimitSettings::default();
    rates.enabled = true;
    rates.rule.push(RateRuleSettings {
        name: "all".into(),
        limit: 3,
        window: Duration::from_secs(10),
        ..RateRuleSettings::default()
    });
    Server::builder()
        .port(port)
        .firewall(firewall)
        .rate_limit(rates)
        .on_firewall_violation(|violation| eprintln!("{violation:?}"))
        .on_http_request(|_, response| response.text("welcome"))
        .build()?
        .run()
}
