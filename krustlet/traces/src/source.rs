//! Who begins spans.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::context::Context;
use crate::ids::Ids;
use crate::queue::{Counts, Queue};
use crate::sampling::Ratio;
use crate::span::{Kind, Record, Span};

/// The attribute whose programs have a share of the queue together.
const NAMESPACE: &str = "service.namespace";

/// Decides which traces are sampled, and holds the spans that have ended. Clones are the same.
#[derive(Clone, Debug)]
pub struct Tracer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ratio: Ratio,
    ids: Ids,
    queue: Queue,
    /// How many spans of each namespace's programs wait.
    shares: Mutex<HashMap<String, Weak<AtomicUsize>>>,
}

impl Tracer {
    /// One that records this share of the traces that begin here.
    pub fn new(ratio: Ratio) -> Self {
        Self(Arc::new(Shared { ratio, ids: Ids::default(), queue: Queue::default(), shares: Mutex::default() }))
    }

    /// Where the spans of a program begin. These attributes are its resource's: `service.name` and what else tells it from others. Programs
    /// of one `service.namespace` have a share of the queue together; one that has none has its own.
    pub fn source(&self, attributes: BTreeMap<String, String>) -> Source {
        let queued = attributes.get(NAMESPACE).map_or_else(Arc::default, |namespace| self.share(namespace));
        Source(Arc::new(Origin { tracer: self.clone(), attributes, queued }))
    }

    fn share(&self, namespace: &str) -> Arc<AtomicUsize> {
        let mut shares = self.0.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.retain(|_, share| share.strong_count() > 0);
        if let Some(share) = shares.get(namespace).and_then(Weak::upgrade) {
            return share;
        }
        let share = Arc::default();
        shares.insert(namespace.to_owned(), Arc::downgrade(&share));
        share
    }

    /// What has become of spans so far.
    pub fn counts(&self) -> Counts {
        self.queue().counts()
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.0.queue
    }
}

/// Begins the spans of a program. Clones are the same.
#[derive(Clone, Debug)]
pub struct Source(Arc<Origin>);

/// What the spans of a program have in common.
#[derive(Debug)]
pub(crate) struct Origin {
    tracer: Tracer,
    pub(crate) attributes: BTreeMap<String, String>,
    queued: Arc<AtomicUsize>,
}

impl Source {
    /// Begins a span, below its parent or as the first one of a trace: where what comes next stands, and the span itself where its trace is
    /// sampled. Of one that is not, nothing is recorded, and a parent's context stays as it is.
    pub fn begin(&self, kind: Kind, parent: Option<&Context>) -> (Context, Option<Span>) {
        let Shared { ratio, ids, .. } = &*self.0.tracer.0;
        let context = match parent {
            Some(parent) if !parent.is_sampled() => return (parent.clone(), None),
            Some(parent) => parent.child(ids),
            None => {
                let root = Context::root(ids);
                if !ratio.samples(root.trace_id) {
                    return (root, None);
                }
                root.sampled()
            }
        };
        let span = Span::begin(self.0.clone(), kind, &context, parent.map(|parent| parent.span_id));
        (context, Some(span))
    }
}

impl Origin {
    pub(crate) fn end(&self, record: Record) {
        self.tracer.queue().push(record, &self.queued);
    }

    pub(crate) fn queued(&self) -> &AtomicUsize {
        &self.queued
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::context::TRACEPARENT;
    use crate::queue::{BATCH, QUEUE, SHARE};

    fn context(flags: &str) -> Context {
        let text = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
        let headers = HeaderMap::from_iter([(TRACEPARENT, HeaderValue::from_str(&text).unwrap())]);
        Context::extract(&headers).unwrap()
    }

    #[test]
    fn a_parent_decides_and_where_there_is_none_the_share_does() {
        for (share, first) in [("0", false), ("1", true)] {
            let source = Tracer::new(share.parse().unwrap()).source(BTreeMap::new());
            let begin = |parent: Option<&Context>| source.begin(Kind::Server, parent);
            let (root, span) = begin(None);
            assert_eq!((root.is_sampled(), span.is_some()), (first, first));

            let sampled = context("01");
            let (below, span) = begin(Some(&sampled));
            assert_eq!((below.trace_id, below.is_sampled(), span.is_some()), (sampled.trace_id, true, true));
            assert_ne!(below.span_id, sampled.span_id);

            let unsampled = context("00");
            let (same, span) = begin(Some(&unsampled));
            assert_eq!((same, span.is_some()), (unsampled, false));
        }
    }

    #[test]
    fn programs_of_a_namespace_share_what_one_may_have_whichever_comes_and_goes() {
        let tracer = Tracer::new(Ratio::ALL);
        let source = |namespace: &str| tracer.source(BTreeMap::from([(NAMESPACE.to_owned(), namespace.to_owned())]));
        let end = |source: &Source, count| (0..count).for_each(|_| drop(source.begin(Kind::Server, None)));
        // As those of a pod that is started again and again.
        for _ in 0..4 {
            end(&source("shop"), SHARE / 2);
        }
        let share = SHARE as u64;
        assert_eq!(tracer.counts(), Counts { queued: share, queue_full: share, ..Counts::default() });
        end(&source("bank"), SHARE);
        assert_eq!(tracer.counts(), Counts { queued: 2 * share, queue_full: share, ..Counts::default() });

        while !tracer.queue().take().is_empty() {}
        let one = source("shop");
        assert_eq!(tracer.0.shares.lock().unwrap().len(), 1, "those that nobody has any more are forgotten");
        end(&one, SHARE);
        assert_eq!(tracer.counts(), Counts { queued: share, queue_full: share, ..Counts::default() });
    }

    #[test]
    fn spans_past_the_queue_are_dropped_and_counted_and_no_program_takes_all_of_it() {
        let tracer = Tracer::new(Ratio::ALL);
        let sources: Vec<Source> = (0..3).map(|_| tracer.source(BTreeMap::new())).collect();
        let end = |source: &Source, count| (0..count).for_each(|_| drop(source.begin(Kind::Server, None)));
        end(&sources[0], SHARE + 7);
        assert_eq!(tracer.counts(), Counts { queued: SHARE as u64, queue_full: 7, ..Counts::default() });
        end(&sources[1], SHARE - 1);
        end(&sources[2], 2);
        assert_eq!(tracer.counts(), Counts { queued: QUEUE as u64, queue_full: 8, ..Counts::default() });

        let taken = tracer.queue().take();
        assert_eq!((taken.len(), tracer.queue().len()), (BATCH, QUEUE - BATCH));
        drop(taken);
        // What was taken makes room for the same program.
        end(&sources[0], BATCH + 1);
        assert_eq!(tracer.counts(), Counts { queued: QUEUE as u64, queue_full: 9, ..Counts::default() });
    }
}
