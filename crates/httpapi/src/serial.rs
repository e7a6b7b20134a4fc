//! How plain values are written by `serde`, where its own way would be hard to read: times as numbers of
//! seconds, addresses and prefixes as texts.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::property::{InheritedTimeouts, Timeouts};

/// A time as a number of seconds.
pub(crate) mod seconds {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_secs_f64())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// A moment as seconds since 1970.
pub(crate) mod unix_seconds {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    pub(crate) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        seconds::serialize(&since, to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        Ok(UNIX_EPOCH + seconds::deserialize(from)?)
    }
}

/// A value as it is displayed and read.
pub(crate) mod text {
    use super::*;

    pub(crate) fn serialize<T: Display, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// An end of a connection as it is displayed: `192.0.2.1:80`, `unix:/run/a.sock`, or `-` for an unknown one.
pub(crate) mod peer {
    use super::*;
    use crate::application::PeerAddress;

    pub(crate) fn serialize<S: Serializer>(peer: &PeerAddress, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(peer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PeerAddress, D::Error> {
        let text = String::deserialize(from)?;
        Ok(match text.strip_prefix("unix:") {
            Some("") => PeerAddress::Unix(None),
            Some(path) => PeerAddress::Unix(Some(path.into())),
            None if text == "-" => PeerAddress::Unknown,
            None => PeerAddress::Tcp(text.parse().map_err(D::Error::custom)?),
        })
    }
}

/// A number that is set, or a word in its place.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Setting {
    Number(f64),
    Word(String),
}

impl Setting {
    fn of(value: Option<Option<f64>>) -> Self {
        match value {
            Some(Some(number)) => Self::Number(number),
            Some(None) => Self::Word("off".to_owned()),
            None => Self::Word("inherited".to_owned()),
        }
    }

    fn read(self) -> Result<Option<Option<f64>>, String> {
        match self {
            Self::Number(number) => Ok(Some(Some(number))),
            Self::Word(word) if word == "off" => Ok(Some(None)),
            Self::Word(word) if word == "inherited" => Ok(None),
            Self::Word(word) => Err(format!(
                "`{word}` is neither a number, `off` nor `inherited`"
            )),
        }
    }

    fn of_time(time: Option<Option<Duration>>) -> Self {
        Self::of(time.map(|time| time.map(|time| time.as_secs_f64())))
    }

    fn read_time(self) -> Result<Option<Option<Duration>>, String> {
        let read =
            |seconds| Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string());
        match self.read()? {
            Some(Some(seconds)) => Ok(Some(Some(read(seconds)?))),
            Some(None) => Ok(Some(None)),
            None => Ok(None),
        }
    }
}

/// The six timers: numbers of seconds, `off` or `inherited`; the rate in bytes per second.
#[derive(Serialize, Deserialize)]
struct Timers {
    idle_connection: Setting,
    header_wait: Setting,
    entity_body: Setting,
    drain_entity_body: Setting,
    request_queue: Setting,
    min_send_rate: Setting,
}

impl Serialize for InheritedTimeouts {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let rate = self.min_send_rate.map(|rate| rate.map(f64::from));
        let timers = Timers {
            idle_connection: Setting::of_time(self.idle_connection),
            header_wait: Setting::of_time(self.header_wait),
            entity_body: Setting::of_time(self.entity_body),
            drain_entity_body: Setting::of_time(self.drain_entity_body),
            request_queue: Setting::of_time(self.request_queue),
            min_send_rate: Setting::of(rate),
        };
        timers.serialize(to)
    }
}

impl<'de> Deserialize<'de> for InheritedTimeouts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let timers = Timers::deserialize(from)?;
        let time = |setting: Setting| setting.read_time().map_err(D::Error::custom);
        let rate = timers.min_send_rate.read().map_err(D::Error::custom)?;
        Ok(Self {
            idle_connection: time(timers.idle_connection)?,
            header_wait: time(timers.header_wait)?,
            entity_body: time(timers.entity_body)?,
            drain_entity_body: time(timers.drain_entity_body)?,
            request_queue: time(timers.request_queue)?,
            min_send_rate: rate.map(|rate| rate.map(|rate| rate as u32)),
        })
    }
}

impl Serialize for Timeouts {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let all_set = InheritedTimeouts {
            idle_connection: Some(self.idle_connection),
            header_wait: Some(self.header_wait),
            entity_body: Some(self.entity_body),
            drain_entity_body: Some(self.drain_entity_body),
            request_queue: Some(self.request_queue),
            min_send_rate: Some(self.min_send_rate),
        };
        all_set.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Timeouts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let timers = InheritedTimeouts::deserialize(from)?;
        Ok(timers.resolve(&Self::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{RequestQueueId, ServerSessionId, UrlGroupId};
    use crate::{
        ConnectionId, OpenConnection, PeerAddress, RegisteredUrl, RequestQueueState,
        ServerSessionState, ServiceState, UrlGroupState, UrlPrefix, Version,
    };

    #[test]
    fn a_service_state_is_read_as_it_was_written() {
        let mut group = UrlGroupState::new(UrlGroupId(2));
        group.queue = Some(RequestQueueId(3));
        group.timeouts.entity_body = Some(Some(Duration::from_millis(1_500)));
        group.timeouts.header_wait = Some(None);
        group.urls = vec![
            RegisteredUrl::Prefix(UrlPrefix::parse("http://+:80/a/").unwrap()),
            RegisteredUrl::Unix {
                socket: "/run/a.sock".into(),
                path: "/".into(),
            },
        ];
        let mut session = ServerSessionState::new(ServerSessionId(1));
        session.timeouts.min_send_rate = None;
        session.groups.push(group);
        let mut state = ServiceState::default();
        state.sessions.push(session);
        state.queues.push(RequestQueueState::new(RequestQueueId(3)));
        let text = serde_json::to_string(&state).unwrap();
        assert!(text.contains(r#""entity_body":1.5"#), "{text}");
        assert!(text.contains(r#""header_wait":"off""#), "{text}");
        assert!(text.contains(r#""request_queue":"inherited""#), "{text}");
        assert!(text.contains(r#"{"prefix":"http://+:80/a/"}"#), "{text}");
        let read: ServiceState = serde_json::from_str(&text).unwrap();
        assert_eq!(read, state);
    }

    #[test]
    fn a_connection_is_read_as_it_was_written() {
        let mut connection = OpenConnection::new(ConnectionId(7));
        connection.peer = PeerAddress::Tcp("192.0.2.1:80".parse().unwrap());
        connection.local = PeerAddress::Unix(Some("/run/a.sock".into()));
        connection.version = Some(Version::Http2);
        connection.since += Duration::from_secs(1_000);
        let text = serde_json::to_string(&connection).unwrap();
        assert!(text.contains(r#""version":"HTTP/2""#), "{text}");
        assert!(text.contains(r#""activity":"idle""#), "{text}");
        let read: OpenConnection = serde_json::from_str(&text).unwrap();
        assert_eq!(read, connection);
    }
}
