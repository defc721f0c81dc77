//! How systemd runs a member.

use super::TuningError;
use std::time::Duration;

/// How systemd runs a member, see `systemd.exec(5)` and `systemd.resource-control(5)`.
///
/// The default asks for nothing that a container or an unprivileged machine may refuse.
/// [`ServiceTuning::dedicated`] is for machines that etcd is the most important program of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceTuning {
    /// Its share of the processor against other programs, -20 (all) to 19 (none). `None`: systemd's own, 0.
    pub nice: Option<i8>,
    /// Its place in the queue of the disk. `None`: the kernel's own, which follows from `nice`. Heard only by
    /// schedulers that know priorities (bfq).
    pub io_priority: Option<IoPriority>,
    /// How early the kernel ends it when memory is short, -1000 (never) to 1000. `None`: as systemd itself.
    /// A negative value needs `CAP_SYS_RESOURCE`: without it systemd cannot start the service at all.
    pub oom_score_adjust: Option<i16>,
    /// Memory in bytes that the kernel takes from it last (cgroup v2 only).
    pub memory_low_bytes: Option<u64>,
    /// The most files and connections. A member holds one for each client and watch stream; upstream's unit
    /// has 40000.
    pub open_files_limit: u32,
    /// How long it stays down after it failed.
    pub restart_delay: Duration,
}

/// The place in the queue of the disk, in the class `best-effort`: 0 (first) to 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoPriority(u8);

impl IoPriority {
    /// The first place.
    pub const FIRST: Self = Self(0);

    /// A place in the queue.
    ///
    /// # Errors
    ///
    /// More than 7.
    pub fn new(priority: u8) -> Result<Self, TuningError> {
        if priority <= 7 {
            return Ok(Self(priority));
        }
        Err(TuningError::Value {
            setting: "io_priority",
            value: priority.to_string(),
            problem: "must be 0 (first) to 7",
        })
    }

    /// The place as a number.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for ServiceTuning {
    fn default() -> Self {
        Self {
            nice: None,
            io_priority: None,
            oom_score_adjust: None,
            memory_low_bytes: None,
            open_files_limit: 65_536,
            restart_delay: Duration::from_secs(1),
        }
    }
}

impl ServiceTuning {
    /// For machines that etcd is the most important program of: its heartbeats and its log go before other
    /// programs' work, and the kernel ends it last. (etcd.io, "Tuning", advises the disk priority; -998 is what
    /// the kubelet gives to what a node cannot do without.)
    #[must_use]
    pub fn dedicated() -> Self {
        Self {
            nice: Some(-10),
            io_priority: Some(IoPriority::FIRST),
            oom_score_adjust: Some(-998),
            ..Self::default()
        }
    }

    pub(super) fn check(&self) -> Result<(), TuningError> {
        let value = |setting, value: String, problem| {
            Err(TuningError::Value {
                setting,
                value,
                problem,
            })
        };
        if let Some(nice) = self.nice.filter(|nice| !(-20..=19).contains(nice)) {
            return value("nice", nice.to_string(), "must be -20 to 19");
        }
        let score = self.oom_score_adjust;
        if let Some(score) = score.filter(|score| !(-1000..=1000).contains(score)) {
            return value(
                "oom_score_adjust",
                score.to_string(),
                "must be -1000 to 1000",
            );
        }
        // A member opens some 40 files before the first client comes.
        if self.open_files_limit < 1024 {
            let limit = self.open_files_limit.to_string();
            return value("open_files_limit", limit, "must be at least 1024");
        }
        if self.restart_delay.is_zero() || self.restart_delay.subsec_nanos() != 0 {
            let delay = format!("{:?}", self.restart_delay);
            return value(
                "restart_delay",
                delay,
                "must be whole seconds, at least one",
            );
        }
        Ok(())
    }
}
