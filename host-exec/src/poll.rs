//! Bounded waiting: ask again until it is so, and say at the end what was last seen.

use std::{fmt, future::Future, time::Duration};
use tokio::time::Instant;

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt<T> {
    /// It is so.
    Ready(T),
    /// Not yet; the text says what is there instead.
    NotYet(String),
}

/// What is waited for, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    what: String,
    limit: Duration,
    first_pause: Duration,
    longest_pause: Duration,
}

impl Wait {
    /// Waits for `what` (a noun phrase, such as "an answer from etcd-0:2380") for at most `limit`.
    /// Looks are 10 ms apart at first, later up to 200 ms.
    pub fn new(what: impl Into<String>, limit: Duration) -> Self {
        Self {
            what: what.into(),
            limit,
            first_pause: Duration::from_millis(10),
            longest_pause: Duration::from_millis(200),
        }
    }

    /// The longest pause between two looks.
    #[must_use]
    pub fn longest_pause(mut self, pause: Duration) -> Self {
        self.longest_pause = pause;
        self.first_pause = self.first_pause.min(pause);
        self
    }

    /// What is waited for.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// For how long at most.
    pub fn limit(&self) -> Duration {
        self.limit
    }
}

/// A wait that ended without what was waited for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaitError<E> {
    /// The time is over.
    #[error("no {what} after {:.1} s; last seen: {last}", .after.as_secs_f32())]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
        /// What the last look found.
        last: String,
    },
    /// A look found that it will never be so.
    #[error(transparent)]
    Failed(E),
}

/// Calls `look` until it says [`Attempt::Ready`] or the time of `wait` is over.
///
/// The last look is not followed by a pause, and a look that hangs is cut off at the limit.
///
/// # Errors
///
/// [`WaitError::TimedOut`] with the last thing seen; [`WaitError::Failed`] as soon as `look` returns an error.
/// "Not yet" is *not* an error.
pub async fn until<T, E, F, Fut>(wait: &Wait, mut look: F) -> Result<T, WaitError<E>>
where
    E: fmt::Debug,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Attempt<T>, E>>,
{
    let started = Instant::now();
    let deadline = started + wait.limit;
    let mut pause = wait.first_pause;
    let mut last = String::from("nothing yet");
    loop {
        match tokio::time::timeout_at(deadline, look()).await {
            Ok(Ok(Attempt::Ready(value))) => return Ok(value),
            Ok(Ok(Attempt::NotYet(seen))) => last = seen,
            Ok(Err(error)) => return Err(WaitError::Failed(error)),
            Err(_) => last = format!("{last} (the last look did not end)"),
        }
        if Instant::now() + pause >= deadline {
            return Err(WaitError::TimedOut {
                what: wait.what.clone(),
                after: started.elapsed(),
                last,
            });
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the pause between two looks of a bounded poll"
        )]
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(wait.longest_pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn wait() -> Wait {
        Wait::new("pot boiling", Duration::from_millis(100))
    }

    #[tokio::test(start_paused = true)]
    async fn the_error_says_what_was_last_seen() {
        let mut looks = 0;
        let result: Result<(), WaitError<Infallible>> = until(&wait(), || {
            looks += 1;
            let seen = format!("look {looks}");
            async move { Ok(Attempt::NotYet(seen)) }
        })
        .await;
        let message = result.unwrap_err().to_string();
        assert!(
            message.starts_with("no pot boiling after 0.1 s; last seen: look "),
            "{message}"
        );
        assert!(looks > 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_look_is_cut_off() {
        let result: Result<(), WaitError<Infallible>> = until(&wait(), std::future::pending).await;
        assert!(matches!(result, Err(WaitError::TimedOut { .. })));
    }

    #[tokio::test]
    async fn never_ends_the_wait_at_once() {
        let result: Result<(), _> = until(&wait(), || async { Err("broken") }).await;
        assert_eq!(result, Err(WaitError::Failed("broken")));
    }
}
