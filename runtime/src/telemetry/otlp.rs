//! Metrics, traces and logs over OTLP/HTTP, for a process that is a service.

use super::TelemetryError;
use super::client::Client;
use super::trace;
use crate::config::Config;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use std::time::Duration;
use tokio::runtime::Handle;

/// Longest wait for what is still to be sent when a process ends.
const LAST: Duration = Duration::from_secs(5);

/// A service that tells of itself.
#[derive(Debug, Clone)]
pub struct Service {
    /// `service.name`, unless `OTEL_SERVICE_NAME` says another.
    pub name: &'static str,
    /// What sends.
    pub handle: Handle,
}

/// What is exported, by signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    /// The last part of its address, and, in capitals, the middle of its variables.
    fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// Whether it is to be sent: somebody says where to, and nobody says not to.
    fn is_wanted(self, endpoint: Option<&str>, variable: &impl Fn(&str) -> Option<String>) -> bool {
        let name = self.name().to_ascii_uppercase();
        let is_off = variable(&format!("OTEL_{name}_EXPORTER")).is_some_and(|exporter| exporter == "none");
        let own = format!("OTEL_EXPORTER_OTLP_{name}_ENDPOINT");
        let has_address = endpoint.is_some() || variable("OTEL_EXPORTER_OTLP_ENDPOINT").is_some() || variable(&own).is_some();
        let is_disabled = variable("OTEL_SDK_DISABLED").is_some_and(|disabled| disabled.eq_ignore_ascii_case("true"));
        has_address && !is_off && !is_disabled
    }

    /// Its own address below a base address.
    fn address(self, endpoint: &str) -> String {
        format!("{}/v1/{}", endpoint.trim_end_matches('/'), self.name())
    }
}

/// What sends, as long as the process lives.
#[derive(Debug, Default)]
pub(super) struct Providers {
    metrics: Option<SdkMeterProvider>,
    traces: Option<SdkTracerProvider>,
    pub(super) logs: Option<SdkLoggerProvider>,
}

impl Providers {
    /// As configuration and standard variables say; nothing without an address.
    pub(super) fn open(config: &Config, service: &Service) -> Result<Self, TelemetryError> {
        let endpoint = config.telemetry.endpoint.as_deref();
        let wanted = |signal: Signal| signal.is_wanted(endpoint, &variable);
        if ![Signal::Traces, Signal::Metrics, Signal::Logs].into_iter().any(wanted) {
            return Ok(Self::default());
        }
        let client = Client::new(service.handle.clone())?;
        let resource = resource(config, service);
        let failed = |e: opentelemetry_otlp::ExporterBuildError| TelemetryError::Otlp(e.to_string());
        let mut providers = Self::default();
        if wanted(Signal::Metrics) {
            let builder = MetricExporter::builder().with_http().with_http_client(client.clone());
            let exporter = at(builder, Signal::Metrics, endpoint).build().map_err(failed)?;
            let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter).with_resource(resource.clone()).build();
            global::set_meter_provider(provider.clone());
            providers.metrics = Some(provider);
        }
        if wanted(Signal::Traces) {
            let builder = SpanExporter::builder().with_http().with_http_client(client.clone());
            let exporter = at(builder, Signal::Traces, endpoint).build().map_err(failed)?;
            let mut builder = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.clone());
            if variable("OTEL_TRACES_SAMPLER").is_none() {
                let share = Sampler::TraceIdRatioBased(config.telemetry.traces);
                builder = builder.with_sampler(Sampler::ParentBased(Box::new(share)));
            }
            let provider = builder.build();
            global::set_tracer_provider(provider.clone());
            trace::begin();
            providers.traces = Some(provider);
        }
        if wanted(Signal::Logs) {
            let builder = LogExporter::builder().with_http().with_http_client(client);
            let exporter = at(builder, Signal::Logs, endpoint).build().map_err(failed)?;
            providers.logs = Some(SdkLoggerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build());
        }
        Ok(providers)
    }

    /// Sends what is still to be sent. Blocks, for some seconds at most; what cannot be sent then is lost.
    pub(super) fn finish(&self) {
        let ended = [
            self.traces.as_ref().map(|provider| provider.shutdown_with_timeout(LAST)),
            self.metrics.as_ref().map(|provider| provider.shutdown_with_timeout(LAST)),
            self.logs.as_ref().map(|provider| provider.shutdown_with_timeout(LAST)),
        ];
        for error in ended.into_iter().flatten().filter_map(Result::err) {
            tracing::warn!(%error, "the last telemetry could not be sent");
        }
    }
}

/// An exporter at the configured address; without one the standard variables say.
fn at<B: WithExportConfig>(builder: B, signal: Signal, endpoint: Option<&str>) -> B {
    let builder = builder.with_protocol(Protocol::HttpBinary);
    match endpoint {
        Some(endpoint) => builder.with_endpoint(signal.address(endpoint)),
        None => builder,
    }
}

fn resource(config: &Config, service: &Service) -> Resource {
    let builder = Resource::builder();
    let builder = if variable("OTEL_SERVICE_NAME").is_none() { builder.with_service_name(service.name) } else { builder };
    builder
        .with_attributes([
            KeyValue::new("service.instance.id", config.instance.clone()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ])
        .build()
}

/// A standard variable; an empty one counts as not set.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(signal: Signal, endpoint: Option<&str>, variables: &[(&str, &str)]) -> bool {
        signal.is_wanted(endpoint, &|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn nothing_is_sent_unless_somebody_says_where_to() {
        let (base, own) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        assert!(!wanted(Signal::Traces, None, &[]));
        assert!(wanted(Signal::Traces, Some("http://c:4318"), &[]));
        assert!(wanted(Signal::Logs, None, &[(base, "http://c:4318")]));
        assert!(wanted(Signal::Traces, None, &[(own, "http://c:4318/x")]));
        assert!(!wanted(Signal::Metrics, None, &[(own, "http://c:4318/x")]));
    }

    #[test]
    fn standard_variables_turn_it_off() {
        let endpoint = Some("http://c:4318");
        assert!(!wanted(Signal::Logs, endpoint, &[("OTEL_LOGS_EXPORTER", "none")]));
        assert!(wanted(Signal::Logs, endpoint, &[("OTEL_TRACES_EXPORTER", "none")]));
        assert!(!wanted(Signal::Logs, endpoint, &[("OTEL_SDK_DISABLED", "TRUE")]));
    }

    #[test]
    fn each_signal_has_its_own_address() {
        assert_eq!(Signal::Metrics.address("http://c:4318/"), "http://c:4318/v1/metrics");
        assert_eq!(Signal::Logs.address("https://c/base"), "https://c/base/v1/logs");
    }
}
