//! `weir endpoints`: the discovered API map, for a person or as OpenAPI 3.1, and why it is as it is.

mod explain;

use super::backtest::learning::read_model;
use super::look::{Source, find};
use crate::terminal::{Paint, clean, count};
use crate::{catalogue, openapi};
use anyhow::Context as _;
use engine::Model;
use engine::model::EndpointView;
use runtime::config::Config;
use runtime::model_file;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Examples for `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  weir endpoints
  weir endpoints --model shop.weir
  weir endpoints --model shop.weir --openapi > openapi.json
  weir endpoints explain /v1/orders/42 --model shop.weir";

/// Shows the discovered endpoints: of the active model of an installation, running or not, or of a model file.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    question: Option<Question>,
    #[command(flatten)]
    source: ModelSource,
    /// Write an OpenAPI 3.1 document instead.
    #[arg(long)]
    openapi: bool,
    /// Only this API.
    #[arg(long, value_name = "NAME")]
    api: Option<String>,
    /// Say why each variable is one.
    #[arg(long)]
    why: bool,
}

/// What is asked of the map.
#[derive(Debug, clap::Subcommand)]
enum Question {
    /// Says to which endpoint a path leads, and why each of its segments is a name or a value.
    #[command(after_help = explain::EXAMPLES)]
    Explain(explain::Args),
}

/// Whose endpoints.
#[derive(Debug, clap::Args)]
struct ModelSource {
    /// Model file [default: the active model of the installation].
    #[arg(long, value_name = "FILE.weir")]
    model: Option<PathBuf>,
}

impl ModelSource {
    async fn model(&self, config: &Config) -> anyhow::Result<Arc<Model>> {
        match &self.model {
            Some(path) => read_model(path),
            None => active_model(config).await,
        }
    }
}

/// Shows endpoints, or explains one.
pub(crate) async fn run(args: &Args, config: &Config) -> anyhow::Result<()> {
    if let Some(Question::Explain(args)) = &args.question {
        return explain::run(args, config).await;
    }
    let model = args.source.model(config).await?;
    let endpoints = wanted(&model, args.api.as_deref())?;
    let mut out = std::io::stdout().lock();
    if args.openapi {
        let title = args.api.clone().unwrap_or_else(|| format!("APIs of model {}", model.label));
        serde_json::to_writer_pretty(&mut out, &openapi::document(&title, &endpoints))?;
        writeln!(out)?;
    } else {
        out.write_all(table(&endpoints, args.why, Paint::of_stdout()).as_bytes())?;
    }
    Ok(())
}

async fn active_model(config: &Config) -> anyhow::Result<Arc<Model>> {
    let file = match find(config, "/v1/model").await? {
        Source::Running(answer) => model_file::read(&answer.bytes().await?).context("reading the active model")?,
        Source::Log { log, .. } => catalogue::model(&*log, config)?.context("no model has been published yet")?,
    };
    Ok(Arc::new(file.model()?))
}

fn wanted(model: &Model, api: Option<&str>) -> anyhow::Result<Vec<EndpointView>> {
    let mut endpoints = model.endpoints();
    if let Some(api) = api {
        endpoints.retain(|e| &*e.api.0 == api);
        let names = || model.apis().iter().map(|a| a.name.to_string()).collect::<Vec<_>>().join(", ");
        (!endpoints.is_empty()).then_some(()).with_context(|| format!("the model knows no API `{api}`; it knows {}", names()))?;
    }
    endpoints.sort_by(|a, b| (&a.api, &a.host, &a.template, &a.method).cmp(&(&b.api, &b.host, &b.template, &b.method)));
    Ok(endpoints)
}

fn table(endpoints: &[EndpointView], why: bool, paint: Paint) -> String {
    let mut text = String::new();
    let mut api = None;
    for endpoint in endpoints {
        if api != Some(&endpoint.api) {
            api = Some(&endpoint.api);
            let _ = writeln!(text, "{}", paint.bold(&clean(&endpoint.api.0)));
        }
        let operation = endpoint.operation.as_deref().map_or_else(String::new, |o| format!("#{o}"));
        let place = clean(&format!("{}{}{operation}", endpoint.host, endpoint.template));
        let counts =
            format!("{} requests, {} succeeded, {} fields", count(endpoint.requests), count(endpoint.successes), endpoint.fields.len());
        let _ = writeln!(text, "  {:<7} {place}  {}", clean(&endpoint.method), paint.dim(&counts));
        for evidence in endpoint.evidence.iter().filter(|_| why) {
            let _ = writeln!(text, "            {}", paint.dim(&clean(evidence)));
        }
        for name in endpoint.formerly.iter().filter(|_| why) {
            let _ = writeln!(text, "            {}", paint.dim(&clean(&format!("formerly {name}"))));
        }
    }
    let _ = writeln!(text, "{} endpoints", count(endpoints.len() as u64));
    text
}
