//! A server that is looked after: metrics for Prometheus, a live page, health for orchestrators, and a watchdog.

use tidegate::{
    AdministrationSettings, HealthEndpointSettings, MetricsSettings, Server, WatchDogMonitor,
    WatchDogSettings,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    // In earnest these have ports of their own; here all is at the next one.
    let beside = format!("http://localhost:{}", port + 1);
    let mut metrics = MetricsSettings::default();
    metrics.enabled = true;
    metrics.url = format!("{beside}/metrics/").parse()?;
    let mut health = HealthEndpointSettings::default();
    health.enabled = true;
    health.liveness = format!("{beside}/livez/").parse()?;
    health.readiness = format!("{beside}/readyz/").parse()?;
    let mut administration = AdministrationSettings::default();
    administration.enabled = true;
    administration.url = format!("{beside}/tidegate/");
    administration.token_file = Some("administration-token".into());
    let watchdog = WatchDogSettings {
        enabled: true,
        monitor: WatchDogMonitor {
            enabled: true,
            ..WatchDogMonitor::default()
        },
        ..WatchDogSettings::default()
    };
    Server::builder()
        .port(port)
        .metrics(metrics)
        .health(health)
        .administration(administration)
        .watchdog(watchdog)
        .on_watchdog_restart(|_, restart| eprintln!("started anew: {restart:?}"))
        .on_startup(|server| {
            if let Some(link) = server.administration_link() {
                println!("The live page: {link}");
            }
        })
        .on_http_request(|_, response| response.text("looked after"))
        .build()?
        .run()?;
    Ok(())
}
