//! What programs and the page ask of the administration, and have it do. `wire.md` says what it looks like.

use serde_json::{Value, json};
use tidegate_httpapi::{ConnectionId, ConnectionPage};

use super::desk::{Desk, not_allowed, refuse_with, respond};
use super::sample::{
    self, Cached, ConnectionList, Namespace, ServerInfo, WebSocketConnection, is_from,
};
use crate::cache::FlushScope;
use crate::error::Error;
use crate::http::{Request, Response};
use crate::websocket::{Guid, close_code};

/// Answers a request for what is at `path` below `api/`. Who asks has been let in.
pub(super) fn answer(desk: &Desk, path: &str, request: &Request<'_>, response: &mut Response) {
    let reads = request.method() == "GET";
    let acts = request.method() == "POST";
    let query = request.query_params();
    let answer = match path {
        "server" if reads => server(desk),
        "live" if reads => to_value(desk.series.last()),
        "history" if reads => {
            let history = desk.series.history();
            response.content_type("application/json").bytes(history);
            return;
        }
        "metrics" if reads => match metrics(desk) {
            Some(metrics) => metrics,
            None => return refuse_with(response, 503, "the server is being stopped"),
        },
        "state" if reads => to_value(desk.backend.service_state()),
        "namespace" if reads => namespace(desk),
        "connections" if reads => {
            let number = |name| query.first(name).map(|text| text.parse::<u64>());
            let (after, limit) = (number("after"), number("limit"));
            let (Ok(after), Ok(limit)) = (after.transpose(), limit.transpose()) else {
                return refuse_with(response, 400, "`after` and `limit` are numbers");
            };
            let address = query.first("address");
            let asked = Asked {
                after,
                limit,
                address: address.as_deref(),
            };
            to_value(connections(desk, &asked))
        }
        "cache" if reads => {
            to_value(json!({ "responses": cached(desk, query.first("url").as_deref()) }))
        }
        "cache/flush" if acts => match flush_cache(desk, request) {
            Ok(count) => json!({ "flushed": count }),
            Err((status, why)) => return refuse_with(response, status, &why),
        },
        "logs/flush" if acts => {
            desk.backend.flush_log_buffer();
            json!({})
        }
        "sign-in-link" if acts => json!({ "url": desk.sign_in_link() }),
        "server" | "live" | "history" | "metrics" | "state" | "namespace" | "connections"
        | "cache" => return not_allowed(response, &["GET"]),
        "cache/flush" | "logs/flush" | "sign-in-link" => return not_allowed(response, &["POST"]),
        _ => {
            let id = path.strip_prefix("connections/");
            match id.and_then(|rest| rest.strip_suffix("/disconnect")) {
                Some(_) if !acts => return not_allowed(response, &["POST"]),
                Some(id) => match disconnect(desk, id) {
                    true => json!({}),
                    false => return refuse_with(response, 404, "there is no such connection"),
                },
                None => return refuse_with(response, 404, "there is nothing of this name"),
            }
        }
    };
    respond(response, 200, &answer);
}

/// Answers what was asked for over the WebSocket.
pub(super) fn asked_live(desk: &Desk, asked: &Value) -> Value {
    match asked["ask"].as_str() {
        Some("connections") => {
            let asked = Asked {
                after: None,
                limit: asked["limit"].as_u64(),
                address: asked["address"].as_str(),
            };
            json!({ "type": "connections", "connections": to_value(connections(desk, &asked)) })
        }
        Some("namespace") => json!({ "type": "namespace", "namespace": namespace(desk) }),
        Some("cache") => {
            json!({ "type": "cache", "responses": cached(desk, asked["url"].as_str()) })
        }
        _ => json!({ "type": "error", "error": "there is nothing of this name to be asked for" }),
    }
}

/// What runs, and how.
pub(super) fn server(desk: &Desk) -> Value {
    to_value(ServerInfo {
        endpoints: sample::endpoints(&*desk.backend),
        ..desk.info.clone()
    })
}

fn metrics(desk: &Desk) -> Option<Value> {
    Some(json!({
        "metrics": desk.about.upgrade()?.metrics(),
        "live": desk.series.last(),
        "latency": desk.series.latency(),
    }))
}

fn namespace(desk: &Desk) -> Value {
    to_value(Namespace::of(
        &*desk.backend,
        desk.queue,
        &desk.own_urls,
        &desk.metrics_urls,
    ))
}

/// Which connections are asked for.
struct Asked<'a> {
    after: Option<u64>,
    limit: Option<u64>,
    /// The beginning of the peer's address.
    address: Option<&'a str>,
}

fn connections(desk: &Desk, asked: &Asked<'_>) -> ConnectionList {
    let limit = asked
        .limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(desk.connections_max)
        .clamp(1, desk.connections_max);
    let mut list = ConnectionList {
        http_count: desk.backend.connection_count(),
        ..ConnectionList::default()
    };
    let mut after = asked.after.map(ConnectionId);
    for _ in 0..PAGES_MAX {
        let page = desk.backend.connections(ConnectionPage {
            after,
            limit: ConnectionPage::LIMIT_MAX.min(match asked.address {
                Some(_) => ConnectionPage::LIMIT_MAX,
                None => limit,
            }),
        });
        let Some(last) = page.last() else {
            break;
        };
        after = Some(last.id);
        let is_meant = |peer: &_| asked.address.is_none_or(|address| is_from(peer, address));
        let room = limit - list.http.len();
        let meant = page.into_iter().filter(|found| is_meant(&found.peer));
        list.http.extend(meant.take(room));
        if list.http.len() >= limit || asked.address.is_none() {
            break;
        }
    }
    if let Some(server) = desk.about.upgrade() {
        let all = server.connections();
        list.websocket_count = all.count() as u64;
        let looked_at = match asked.address {
            Some(_) => PAGES_MAX * ConnectionPage::LIMIT_MAX,
            None => limit,
        };
        let meant = all.some(looked_at).into_iter().filter(|found| {
            asked
                .address
                .is_none_or(|address| is_from(&found.peer(), address))
        });
        let meant = meant.take(limit);
        list.websocket = meant
            .map(|found| WebSocketConnection::from(&found))
            .collect();
    }
    list
}

/// One of HTTP by its number, one of WebSocket by its Guid.
fn disconnect(desk: &Desk, id: &str) -> bool {
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) {
        let id = id.parse().map(ConnectionId);
        return id.is_ok_and(|id| desk.backend.disconnect(id));
    }
    let Ok(guid) = id.parse::<Guid>() else {
        return false;
    };
    let found = desk
        .about
        .upgrade()
        .and_then(|server| server.connections().find(guid));
    let is_there = found.is_some();
    if let Some(connection) = found {
        // One that does not answer the close frame is dropped a few seconds later.
        connection.disconnect(close_code::NORMAL);
    }
    is_there
}

fn cached(desk: &Desk, url: Option<&str>) -> Vec<Cached> {
    let responses = desk.backend.cached_responses();
    let ours = responses.iter().filter(|found| found.queue == desk.queue);
    let meant = ours.filter(|found| url.is_none_or(|url| is_under(&found.url, url)));
    meant.take(CACHED_MAX).map(Cached::from).collect()
}

/// Whether a cached URL is this one, or below it: a whole URL, or the path alone.
fn is_under(found: &str, url: &str) -> bool {
    let path = |whole: &str| {
        let start = whole.find("://").map_or(0, |index| index + 3);
        whole[start..]
            .find('/')
            .map_or(whole.len(), |index| start + index)
    };
    let (found, url) = match url.starts_with('/') {
        true => (&found[path(found)..], url),
        false => (found, url),
    };
    let base = url.trim_end_matches('/');
    let rest = match found.get(..base.len()) {
        Some(start) if start.eq_ignore_ascii_case(base) => &found[base.len()..],
        _ => return false,
    };
    matches!(rest.bytes().next(), None | Some(b'/' | b'?'))
}

fn flush_cache(desk: &Desk, request: &Request<'_>) -> Result<u64, (u16, String)> {
    let content = request
        .content()
        .map_err(|error| (error.status(), error.to_string()))?;
    let asked: Value = match content.is_empty() {
        true => json!({}),
        false => serde_json::from_slice(content).map_err(|error| (400, error.to_string()))?,
    };
    let malformed = |why: &str| (400, why.to_owned());
    if !asked.is_object() {
        return Err(malformed("this takes an object with `url` and `recursive`"));
    }
    let url = match &asked["url"] {
        Value::Null => None,
        Value::String(url) => Some(url),
        _ => return Err(malformed("`url` is a text")),
    };
    let scope = match &asked["recursive"] {
        Value::Null | Value::Bool(false) => FlushScope::Url,
        Value::Bool(true) => FlushScope::Tree,
        _ => return Err(malformed("`recursive` is true or false")),
    };
    let server = desk.about.upgrade();
    let flushed = match (server, url) {
        (None, _) => Err(Error::NotStarted),
        (Some(server), Some(url)) => server.flush_cache(url, scope),
        (Some(server), None) => server.flush_whole_cache(),
    };
    flushed.map_err(|error| match error {
        Error::NotStarted => (503, error.to_string()),
        error => (400, error.to_string()),
    })
}

fn to_value(value: impl serde::Serialize) -> Value {
    // All of them are plain values, whose maps have texts as keys.
    serde_json::to_value(value).unwrap_or_default()
}

/// Cached responses that are told of at once.
const CACHED_MAX: usize = 1000;
/// Pages of connections that are looked through for those of an address.
const PAGES_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cached_url_is_found_by_its_path_or_whole() {
        let found = "http://localhost:80/News/a?b";
        for url in [
            "/news",
            "/news/",
            "/News/a",
            "/",
            "http://localhost:80/",
            "http://LOCALHOST:80/news/a",
        ] {
            assert!(is_under(found, url), "{url}");
        }
        for url in [
            "/new",
            "/news/b",
            "/a",
            "http://localhost:8/",
            "http://localhost:80/news/a?c",
            "ü",
        ] {
            assert!(!is_under(found, url), "{url}");
        }
    }
}
