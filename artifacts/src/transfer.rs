//! A download beside everything else, with its progress in sight.

use crate::{download::Progress, store};
use host_exec::EventSink;
use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::task::{JoinError, spawn_blocking};

/// Downloads `url` by `fetch` on a thread that may block; stops it when this future is dropped.
pub(crate) async fn blocking<T: Send + 'static>(
    step: &str,
    url: &str,
    events: &dyn EventSink,
    fetch: impl FnOnce(&mut Progress<'_>) -> T + Send + 'static,
) -> Result<T, JoinError> {
    let counter = Arc::new(Counter::default());
    let _stop = StopOnDrop(counter.clone());
    let count = counter.clone();
    let fetched = spawn_blocking(move || {
        fetch(&mut |here, total| {
            count.here.store(here, Ordering::Relaxed);
            count.total.store(total.unwrap_or(0), Ordering::Relaxed);
            match count.stop.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })
    });
    let name = url.rsplit('/').next().unwrap_or(url);
    let what = || {
        let mib = |n: &AtomicU64| n.load(Ordering::Relaxed) >> 20;
        format!(
            "downloading {name}, {} of {} MiB",
            mib(&counter.here),
            mib(&counter.total)
        )
    };
    store::with_heartbeat(events, step, what, fetched).await
}

/// How far a download is, and whether it is still wanted.
#[derive(Debug, Default)]
struct Counter {
    here: AtomicU64,
    total: AtomicU64,
    stop: AtomicBool,
}

struct StopOnDrop(Arc<Counter>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}
