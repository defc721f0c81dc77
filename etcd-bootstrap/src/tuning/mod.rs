//! Settings of etcd that may differ from cluster to cluster, and never from member to member.
//!
//! One [`Tuning`] belongs to the whole cluster, so what must be equal on all members (the two timers of raft
//! above all) is equal by construction.

mod check;
mod service;
mod value;

pub use check::TuningError;
pub use service::{IoPriority, ServiceTuning};
pub use value::{
    AutoCompaction, CipherSuite, FeatureGate, LogFormat, LogLevel, MetricsLevel, TlsMinVersion,
};

pub(crate) use check::{ADVISED_QUOTA_BYTES, ADVISED_REQUEST_BYTES};
pub(crate) use value::go_duration;

use crate::ANSWER_TIMEOUT;
use std::{collections::BTreeMap, time::Duration};

/// etcd's own default (`embed.DefaultElectionMs`).
const ELECTION: Duration = Duration::from_secs(1);

/// Settings of all members. What is `None` is left to etcd, whose default each field names.
///
/// Checked by [`ClusterSpec::with_tuning`](crate::ClusterSpec::with_tuning).
///
/// ```
/// use etcd_bootstrap::tuning::{AutoCompaction, Tuning};
/// use std::time::Duration;
///
/// let tuning = Tuning {
///     // Members 40 ms apart: about that for the heartbeat, ten times as much for the election.
///     heartbeat_interval: Some(Duration::from_millis(50)),
///     election_timeout: Some(Duration::from_millis(500)),
///     quota_backend_bytes: Some(4 << 30),
///     auto_compaction: Some(AutoCompaction::Periodic(Duration::from_secs(8 * 3600))),
///     ..Tuning::default()
/// };
/// # let _ = tuning;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tuning {
    /// How often a leader is heard of. etcd: 100 ms. Advised: the round trip between members, or up to
    /// half as long again (etcd.io, "Tuning").
    pub heartbeat_interval: Option<Duration>,
    /// How long a silent leader is waited for. etcd: 1 s. At least five heartbeats (checked, as etcd does)
    /// and advised to be ten round trips; at most 50 s.
    pub election_timeout: Option<Duration>,
    /// The size of the store in bytes at which a member raises the alarm NOSPACE. etcd: 2 GiB; more than
    /// 8 GiB is advised against (see [`SpecLint`](crate::SpecLint)).
    pub quota_backend_bytes: Option<u64>,
    /// After how many entries a member writes a snapshot of its raft state. 10000 unless set: the default
    /// of 3.6, given to 3.5 too, whose own of 100000 makes a member that comes back replay as many.
    pub snapshot_count: Option<u64>,
    /// Whether etcd itself forgets old revisions. etcd: no. kube-apiserver asks for it every 5 min, so for
    /// Kubernetes it is at most a safety net.
    pub auto_compaction: Option<AutoCompaction>,
    /// How many revisions one batch of a compaction takes. etcd: 1000.
    pub compaction_batch_limit: Option<u32>,
    /// The largest request in bytes. etcd: 1.5 MiB; more than 10 MiB is advised against.
    pub max_request_bytes: Option<u32>,
    /// The most operations of one transaction. etcd: 128.
    pub max_txn_ops: Option<u32>,
    /// The most learners at a time. etcd: 1. Known from 3.6 on.
    pub max_learners: Option<u16>,
    /// How often a member compares its whole store with the others'. etcd: never. It reads all data, so
    /// hours are right; each compaction compares hashes anyway.
    pub corrupt_check_interval: Option<Duration>,
    /// How often an idle watch hears of progress. 5 s unless set, which kube-apiserver's consistent reads
    /// from its cache need (KEP-2340); etcd's own is 10 min.
    pub watch_progress_notify_interval: Option<Duration>,
    /// The least important message that is logged. etcd: `info`.
    pub log_level: Option<LogLevel>,
    /// The form of log lines. etcd: JSON. Known from 3.6 on.
    pub log_format: Option<LogFormat>,
    /// How much is measured. etcd: `basic`.
    pub metrics: Option<MetricsLevel>,
    /// The lowest version of TLS. etcd: 1.2.
    pub tls_min_version: Option<TlsMinVersion>,
    /// The cipher suites of TLS 1.2, in no order that counts. Empty: Go's own choice.
    pub cipher_suites: Vec<CipherSuite>,
    /// Features that are switched. `InitialCorruptCheck` and `CompactHashCheck` are on unless switched off
    /// here; the others are as etcd has them.
    pub feature_gates: BTreeMap<FeatureGate, bool>,
    /// How systemd runs it.
    pub service: ServiceTuning,
}

impl Tuning {
    /// How long a silent leader is waited for: as set, or etcd's default.
    pub(crate) fn election(&self) -> Duration {
        self.election_timeout.unwrap_or(ELECTION)
    }

    /// How long etcd may think about what its members have to agree on: its own limit is 5 s and two elections (etcd's
    /// source, `ReqTimeout`), and the answer comes a little later.
    pub(crate) fn agreement_limit(&self) -> Duration {
        Duration::from_secs(5) + 2 * self.election() + ANSWER_TIMEOUT
    }
}
