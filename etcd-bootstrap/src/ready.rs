//! Waiting until members take reads and writes.

use crate::{ClusterId, ClusterSpec, MemberName, PeerAnswer, Probe};
use futures::future::join_all;
use host_exec::{
    EventSink,
    poll::{self, Attempt, Wait, WaitError},
};
use std::{
    convert::Infallible,
    fmt,
    future::Future,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long members are waited for unless the caller says otherwise: some elections, and slow disks.
pub const READY_LIMIT: Duration = Duration::from_secs(60);
/// The step under which waiting is reported.
pub const READY_STEP: &str = "etcd: ready";
/// How long a member that may be failing has to be ready without a break: two of the seconds that systemd waits before
/// it starts it again, and one for the start.
const STEADY: Duration = Duration::from_secs(3);
/// Looks are at most this far apart. A member that is not ready mostly holds the question until it is.
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// A member that did not become ready, and what it said last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Laggard {
    /// The member.
    pub member: MemberName,
    /// What was last seen of it.
    pub last: String,
}

impl fmt::Display for Laggard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.member, self.last)
    }
}

/// Members that did not become ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitReadyError {
    /// The time is over.
    #[error(
        "etcd is not ready after {} s: {}; `journalctl -u etcd` on these machines says more",
        .after.as_secs(), join(.laggards)
    )]
    TimedOut {
        /// How long was waited.
        after: Duration,
        /// Who is missing.
        laggards: Vec<Laggard>,
    },
    /// A member will never be ready: it is in another cluster.
    #[error(
        "etcd member {member} runs in cluster {found}, not {expected}: it was started with another \
         token or other members; stop it, and observe and plan again"
    )]
    Foreign {
        /// The member.
        member: MemberName,
        /// The cluster it is in.
        found: ClusterId,
        /// The cluster of the specification.
        expected: ClusterId,
    },
}

fn join(laggards: &[Laggard]) -> String {
    laggards
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Waits until each of `members` answers `/readyz` with yes, at most `limit`. Reports each change of what
/// is missing to `events`, and each member as it becomes ready.
///
/// # Errors
///
/// The time is over, with all members that are missing and what each said last; or one runs in another
/// cluster, which no waiting can heal.
pub async fn wait_ready(
    spec: &ClusterSpec,
    members: &[MemberName],
    probe: &Probe,
    limit: Duration,
    events: &dyn EventSink,
) -> Result<(), WaitReadyError> {
    let waits = members
        .iter()
        .map(|member| wait_for_one(spec, member, probe, limit, events));
    let mut laggards = Vec::new();
    for (member, waited) in members.iter().zip(join_all(waits).await) {
        match waited {
            Ok(()) => {}
            Err(WaitError::TimedOut { last, .. }) => {
                laggards.push(Laggard {
                    member: member.clone(),
                    last,
                });
            }
            Err(WaitError::Failed(error)) => return Err(error),
        }
    }
    if laggards.is_empty() {
        Ok(())
    } else {
        Err(WaitReadyError::TimedOut {
            after: limit,
            laggards,
        })
    }
}

/// Waits until each of `members` was ready at every look for 3 s, at most `limit`. A member that fails is started again
/// by systemd after a second (`RestartSec=1`), and may be ready for a moment before it fails again.
///
/// # Errors
///
/// The time is over, with all members that are missing and what each said last.
pub(crate) async fn wait_steady(
    members: &[MemberName],
    probe: &Probe,
    limit: Duration,
    events: &dyn EventSink,
) -> Result<(), WaitReadyError> {
    let waits = members.iter().map(|member| async move {
        let waited = steady(member, probe, limit, events).await;
        waited.err().map(|error| Laggard {
            member: member.clone(),
            last: error.to_string(),
        })
    });
    let laggards: Vec<Laggard> = join_all(waits).await.into_iter().flatten().collect();
    match laggards.is_empty() {
        true => Ok(()),
        false => Err(WaitReadyError::TimedOut {
            after: limit,
            laggards,
        }),
    }
}

async fn steady(
    member: &MemberName,
    probe: &Probe,
    limit: Duration,
    events: &dyn EventSink,
) -> Result<(), WaitError<Infallible>> {
    let what = format!("{member} that stays ready");
    let look = || async {
        match probe.readiness(member).await {
            Ok(None) => None,
            Ok(Some(why)) | Err(why) => Some(why),
        }
    };
    wait_well(what, STEADY, limit, look).await?;
    events.done(member.as_str(), READY_STEP, "stays ready");
    Ok(())
}

/// Waits until `trouble` has had none to tell at every look for as long as `steady`, at most `limit`.
///
/// # Errors
///
/// The time is over, with the trouble that was told last.
pub(crate) async fn wait_well<F, Fut>(
    what: String,
    steady: Duration,
    limit: Duration,
    trouble: F,
) -> Result<(), WaitError<Infallible>>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Option<String>>,
{
    let wait = Wait::new(what, limit);
    let well_since: Mutex<Option<Instant>> = Mutex::new(None);
    let (well_since, trouble) = (&well_since, &trouble);
    let look = || async move {
        let seen = trouble().await;
        let mut since = well_since.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = seen {
            *since = None;
            return Ok(Attempt::NotYet(seen));
        }
        let well = since.get_or_insert_with(Instant::now).elapsed();
        Ok(match well >= steady {
            true => Attempt::Ready(()),
            false => Attempt::NotYet(format!("well for {:.1} s", well.as_secs_f32())),
        })
    };
    poll::until(&wait, look).await
}

async fn wait_for_one(
    spec: &ClusterSpec,
    member: &MemberName,
    probe: &Probe,
    limit: Duration,
    events: &dyn EventSink,
) -> Result<(), WaitError<WaitReadyError>> {
    let wait = Wait::new(format!("ready etcd member {member}"), limit).longest_pause(LONGEST_PAUSE);
    let told = Mutex::new(String::new());
    let told = &told;
    events.started(member.as_str(), READY_STEP);
    let look = || async move {
        let seen = match probe.readiness(member).await {
            Ok(None) => return Ok(Attempt::Ready(())),
            Ok(Some(why)) => why,
            Err(why) => silent(spec, member, probe, why).await?,
        };
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != seen {
            events.running(member.as_str(), READY_STEP, &seen);
            told.clone_from(&seen);
        }
        Ok(Attempt::NotYet(seen))
    };
    poll::until(&wait, look).await?;
    events.done(member.as_str(), READY_STEP, "takes reads and writes");
    Ok(())
}

/// What the peer port tells about a member whose client port is silent.
async fn silent(
    spec: &ClusterSpec,
    member: &MemberName,
    probe: &Probe,
    why: String,
) -> Result<String, WaitReadyError> {
    let expected = spec.cluster_id();
    match probe.peer(member).await {
        PeerAnswer::Serving {
            cluster_id: Some(found),
            ..
        } if found != expected => Err(WaitReadyError::Foreign {
            member: member.clone(),
            found,
            expected,
        }),
        PeerAnswer::Serving { formed: false, .. } => {
            Ok("waits for a majority to form the cluster".into())
        }
        PeerAnswer::Serving { formed: true, .. } => Ok("finds no majority".into()),
        PeerAnswer::Silent(_) => Ok(why),
    }
}
