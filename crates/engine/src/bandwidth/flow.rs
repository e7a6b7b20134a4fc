//! The flow rate of one response.

use std::time::Duration;

use tidegate_httpapi::FlowRate;

use super::{nanoseconds, slice_bytes};

/// Keeps a response to its flow rate.
///
/// Its first `burst_size` bytes go at `max_peak_bandwidth`, the rest at `max_bandwidth`. Who falls behind may
/// catch up, never above the peak. Source: `HTTP_FLOWRATE_INFO`; http-server-api §12.
#[derive(Clone, Debug)]
pub struct ResponseFlow {
    rate: FlowRate,
    began: Duration,
    sent: u64,
    /// When what was sent has been used up at the peak.
    paid_until: Duration,
}

impl ResponseFlow {
    /// A response begins.
    pub fn begin(rate: FlowRate, now: Duration) -> Self {
        Self {
            rate,
            began: now,
            sent: 0,
            paid_until: now,
        }
    }

    /// How many of `wanted` bytes may be sent now.
    ///
    /// # Errors
    ///
    /// None: again at the moment returned.
    pub fn available(&self, wanted: u64, now: Duration) -> Result<u64, Duration> {
        let peak = slice_bytes(self.rate.max_peak_bandwidth.into());
        let least = wanted
            .min(peak)
            .min(slice_bytes(self.rate.max_bandwidth.into()))
            .max(1);
        let due = self.due(now).saturating_sub(self.sent);
        if due < least {
            return Err(self.paid_until.max(self.due_at(self.sent + least)));
        }
        match self.paid_until <= now {
            true => Ok(due.min(peak).min(wanted.max(1))),
            false => Err(self.paid_until),
        }
    }

    /// `bytes` are sent.
    pub fn take(&mut self, bytes: u64, now: Duration) {
        self.sent += bytes;
        let takes = nanoseconds(bytes, self.rate.max_peak_bandwidth.into());
        self.paid_until = self.paid_until.max(now) + Duration::from_nanos(takes);
    }

    /// What may have been sent by now.
    fn due(&self, now: Duration) -> u64 {
        let since = now.saturating_sub(self.burst_ends());
        let steady = since.as_nanos() * u128::from(self.rate.max_bandwidth) / 1_000_000_000;
        u64::from(self.rate.burst_size).saturating_add(u64::try_from(steady).unwrap_or(u64::MAX))
    }

    /// When so many bytes may have been sent.
    fn due_at(&self, bytes: u64) -> Duration {
        let steady = bytes.saturating_sub(self.rate.burst_size.into());
        // One more: a nanosecond is rounded away.
        let takes = nanoseconds(steady, self.rate.max_bandwidth.into()) + 1;
        self.burst_ends() + Duration::from_nanos(takes)
    }

    /// When the burst has been sent at the peak.
    fn burst_ends(&self) -> Duration {
        let burst = nanoseconds(
            self.rate.burst_size.into(),
            self.rate.max_peak_bandwidth.into(),
        );
        self.began + Duration::from_nanos(burst)
    }
}
