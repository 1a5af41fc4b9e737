//! Whatever a client may send: request lines, heads and bodies, to every route.

#![no_main]

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use graphtag::service::live::Live;
use graphtag::service::web::{self, HttpOptions};
use graphtag_runtime::stream::{Control, Observation};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;

/// More than the largest head and body that are taken.
const BUFFER: usize = 64 << 10;
/// A request that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// A service with two labels, one of which is present.
fn live() -> Arc<Live> {
    let live = Live::new(Arc::new(Control::default()), "test".into(), "two".into());
    live.publish(Arc::new(Observation {
        number: 1,
        time: SystemTime::UNIX_EPOCH,
        frame: None,
        size: (0, 0),
        labels: ["cat".into(), "dining table".into()].into(),
        thresholds: [0.5, 0.5].into(),
        scores: vec![0.9, 0.1],
        present: vec![],
        events: vec![],
        problem: None,
        inferred: false,
        decode: Duration::ZERO,
        preprocess: Duration::ZERO,
        inference: Duration::ZERO,
    }));
    Arc::new(live)
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_current_thread().enable_time().build().unwrap())
}

fuzz_target!(|request: &[u8]| {
    let options = HttpOptions {
        address: ([127, 0, 0, 1], 0).into(),
        token: None,
        name: "porch".into(),
    };
    let begin = Instant::now();
    // It was told to stop: streams without an end are none.
    let (_stop, stopped) = watch::channel(true);
    runtime().block_on(async {
        let (mut client, server) = tokio::io::duplex(BUFFER);
        let asking = async {
            // The service may hang up before it has read all.
            let _ = client.write_all(request).await;
            let _ = client.shutdown().await;
            let mut answer = Vec::new();
            let _ = client.read_to_end(&mut answer).await;
            answer
        };
        let answering = web::answer(server, &options, live(), stopped);
        let (answer, _) = timeout(PATIENCE, async { tokio::join!(asking, answering) })
            .await
            .expect("an end");
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."));
    });
    assert!(begin.elapsed() < PATIENCE);
});
