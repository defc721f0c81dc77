//! Evicting until no pod is left that has to go.

use super::{
    Blocker, DrainOptions, PodFound, PodName, PodPlace, RetireError,
    pods::on_node,
    requests::{self, Eviction},
};
use crate::{Api, ApiError};
use futures::future::try_join_all;
use host_exec::{
    EventSink, HostName,
    poll::{self, Attempt, Wait, WaitError},
};
use std::{sync::Mutex, time::Duration};

/// Between two looks at the pods; each is a list of all.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// What is evicted, and how.
pub(super) struct Evicting<'a> {
    pub(super) api: &'a Api,
    pub(super) node: &'a HostName,
    pub(super) options: &'a DrainOptions,
    /// Whether a kubelet is there that ends pods. Without one, an evicted pod stays in the API until its Node has gone.
    pub(super) ends: bool,
    pub(super) events: &'a dyn EventSink,
}

enum Stop {
    Api(ApiError),
    Blocked(Vec<(PodName, Blocker)>),
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Api(error) => error.fmt(f),
            Self::Blocked(pods) => write!(f, "{} pods", pods.len()),
        }
    }
}

impl Evicting<'_> {
    /// Evicts, and waits until the pods have gone. Pods that came after the plan was made go too.
    pub(super) async fn until_gone(&self) -> Result<(), RetireError> {
        let limit = self.options.timeout;
        let wait = Wait::new(format!("end of the pods of {}", self.node), limit);
        let said = Mutex::new(String::new());
        let look = || async {
            let attempt = self.look().await?;
            if let (Attempt::NotYet(text), Ok(mut said)) = (&attempt, said.lock())
                && *said != *text
            {
                self.events.running(self.node.as_str(), "drain", text);
                said.clone_from(text);
            }
            Ok(attempt)
        };
        let node = self.node.clone();
        match poll::until(&wait.longest_pause(LOOK_PAUSE), look).await {
            Ok(()) => Ok(()),
            Err(WaitError::Failed(Stop::Api(error))) => Err(error.into()),
            Err(WaitError::Failed(Stop::Blocked(blockers))) => {
                Err(RetireError::Blocked { node, blockers })
            }
            Err(WaitError::TimedOut { after, last, .. }) => {
                Err(RetireError::TimedOut { node, after, last })
            }
        }
    }

    async fn look(&self) -> Result<Attempt<()>, Stop> {
        let list = match self.api.list("v1", "Pod").await {
            Ok(list) => list,
            Err(error) if error.is_transient() => {
                return Ok(Attempt::NotYet(error.source.to_string()));
            }
            Err(error) => return Err(Stop::Api(error)),
        };
        let pods = on_node(&list, self.node.as_str());
        let blockers = blockers(&pods, self.options);
        if !blockers.is_empty() {
            return Err(Stop::Blocked(blockers));
        }
        let asked = pods.iter().map(|pod| self.ask(pod));
        let left: Vec<String> = try_join_all(asked)
            .await
            .map_err(Stop::Api)?
            .into_iter()
            .flatten()
            .collect();
        if left.is_empty() {
            return Ok(Attempt::Ready(()));
        }
        Ok(Attempt::NotYet(left.join("; ")))
    }

    /// What keeps the drain waiting for this pod.
    async fn ask(&self, pod: &PodFound) -> Result<Option<String>, ApiError> {
        let name = &pod.name;
        let ends = || self.ends.then(|| format!("{name} ends"));
        Ok(match pod.place(self.options) {
            PodPlace::Stays | PodPlace::Blocked(_) => None,
            PodPlace::Ends => ends(),
            PodPlace::Goes => {
                match requests::evict(self.api, name, self.options.grace_period).await? {
                    Eviction::Granted => ends(),
                    Eviction::NotNow(why) => Some(format!("{name} may not go yet: {why}")),
                }
            }
        })
    }
}

/// The pods that need consent which these options do not give.
pub(super) fn blockers(pods: &[PodFound], options: &DrainOptions) -> Vec<(PodName, Blocker)> {
    let blocked = |pod: &PodFound| match pod.place(options) {
        PodPlace::Blocked(blocker) => Some((pod.name.clone(), blocker)),
        _ => None,
    };
    pods.iter().filter_map(blocked).collect()
}
