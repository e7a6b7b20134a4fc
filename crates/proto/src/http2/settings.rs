//! SETTINGS, ours and the peer's. Source: RFC 9113 §6.5; RFC 8441 §3; RFC 9218 §2.1.

use std::ops::RangeInclusive;

use tidegate_httpapi::{Http2Limits, RequestLimits};

use super::error::{ErrorCode, Fault};
use super::frame::{FrameHead, MAX_U31, PAYLOAD_BYTES_MAX, kind};
use super::hpack::DEFAULT_TABLE_BYTES_MAX;

/// The parameters we know.
mod parameter {
    pub(super) const HEADER_TABLE_SIZE: u16 = 0x1;
    pub(super) const ENABLE_PUSH: u16 = 0x2;
    pub(super) const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    pub(super) const INITIAL_WINDOW_SIZE: u16 = 0x4;
    pub(super) const MAX_FRAME_SIZE: u16 = 0x5;
    pub(super) const MAX_HEADER_LIST_SIZE: u16 = 0x6;
    pub(super) const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;
    pub(super) const NO_RFC7540_PRIORITIES: u16 = 0x9;
}

/// The initial window of a stream until somebody says otherwise.
pub(super) const DEFAULT_WINDOW_BYTES: u32 = 65_535;

/// Appends our SETTINGS.
pub(super) fn write_ours(
    out: &mut Vec<u8>,
    limits: &Http2Limits,
    request_limits: &RequestLimits,
    stream_window: u32,
) {
    use parameter::{
        ENABLE_CONNECT_PROTOCOL, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS,
        MAX_HEADER_LIST_SIZE, NO_RFC7540_PRIORITIES,
    };
    let all = [
        (
            HEADER_TABLE_SIZE,
            limits.header_table_bytes_max,
            limits.header_table_bytes_max != DEFAULT_TABLE_BYTES_MAX,
        ),
        (MAX_CONCURRENT_STREAMS, limits.concurrent_streams_max, true),
        (
            INITIAL_WINDOW_SIZE,
            stream_window,
            stream_window != DEFAULT_WINDOW_BYTES,
        ),
        (MAX_HEADER_LIST_SIZE, request_limits.head_bytes_max, true),
        (ENABLE_CONNECT_PROTOCOL, 1, limits.extended_connect),
        (NO_RFC7540_PRIORITIES, 1, true),
    ];
    let told = all.iter().filter(|(.., is_told)| *is_told);
    let head = FrameHead {
        len: (told.clone().count() * PARAMETER_BYTES) as u32,
        kind: kind::SETTINGS,
        flags: 0,
        stream: 0,
    };
    out.extend_from_slice(&head.to_bytes());
    for (parameter, value, _) in told {
        out.extend_from_slice(&parameter.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// What one SETTINGS frame of the peer changes.
///
/// The push that it allows, the streams that it takes and how long a header list it takes need not be known:
/// we push nothing, open no streams, and send the heads that applications give.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Changes {
    /// How many parameters there are.
    pub(super) count: u32,
    /// The initial window of streams we send on.
    pub(super) initial_window: Option<u32>,
    /// The smallest and the last size of the table that our header blocks may use.
    pub(super) header_table: Option<(u32, u32)>,
}

impl Changes {
    /// Reads the payload of a SETTINGS frame without ACK.
    pub(super) fn read(payload: &[u8]) -> Result<Self, Fault> {
        let (parameters, rest) = payload.as_chunks::<PARAMETER_BYTES>();
        if !rest.is_empty() {
            return Err(Fault::new(
                ErrorCode::FrameSize,
                "SETTINGS is not a number of whole parameters",
            ));
        }
        let mut changes = Self {
            count: parameters.len() as u32,
            ..Self::default()
        };
        for [p0, p1, v0, v1, v2, v3] in parameters {
            let value = u32::from_be_bytes([*v0, *v1, *v2, *v3]);
            changes.take(u16::from_be_bytes([*p0, *p1]), value)?;
        }
        Ok(changes)
    }

    fn take(&mut self, parameter: u16, value: u32) -> Result<(), Fault> {
        match parameter {
            parameter::HEADER_TABLE_SIZE => {
                // RFC 7541 §4.2: the smallest in between has to be told in the next block.
                let smallest = self
                    .header_table
                    .map_or(value, |(smallest, _)| smallest.min(value));
                self.header_table = Some((smallest, value));
            }
            parameter::INITIAL_WINDOW_SIZE => {
                if value > MAX_U31 {
                    let reason = "SETTINGS_INITIAL_WINDOW_SIZE above the largest window";
                    return Err(Fault::new(ErrorCode::FlowControl, reason));
                }
                self.initial_window = Some(value);
            }
            parameter::MAX_FRAME_SIZE if !FRAME_SIZES.contains(&value) => {
                return Err(Fault::protocol("SETTINGS_MAX_FRAME_SIZE out of range"));
            }
            parameter::ENABLE_PUSH
            | parameter::ENABLE_CONNECT_PROTOCOL
            | parameter::NO_RFC7540_PRIORITIES
                if value > 1 =>
            {
                return Err(Fault::protocol("a setting that is neither 0 nor 1"));
            }
            // RFC 9113 §6.5.2: unknown ones are ignored.
            _ => {}
        }
        Ok(())
    }
}

/// What SETTINGS_MAX_FRAME_SIZE may be. RFC 9113 §6.5.2.
const FRAME_SIZES: RangeInclusive<u32> = PAYLOAD_BYTES_MAX as u32..=0xFF_FFFF;

/// Length of one parameter and its value.
const PARAMETER_BYTES: usize = 6;
