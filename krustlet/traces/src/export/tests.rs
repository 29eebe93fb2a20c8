use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Mutex;

use super::*;
use crate::queue::{QUEUE, SHARE};
use crate::testing::{Answer, Collector};
use crate::{Counts, Kind, Ratio, Source};

/// Far more than it takes, and far less than for ever.
const AT_LAST: Duration = Duration::from_secs(20);

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn traced() -> (Tracer, Source) {
    let tracer = Tracer::new(Ratio::ALL);
    let source = tracer.source(BTreeMap::from([("service.name".into(), "web".into())]));
    (tracer, source)
}

fn start(tracer: &Tracer, base: &str) -> Exporter {
    Exporter::start(tracer, &base.parse().unwrap(), None, None).unwrap()
}

fn end(source: &Source, count: usize) {
    (0..count).for_each(|_| drop(source.begin(Kind::Server, None)));
}

async fn until(tracer: &Tracer, holds: impl Fn(Counts) -> bool) {
    let begin = Instant::now();
    while !holds(tracer.counts()) {
        assert!(begin.elapsed() < AT_LAST, "{:?}", tracer.counts());
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_full_batch_is_sent_at_once_and_what_is_left_at_the_end() {
    let collector = Collector::start();
    let (tracer, source) = traced();
    let exporter = start(&tracer, &format!("{}/base/", collector.base()));
    end(&source, BATCH);
    until(&tracer, |counts| counts.exported == BATCH as u64).await;
    end(&source, 3);
    exporter.stop().await;
    assert_eq!(tracer.counts(), Counts { exported: BATCH as u64 + 3, ..Counts::default() });
    assert_eq!(collector.spans().len(), BATCH + 3);
    let requests = collector.requests();
    assert_eq!(requests.len(), 2);
    for head in requests {
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("post /base/v1/traces http/1.1\r\n"), "{head}");
        assert!(head.contains("\r\ncontent-type: application/x-protobuf\r\n"), "{head}");
        assert!(head.contains("\r\nuser-agent: krustlet-wasi/"), "{head}");
    }
}

#[tokio::test]
async fn a_batch_is_sent_again_where_the_collector_says_so_and_lost_where_not() {
    let collector = Collector::start();
    let (tracer, source) = traced();
    collector.answers([Answer::Status(503), Answer::HangUp, Answer::Status(400), Answer::Rejects(2)]);
    let exporter = start(&tracer, &collector.base());
    end(&source, BATCH);
    // Twice again: the third answer is final.
    until(&tracer, |counts| counts.failed == BATCH as u64).await;
    assert_eq!(collector.requests().len(), 3);
    end(&source, 5);
    exporter.stop().await;
    let counts = Counts { exported: 3, rejected: 2, failed: BATCH as u64, ..Counts::default() };
    assert_eq!((tracer.counts(), tracer.counts().dropped()), (counts, BATCH as u64 + 2));
}

#[tokio::test]
async fn what_a_collector_rejects_is_told_in_its_words_and_not_for_each_batch() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let collector = Collector::start();
    let (tracer, source) = traced();
    collector.answers([Answer::Rejects(2), Answer::Rejects(2)]);
    let exporter = start(&tracer, &collector.base());
    end(&source, 2 * BATCH);
    until(&tracer, |counts| counts.rejected == 4).await;
    exporter.stop().await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let told: Vec<_> = text.lines().filter(|line| line.contains("reject")).collect();
    assert_eq!(told.len(), 1, "{text}");
    assert!(told[0].ends_with(&format!("{} rejects 2 spans of a batch: \"as told\"", collector.base())), "{text}");
}

#[tokio::test]
async fn a_collector_that_names_a_pause_without_an_end_costs_a_batch_and_no_more() {
    let collector = Collector::start();
    let (tracer, source) = traced();
    collector.answers([Answer::RetryAfter(u64::MAX)]);
    let exporter = start(&tracer, &collector.base());
    end(&source, BATCH);
    until(&tracer, |counts| counts.failed == BATCH as u64).await;
    end(&source, 5);
    exporter.stop().await;
    assert_eq!(tracer.counts(), Counts { exported: 5, failed: BATCH as u64, ..Counts::default() });
    assert_eq!(collector.requests().len(), 2);
}

#[tokio::test]
async fn a_collector_that_is_down_or_silent_costs_what_there_is_no_room_for_and_the_end_is_bounded() {
    let silent = Collector::start();
    silent.answers([Answer::Nothing; 9]);
    // Nobody listens there.
    let down = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for base in [format!("http://{down}"), silent.base()] {
        let (tracer, source) = traced();
        let exporter = start(&tracer, &base);
        end(&source, QUEUE);
        let counts = tracer.counts();
        assert_eq!(counts.queue_full, (QUEUE - SHARE) as u64, "{base}");
        let begin = Instant::now();
        exporter.stop().await;
        assert!(begin.elapsed() < FLUSH_LIMIT + Duration::from_secs(5), "{base}: {:?}", begin.elapsed());
        let counts = tracer.counts();
        assert_eq!((counts.exported, counts.queued), (0, 0), "{base}");
        // Nobody sends those that come later.
        end(&source, QUEUE);
        assert_eq!(tracer.counts().queued, SHARE as u64);
    }
}

#[tokio::test]
async fn names_lead_where_somebody_knows_that_they_do() {
    /// Knows one name, which stands for loopback.
    #[derive(Debug)]
    struct Known(u16);

    impl Discovery for Known {
        fn find(&self, _: Scheme, name: &str, port: u16) -> BoxFuture<'static, Found> {
            let is_known = (name, port) == ("otel.shop.svc", 4318);
            let place = Place { address: ([127, 0, 0, 1], self.0).into(), private: true };
            Box::pin(async move { if is_known { Found::At(vec![place]) } else { Found::Unknown } })
        }
    }

    let collector = Collector::start();
    let (tracer, source) = traced();
    let known: Arc<dyn Discovery> = Arc::new(Known(collector.port()));
    let endpoint = "http://otel.shop.svc:4318".parse().unwrap();
    let exporter = Exporter::start(&tracer, &endpoint, None, Some(known)).unwrap();
    end(&source, 1);
    exporter.stop().await;
    assert_eq!(collector.spans().len(), 1);

    // The host's own resolver is asked for all others, and what it says holds, also of an address that no program's name may stand for.
    let names = Names { known: None, network: HostNetwork::default() };
    let Found::At(places) = names.find(Scheme::Http, "localhost", 4318).await else { panic!() };
    assert!(places.iter().all(|place| place.private && place.address.ip().is_loopback()), "{places:?}");
}

#[test]
fn which_faults_are_worth_another_try() {
    let own = Duration::from_secs(2);
    let answered = |code, after: Option<u64>| {
        Fault::Answered(StatusCode::from_u16(code).unwrap(), after.map(Duration::from_secs)).pause(own)
    };
    assert_eq!(answered(429, None), Some(own));
    assert_eq!((answered(503, Some(30)), answered(503, Some(0))), (Some(Duration::from_secs(30)), Some(own)));
    for code in [400, 401, 404, 413, 415, 500, 501, 301] {
        assert_eq!(answered(code, Some(30)), None, "{code}");
    }
    assert_eq!(Fault::from(HttpError::ConnectTimeout).pause(own), Some(own));
    assert_eq!(Fault::from(HttpError::RequestTooLarge).pause(own), None);
}
