//! How fast each response goes.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_httpapi::FlowRate;

/// How fast each response goes: its first `burst_size` bytes at `max_peak_bandwidth`, the rest at `max_bandwidth`.
/// `[flow_rate]` in a settings file.
///
/// A response that fell behind, since its client was slow, may catch up, never above the peak. A change holds for
/// responses that begin after it. [`max_bandwidth`](crate::Settings::max_bandwidth) holds beside it. Source: the
/// HTTP Server API's flow rate.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct FlowRateSettings {
    /// Bytes per second after the burst; 0 is unlimited. Default 0, else at least 1,024.
    pub max_bandwidth: u32,
    /// Bytes per second in the burst and when catching up; 0 is as much as `max_bandwidth`, below which it may not
    /// be. Default 0.
    pub max_peak_bandwidth: u32,
    /// Length of the burst, in bytes. Default 0.
    pub burst_size: u32,
}

impl FlowRateSettings {
    /// As the driver has it.
    pub(super) fn rate(&self) -> Option<FlowRate> {
        let max_bandwidth = self.max_bandwidth;
        (max_bandwidth != 0).then_some(FlowRate {
            max_bandwidth,
            max_peak_bandwidth: match self.max_peak_bandwidth {
                0 => max_bandwidth,
                peak => peak,
            },
            burst_size: self.burst_size,
        })
    }
}
