//! How the values of a settings file are spelled where the type itself does not say.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use tidegate_httpapi::{
    FloodAnswer, Http2Limits, LogFormat, LogRollover, LogSelection, OperatingMode, RequestLimits,
    ServerHeaderMode, Verbosity503,
};

/// Spells [`OperatingMode`].
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(remote = "OperatingMode", rename_all = "kebab-case")]
pub(super) enum OperatingModeNames {
    Classic,
    HighPerf,
}

/// Spells [`Verbosity503`].
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(remote = "Verbosity503", rename_all = "kebab-case")]
pub(super) enum Verbosity503Names {
    Basic,
    Limited,
    Full,
}

/// Spells [`ServerHeaderMode`].
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(remote = "ServerHeaderMode", rename_all = "kebab-case")]
pub(super) enum ServerHeaderNames {
    Full,
    NotOnErrors,
    Never,
}

/// Spells [`LogFormat`].
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(remote = "LogFormat", rename_all = "kebab-case")]
#[non_exhaustive]
pub(super) enum LogFormatNames {
    W3c,
    Ncsa,
    Iis,
    Json,
}

/// Spells [`LogSelection`].
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(remote = "LogSelection", rename_all = "kebab-case")]
pub(super) enum LogSelectionNames {
    All,
    ErrorsOnly,
    SuccessOnly,
}

/// Spells [`LogRollover`].
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(remote = "LogRollover", rename_all = "kebab-case")]
#[non_exhaustive]
pub(super) enum LogRolloverNames {
    Size,
    Hourly,
    Daily,
    Weekly,
    Monthly,
}

/// Reads a time: a number of seconds, whole or with a fraction.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(SecondsVisitor)
}

struct SecondsVisitor;

impl Visitor<'_> for SecondsVisitor {
    type Value = Duration;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number of seconds, at least 0")
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Duration, E> {
        Ok(Duration::from_secs(seconds))
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Duration, E> {
        match u64::try_from(seconds) {
            Ok(seconds) => Ok(Duration::from_secs(seconds)),
            Err(_) => Err(E::invalid_value(
                serde::de::Unexpected::Signed(seconds),
                &self,
            )),
        }
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Duration, E> {
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| E::invalid_value(serde::de::Unexpected::Float(seconds), &self))
    }
}

/// Reads request limits; those not given keep their default.
pub(super) fn request_limits<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<RequestLimits, D::Error> {
    let table = RequestLimitsTable::deserialize(deserializer)?;
    let mut limits = RequestLimits::default();
    put(&mut limits.field_bytes_max, table.field_bytes_max);
    put(&mut limits.head_bytes_max, table.head_bytes_max);
    put(&mut limits.segment_chars_max, table.segment_chars_max);
    put(&mut limits.segments_max, table.segments_max);
    put(&mut limits.method_bytes_max, table.method_bytes_max);
    put(
        &mut limits.allow_restricted_chars,
        table.allow_restricted_chars,
    );
    put(&mut limits.percent_u_allowed, table.percent_u_allowed);
    put(&mut limits.allow_non_utf8, table.allow_non_utf8);
    Ok(limits)
}

/// The fields of [`RequestLimits`], each of which may be missing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestLimitsTable {
    field_bytes_max: Option<u32>,
    head_bytes_max: Option<u32>,
    segment_chars_max: Option<u32>,
    segments_max: Option<u32>,
    method_bytes_max: Option<u32>,
    allow_restricted_chars: Option<bool>,
    percent_u_allowed: Option<bool>,
    allow_non_utf8: Option<bool>,
}

/// Reads limits on HTTP/2; those not given keep their default.
pub(super) fn http2_limits<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Http2Limits, D::Error> {
    let table = Http2Table::deserialize(deserializer)?;
    let mut limits = Http2Limits::default();
    put(
        &mut limits.concurrent_streams_max,
        table.concurrent_streams_max,
    );
    put(
        &mut limits.header_table_bytes_max,
        table.header_table_bytes_max,
    );
    put(
        &mut limits.client_resets_per_minute_max,
        table.client_resets_per_minute_max,
    );
    put(
        &mut limits.server_resets_per_minute_max,
        table.server_resets_per_minute_max,
    );
    put(
        &mut limits.settings_per_frame_max,
        table.settings_per_frame_max,
    );
    put(
        &mut limits.settings_per_minute_max,
        table.settings_per_minute_max,
    );
    put(&mut limits.pings_per_minute_max, table.pings_per_minute_max);
    put(
        &mut limits.empty_frames_per_minute_max,
        table.empty_frames_per_minute_max,
    );
    put(
        &mut limits.priorities_per_minute_max,
        table.priorities_per_minute_max,
    );
    put(
        &mut limits.window_updates_per_minute_max,
        table.window_updates_per_minute_max,
    );
    put(&mut limits.continuations_max, table.continuations_max);
    limits.on_flood = match table.on_flood {
        Some(FloodAnswerWord::Close) => FloodAnswer::Close,
        Some(FloodAnswerWord::GoAway) => FloodAnswer::GoAway,
        None => limits.on_flood,
    };
    Ok(limits)
}

/// The fields of [`Http2Limits`], each of which may be missing, but for `extended_connect`, which
/// `websocket.rfc8441` decides.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Http2Table {
    concurrent_streams_max: Option<u32>,
    header_table_bytes_max: Option<u32>,
    client_resets_per_minute_max: Option<u32>,
    server_resets_per_minute_max: Option<u32>,
    settings_per_frame_max: Option<u32>,
    settings_per_minute_max: Option<u32>,
    pings_per_minute_max: Option<u32>,
    empty_frames_per_minute_max: Option<u32>,
    priorities_per_minute_max: Option<u32>,
    window_updates_per_minute_max: Option<u32>,
    continuations_max: Option<u32>,
    on_flood: Option<FloodAnswerWord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FloodAnswerWord {
    GoAway,
    Close,
}

fn put<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}
