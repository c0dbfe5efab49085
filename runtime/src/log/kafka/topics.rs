//! Topics, created as the configuration wants them, and compared with it.

use super::context::Asking;
use super::error;
use super::settings::{self, ANSWER_LIMIT, TOPIC_RECORD_LIMIT, TopicProperties};
use super::{Inner, Options};
use crate::log::{LogError, TopicSpec};
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

/// A way in which a topic differs from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The topic.
    pub topic: Arc<str>,
    /// What is, and what is wanted.
    pub what: String,
    /// Weir's promises do not hold with it. Else it is the operator's choice.
    pub breaks: bool,
}

/// Creates what is missing, and returns the names of it.
pub(super) fn create(inner: &Inner, specs: &[TopicSpec]) -> Result<Vec<Arc<str>>, LogError> {
    let mut missing = Vec::new();
    for spec in specs {
        match inner.partitions(&spec.name) {
            Ok(_) => {}
            Err(LogError::NoTopic(_)) => missing.push(spec),
            Err(e) => return Err(e),
        }
    }
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let properties: Vec<_> = missing.iter().map(|spec| TopicProperties::new(spec.cleanup, &inner.options)).collect();
    let wanted: Vec<_> = missing.iter().zip(&properties).map(|(spec, properties)| new_topic(spec, properties, &inner.options)).collect();
    let created = wait_for(admin(&inner.options)?.create_topics(&wanted, &patient())).map_err(|e| error::sort("creating topics", &e))?;
    for result in created {
        match result {
            // Another service starts at the same time as we do.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(error::fatal(&format!("creating topic `{topic}`"), &code)),
        }
    }
    Ok(missing.iter().map(|spec| Arc::clone(&spec.name)).collect())
}

/// Removes topics.
pub(super) fn delete(inner: &Inner, specs: &[TopicSpec]) -> Result<(), LogError> {
    let names: Vec<&str> = specs.iter().map(|spec| &*spec.name).collect();
    let deleted = wait_for(admin(&inner.options)?.delete_topics(&names, &patient())).map_err(|e| error::sort("removing topics", &e))?;
    for result in deleted {
        if let Err((topic, code)) = result {
            return Err(error::fatal(&format!("removing topic `{topic}`"), &code));
        }
    }
    Ok(())
}

/// Compares topics with what is wanted.
pub(super) fn differences(inner: &Inner, specs: &[TopicSpec]) -> Result<Vec<Difference>, LogError> {
    let mut found = Vec::new();
    let mut present = Vec::new();
    for spec in specs {
        match inner.layout(&spec.name) {
            Ok(layout) => present.push((spec, layout)),
            Err(LogError::NoTopic(_)) => {
                found.push(Difference { topic: Arc::clone(&spec.name), what: "does not exist".to_owned(), breaks: true });
            }
            Err(e) => return Err(e),
        }
    }
    let resources: Vec<_> = present.iter().map(|(spec, _)| ResourceSpecifier::Topic(&spec.name)).collect();
    if resources.is_empty() {
        return Ok(found);
    }
    let described = wait_for(admin(&inner.options)?.describe_configs(&resources, &patient()));
    let described = described.map_err(|e| error::sort("asking for the properties of topics", &e))?;
    for ((spec, layout), resource) in present.into_iter().zip(described) {
        let mut differ = |what: String, breaks| found.push(Difference { topic: Arc::clone(&spec.name), what, breaks });
        if layout.partitions != spec.partitions {
            differ(format!("has {} partitions, {} are wanted", layout.partitions, spec.partitions), true);
        }
        if layout.replicas < usize::from(inner.options.replication) {
            differ(format!("has {} replicas, {} are wanted", layout.replicas, inner.options.replication), false);
        }
        let resource = resource.map_err(|code| error::fatal(&format!("asking for the properties of `{}`", spec.name), &code))?;
        compare(&resource, &TopicProperties::new(spec.cleanup, &inner.options), differ);
    }
    Ok(found)
}

fn compare(resource: &ConfigResource, wanted: &TopicProperties, mut differ: impl FnMut(String, bool)) {
    let held = settings::held(&resource.entries);
    let both = wanted.needed.iter().map(|p| (p, true)).chain(wanted.advised.iter().map(|p| (p, false)));
    for ((name, wanted), breaks) in both {
        let is = held.get(name).copied().unwrap_or("not set");
        let suffices = *name == TOPIC_RECORD_LIMIT && is.parse::<u64>().ok() >= wanted.parse().ok();
        if is != wanted && !suffices {
            differ(format!("`{name}` is {is}, {wanted} is wanted"), breaks);
        }
    }
}

fn new_topic<'a>(spec: &'a TopicSpec, properties: &'a TopicProperties, options: &Options) -> NewTopic<'a> {
    let partitions = i32::try_from(spec.partitions).unwrap_or(i32::MAX);
    let topic = NewTopic::new(&spec.name, partitions, TopicReplication::Fixed(i32::from(options.replication)));
    properties.needed.iter().chain(&properties.advised).fold(topic, |topic, (name, value)| topic.set(name, value))
}

fn admin(options: &Options) -> Result<AdminClient<Asking>, LogError> {
    let config = options.inquirer(None, settings::Isolation::Uncommitted);
    config.create_with_context(Asking::default()).map_err(|e| error::fatal("creating an administration client", &e))
}

fn patient() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER_LIMIT * 3)).operation_timeout(Some(ANSWER_LIMIT * 2))
}

/// Waits for an answer of the administration client, which its own thread brings. Works on any thread, also on one of an executor.
fn wait_for<T>(answer: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut answer = pin!(answer);
    loop {
        match answer.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// What the brokers say of a topic.
pub(super) struct Layout {
    /// Partitions.
    pub(super) partitions: u32,
    /// Replicas of the partition that has the fewest.
    pub(super) replicas: usize,
}
