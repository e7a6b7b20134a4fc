//! Metrics in the words of Prometheus: names, units, labels, what each means.
//!
//! Labels have few values: URL groups, queues and upstreams are those of the settings, the rest is fixed. Never
//! a path, a client or anything else that a peer chooses. Source: Prometheus, "Metric and label naming".

mod component;
mod driver;

use std::fmt::Error;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::{Metrics, ProcessUsage};

/// Metrics to be told.
#[derive(Debug)]
pub(super) struct Exposition(pub(super) Metrics);

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let metrics = &self.0;
        let mut writer = Writer(encoder);
        writer.gauge(
            "tidegate_build_info",
            "The version of the server",
            [([("version", env!("CARGO_PKG_VERSION"))], 1_u64)],
        )?;
        writer.connections(&metrics.backend)?;
        writer.requests(&metrics.backend)?;
        writer.groups(&metrics.service)?;
        writer.queues(&metrics.service)?;
        writer.cache(&metrics.cache)?;
        writer.websockets(&metrics.websockets)?;
        writer.admission(&metrics.admission)?;
        writer.traffic(&metrics.traffic)?;
        writer.upstreams(&metrics.upstreams)?;
        writer.uploads(metrics.uploads)?;
        writer.logs(&metrics.logs)?;
        writer.process(metrics.process)
    }
}

struct Writer<'a>(DescriptorEncoder<'a>);

/// The labels of one value.
type Labels<'l, const N: usize> = [(&'static str, &'l str); N];

/// The one value of what has no labels.
fn alone<V>(value: V) -> [(Labels<'static, 0>, V); 1] {
    [([], value)]
}

/// How the values are written.
impl Writer<'_> {
    /// Something that only grows. The name is told with `_total` behind it.
    fn counter<'l, const N: usize, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l, N>, V)>,
    ) -> Result<(), Error> {
        self.counter_in(name, help, None, values)
    }

    fn counter_in<'l, const N: usize, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        values: impl IntoIterator<Item = (Labels<'l, N>, V)>,
    ) -> Result<(), Error> {
        let kind = MetricType::Counter;
        let mut metric = self.0.encode_descriptor(name, help, unit, kind)?;
        for (labels, value) in values {
            let mut one = metric.encode_family(&labels)?;
            one.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    /// Something that goes up and down.
    fn gauge<'l, const N: usize, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l, N>, V)>,
    ) -> Result<(), Error> {
        self.gauge_in(name, help, None, values)
    }

    fn gauge_in<'l, const N: usize, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        values: impl IntoIterator<Item = (Labels<'l, N>, V)>,
    ) -> Result<(), Error> {
        let kind = MetricType::Gauge;
        let mut metric = self.0.encode_descriptor(name, help, unit, kind)?;
        for (labels, value) in values {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }
}

impl Writer<'_> {
    /// As all that is told of processes is named. Source: Prometheus, "Writing client libraries".
    fn process(&mut self, usage: ProcessUsage) -> Result<(), Error> {
        let seconds = Some(&Unit::Seconds);
        let bytes = Some(&Unit::Bytes);
        let help = "When the process was started, since 1970";
        self.gauge_in(
            "process_start_time",
            help,
            seconds,
            usage.started.map(|value| ([], value)),
        )?;
        self.counter_in(
            "process_cpu",
            "Time that processors have spent on the process",
            seconds,
            usage
                .processor_time
                .map(|time: Duration| ([], time.as_secs_f64())),
        )?;
        self.gauge_in(
            "process_resident_memory",
            "Memory that the process has in use",
            bytes,
            usage.resident_bytes.map(|value| ([], value)),
        )?;
        self.gauge_in(
            "process_virtual_memory",
            "Memory that the process has been given, in use or not",
            bytes,
            usage.virtual_bytes.map(|value| ([], value)),
        )?;
        self.gauge(
            "process_open_fds",
            "Files and sockets that the process has open",
            usage.open_files.map(|value| ([], value)),
        )
    }
}
