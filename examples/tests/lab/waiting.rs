//! Waiting for what comes by itself, with an end.

use host_exec::poll::{self, Attempt, Wait};
use std::{fmt::Debug, time::Duration};

/// The longest wait for anything: many times what it takes on a machine of usual speed.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// Waits until `look` finds what is waited for (a noun phrase), and returns it.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().unwrap();
    let found = runtime.block_on(async {
        let wait = Wait::new(what, LONG);
        poll::until(&wait, || {
            let attempt = look().map_or_else(Attempt::NotYet, Attempt::Ready);
            async { Ok::<_, std::convert::Infallible>(attempt) }
        })
        .await
    });
    match found {
        Ok(found) => found,
        Err(error) => panic!("{error}"),
    }
}

/// `Ok` if it is so, else what is there instead.
pub(crate) fn so(is: bool, instead: impl Debug) -> Result<(), String> {
    if is {
        Ok(())
    } else {
        Err(format!("{instead:?}"))
    }
}
