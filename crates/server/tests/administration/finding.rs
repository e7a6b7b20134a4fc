//! How programs find a server, and what it cannot be started with.

use std::fs;

use tidegate::{AdministrationClient, AdministrationClientError, Error, RunningServer, Server};

use crate::client::free_port;
use crate::client::setting::builder;
use crate::{Administered, settings};
use tidegate::{Io, OperatingMode};

#[test]
fn a_server_is_told_of_as_long_as_it_runs() {
    let place = Administered::start(|builder| builder);
    let folder = place.folder.path().to_owned();
    let told = RunningServer::list(&folder).unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].process, std::process::id());
    assert_eq!(
        told[0].url,
        format!("http://localhost:{}/admin/", place.admin_port)
    );
    let client = AdministrationClient::of(&told[0]).unwrap();
    assert_eq!(client.server().unwrap().url, told[0].url);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = place.token_file().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let token_file = place.token_file();
    let before = place.token();
    place.server.stop();
    place.server.wait_stopped();
    assert_eq!(RunningServer::list(&folder).unwrap(), []);
    let error = AdministrationClient::find(Some(&token_file)).unwrap_err();
    assert!(
        matches!(error, AdministrationClientError::NoneRuns { .. }),
        "{error}"
    );
    let error = client.server().unwrap_err();
    assert!(
        matches!(error, AdministrationClientError::Unreachable { .. }),
        "{error}"
    );
    // The token stays, and the client finds the server again.
    place.server.start().unwrap();
    place.server.wait_started().unwrap();
    assert_eq!(place.token(), before);
    assert_eq!(client.server().unwrap().process, std::process::id());
    place.stop();
}

#[test]
fn of_several_servers_one_is_to_be_named() {
    let one = Administered::start(|builder| builder);
    let (port, admin_port) = (free_port(), free_port());
    let two = builder(Io::Poll, OperatingMode::Classic, port)
        .administration(settings(&one.folder, admin_port))
        .build()
        .unwrap();
    two.start().unwrap();
    two.wait_started().unwrap();
    let error = AdministrationClient::find(Some(&one.token_file())).unwrap_err();
    let AdministrationClientError::SeveralRun(servers) = &error else {
        panic!("{error}");
    };
    assert_eq!(servers.len(), 2);
    let url = format!("http://127.0.0.1:{admin_port}/admin");
    let named = AdministrationClient::new(&url, Some(&one.token_file())).unwrap();
    assert!(
        named
            .server()
            .unwrap()
            .url
            .contains(&admin_port.to_string())
    );
    two.stop();
    two.wait_stopped();
    assert!(one.client().server().is_ok());
    one.stop();
}

#[test]
fn a_file_that_a_killed_server_left_is_passed_over() {
    let place = Administered::start(|builder| builder);
    let told = &RunningServer::list(place.folder.path()).unwrap()[0];
    let gone = serde_json::json!({
        "url": format!("http://localhost:{}/gone/", free_port()),
        "process": 1, "version": "0", "token_file": place.token_file(),
    });
    fs::write(
        place.folder.path().join("server-gone.json"),
        gone.to_string(),
    )
    .unwrap();
    assert_eq!(place.client().url(), told.url);
    place.stop();
}

#[test]
fn it_stays_when_the_application_is_changed() {
    let place = Administered::start(|builder| builder);
    let client = place.client();
    let started = client.server().unwrap().started;
    let mut settings = place.server.settings();
    let port = free_port();
    settings.port = Some(port);
    place.server.reload(settings.clone()).unwrap();
    let namespace = client.namespace().unwrap();
    let url = format!("http://127.0.0.1:{port}/");
    assert!(
        namespace.urls.iter().any(|found| found.url == url),
        "{namespace:?}"
    );
    assert_eq!(client.server().unwrap().started, started);
    place
        .server
        .configure(|settings| settings.port = Some(free_port()))
        .unwrap();
    place.server.restart().unwrap();
    place.server.wait_started().unwrap();
    assert_eq!(client.server().unwrap().started, started);
    settings.administration.connections_max = 7;
    let error = place.server.reload(settings).unwrap_err();
    assert!(error.to_string().contains("administration"), "{error}");
    place.stop();
}

#[test]
fn what_cannot_be_started_is_told_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut open = settings(&folder, 1);
    open.url = "http://+:9180/".to_owned();
    let error = Server::builder().administration(open).build().unwrap_err();
    let text = format!("{error:?}");
    assert!(text.contains("can be reached by others"), "{text}");
    assert!(text.contains("to do: make it https"), "{text}");
    let mut odd = settings(&folder, 1);
    odd.url = "localhost:9180".to_owned();
    assert!(Server::builder().administration(odd).build().is_err());

    fs::write(folder.path().join("token"), "short").unwrap();
    let server = builder(Io::Poll, OperatingMode::Classic, free_port())
        .administration(settings(&folder, free_port()))
        .build()
        .unwrap();
    server.start().unwrap();
    let error = server.wait_started().unwrap_err();
    assert!(matches!(error, Error::Administration(_)), "{error}");
    assert!(error.to_string().contains("holds no token"), "{error}");
    assert!(!server.is_active());
    assert_eq!(server.endpoints(), []);
}
