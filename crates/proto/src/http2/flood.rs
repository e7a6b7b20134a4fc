//! Counters of what costs us more than the peer. Source: RFC 9113 §10.5, http-server-api §15.

use tidegate_httpapi::Http2Limits;

use super::error::Fault;

/// What one connection's peer did in the current minute.
#[derive(Debug, Default)]
pub(super) struct Counters {
    minute: u32,
    client_resets: u32,
    server_resets: u32,
    settings: u32,
    pings: u32,
    empty_frames: u32,
    priorities: u32,
    window_updates: u64,
    /// Bytes of content sent, which the peer may answer with WINDOW_UPDATE.
    sent: u64,
    /// DATA frames sent that no window has cut short. Some peers answer each, however short, on its stream
    /// and on the connection. Those that a window has cut count for nothing: a peer that opens it byte by
    /// byte would make room for itself.
    whole_frames: u64,
}

impl Counters {
    /// Begins anew if this is another minute.
    #[inline(always)]
    pub(super) fn begin(&mut self, minute: u32) {
        if self.minute != minute {
            *self = Self {
                minute,
                ..Self::default()
            };
        }
    }

    /// CVE-2023-44487.
    pub(super) fn client_reset(&mut self, limits: &Http2Limits) -> Result<(), Fault> {
        self.client_resets += 1;
        let max = limits.client_resets_per_minute_max;
        within(
            self.client_resets,
            max,
            "too many streams reset by the client",
        )
    }

    /// CVE-2025-8671.
    pub(super) fn server_reset(&mut self, limits: &Http2Limits) -> Result<(), Fault> {
        self.server_resets += 1;
        let max = limits.server_resets_per_minute_max;
        within(self.server_resets, max, "too many resets provoked")
    }

    /// CVE-2019-9515.
    pub(super) fn settings(&mut self, count: u32, limits: &Http2Limits) -> Result<(), Fault> {
        let reason = "too many parameters in a SETTINGS frame";
        within(count, limits.settings_per_frame_max, reason)?;
        self.settings = self.settings.saturating_add(count.max(1));
        within(
            self.settings,
            limits.settings_per_minute_max,
            "too many SETTINGS",
        )
    }

    /// CVE-2019-9512.
    pub(super) fn ping(&mut self, limits: &Http2Limits) -> Result<(), Fault> {
        self.pings += 1;
        within(self.pings, limits.pings_per_minute_max, "too many PING")
    }

    /// CVE-2019-9518.
    #[cold]
    pub(super) fn empty_frame(&mut self, limits: &Http2Limits) -> Result<(), Fault> {
        self.empty_frames += 1;
        let max = limits.empty_frames_per_minute_max;
        within(self.empty_frames, max, "too many empty frames")
    }

    /// CVE-2019-9513.
    pub(super) fn priority(&mut self, limits: &Http2Limits) -> Result<(), Fault> {
        self.priorities += 1;
        let max = limits.priorities_per_minute_max;
        within(self.priorities, max, "too many changes of priority")
    }

    /// CVE-2019-9511.
    #[inline]
    pub(super) fn window_update(&mut self, limits: &Http2Limits) -> Result<(), Fault> {
        self.window_updates += 1;
        let max = u64::from(limits.window_updates_per_minute_max)
            + self.sent / BYTES_PER_UPDATE
            + self.whole_frames * UPDATES_PER_FRAME;
        if self.window_updates > max {
            return Err(Fault::flood("too many WINDOW_UPDATE"));
        }
        Ok(())
    }

    /// A DATA frame with so many bytes of content is sent; `is_cut`: windows allowed no more.
    #[inline(always)]
    pub(super) fn sent(&mut self, bytes: usize, is_cut: bool) {
        self.sent += bytes as u64;
        self.whole_frames += u64::from(!is_cut);
    }
}

#[inline]
fn within(count: u32, max: u32, reason: &'static str) -> Result<(), Fault> {
    if count > max {
        return Err(Fault::flood(reason));
    }
    Ok(())
}

/// How many bytes sent account for one WINDOW_UPDATE.
const BYTES_PER_UPDATE: u64 = 1_024;

/// For how many WINDOW_UPDATE one DATA frame accounts: its stream's and the connection's.
const UPDATES_PER_FRAME: u64 = 2;
