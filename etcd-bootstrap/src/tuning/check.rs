//! Which settings a version of etcd takes. What it would refuse at its start is refused here, before.

use super::{CipherSuite, TlsMinVersion, Tuning, value::go_duration};
use crate::EtcdVersion;
use std::time::Duration;

/// etcd's own default (`embed.DefaultTickMs`), for the rule between it and an election.
const HEARTBEAT: Duration = Duration::from_millis(100);
/// The longest that etcd takes (`embed.maxElectionMs`).
const LONGEST_ELECTION: Duration = Duration::from_secs(50);
/// etcd.io, "System limits": "8GiB is a suggested maximum size".
pub(crate) const ADVISED_QUOTA_BYTES: u64 = 8 << 30;
/// etcd warns above this (`recommendedMaxRequestBytes`).
pub(crate) const ADVISED_REQUEST_BYTES: u32 = 10 << 20;

/// A setting that no member would start with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TuningError {
    /// A value that cannot be.
    #[error("{setting} {value} {problem}")]
    Value {
        /// The field.
        setting: &'static str,
        /// The value as given.
        value: String,
        /// What it has to be.
        problem: &'static str,
    },
    /// Two timers that make elections without end.
    #[error(
        "election_timeout {} is less than five times heartbeat_interval {}; give an election_timeout of at \
         least {}", go_duration(*.election_timeout), go_duration(*.heartbeat_interval),
        go_duration(*.heartbeat_interval * 5)
    )]
    Timers {
        /// The heartbeat as given, or etcd's default.
        heartbeat_interval: Duration,
        /// The election time-out as given, or etcd's default.
        election_timeout: Duration,
    },
    /// What this minor of etcd does not know.
    #[error(
        "{setting} is not known to etcd 3.{minor}; leave it out, or run etcd 3.{since} or later"
    )]
    Lacks {
        /// The field, or the name of the feature gate.
        setting: &'static str,
        /// The minor of the cluster.
        minor: u16,
        /// The first minor that knows it.
        since: u16,
    },
}

impl Tuning {
    /// Whether members of this version start with these settings.
    ///
    /// # Errors
    ///
    /// The first value that is out of range, contradicts another one, or is not known to this minor.
    pub fn check(&self, version: EtcdVersion) -> Result<(), TuningError> {
        self.check_known(version.minor)?;
        self.check_timers()?;
        self.check_times()?;
        self.check_numbers()?;
        self.check_tls()?;
        self.service.check()
    }

    fn check_known(&self, minor: u16) -> Result<(), TuningError> {
        let gates = self.feature_gates.keys();
        let gates = gates.map(|gate| (gate.as_str(), gate.since_minor()));
        let fields = [
            ("max_learners", self.max_learners.map(|_| 6)),
            ("log_format", self.log_format.map(|_| 6)),
        ];
        let fields = fields
            .into_iter()
            .filter_map(|(name, since)| Some((name, since?)));
        match fields.chain(gates).find(|(_, since)| minor < *since) {
            Some((setting, since)) => Err(TuningError::Lacks {
                setting,
                minor,
                since,
            }),
            None => Ok(()),
        }
    }

    /// etcd's `Config.Validate`; the settings are in whole milliseconds.
    fn check_timers(&self) -> Result<(), TuningError> {
        let given = [
            ("heartbeat_interval", self.heartbeat_interval),
            ("election_timeout", self.election_timeout),
        ];
        for (setting, time) in given {
            let Some(time) = time else { continue };
            if time.is_zero() || !time.subsec_nanos().is_multiple_of(1_000_000) {
                let problem = "must be whole milliseconds, at least one";
                return Err(bad_time(setting, time, problem));
            }
        }
        let heartbeat_interval = self.heartbeat_interval.unwrap_or(HEARTBEAT);
        let election_timeout = self.election();
        if election_timeout > LONGEST_ELECTION {
            let problem = "must be at most 50s";
            return Err(bad_time("election_timeout", election_timeout, problem));
        }
        if heartbeat_interval * 5 > election_timeout {
            return Err(TuningError::Timers {
                heartbeat_interval,
                election_timeout,
            });
        }
        Ok(())
    }

    fn check_times(&self) -> Result<(), TuningError> {
        let retention = match self.auto_compaction {
            Some(super::AutoCompaction::Periodic(time)) => Some(time),
            _ => None,
        };
        let at_least = [
            ("auto_compaction", retention, 1),
            // A full scan of the data: more often than this a member does little else.
            ("corrupt_check_interval", self.corrupt_check_interval, 60),
            (
                "watch_progress_notify_interval",
                self.watch_progress_notify_interval,
                1,
            ),
        ];
        for (setting, time, least_s) in at_least {
            if let Some(time) = time.filter(|time| *time < Duration::from_secs(least_s)) {
                let problem = if least_s == 1 {
                    "must be at least 1s"
                } else {
                    "must be at least 60s"
                };
                return Err(bad_time(setting, time, problem));
            }
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), TuningError> {
        let revisions = match self.auto_compaction {
            Some(super::AutoCompaction::Revision(count)) => Some(count),
            _ => None,
        };
        let number = |value: Option<u32>| value.map(u64::from);
        // A quota below one WAL segment's worth of data is a slip in the unit, as 4 for 4 GiB.
        let at_least = [
            ("quota_backend_bytes", self.quota_backend_bytes, 16 << 20),
            ("snapshot_count", self.snapshot_count, 1),
            ("auto_compaction", revisions, 1),
            (
                "compaction_batch_limit",
                number(self.compaction_batch_limit),
                1,
            ),
            ("max_request_bytes", number(self.max_request_bytes), 1024),
            ("max_txn_ops", number(self.max_txn_ops), 1),
            ("max_learners", self.max_learners.map(u64::from), 1),
        ];
        for (setting, value, least) in at_least {
            if let Some(value) = value.filter(|value| *value < least) {
                let problem = match least {
                    1 => "must be at least 1",
                    1024 => "must be at least 1024, one KiB",
                    _ => "must be at least 16777216, 16 MiB",
                };
                let value = value.to_string();
                return Err(TuningError::Value {
                    setting,
                    value,
                    problem,
                });
            }
        }
        Ok(())
    }

    fn check_tls(&self) -> Result<(), TuningError> {
        let suites = &self.cipher_suites;
        if suites.is_empty() {
            return Ok(());
        }
        let list: Vec<&str> = suites.iter().map(|suite| suite.as_str()).collect();
        let bad = |problem| {
            Err(TuningError::Value {
                setting: "cipher_suites",
                value: list.join(","),
                problem,
            })
        };
        if self.tls_min_version == Some(TlsMinVersion::V1_3) {
            return bad("cannot be chosen with TLS 1.3 as the lowest version; leave them out");
        }
        let http2 = [
            CipherSuite::EcdheEcdsaAes128Gcm,
            CipherSuite::EcdheRsaAes128Gcm,
        ];
        if !suites.iter().any(|suite| http2.contains(suite)) {
            return bad(
                "must hold TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 or its RSA sibling, without which \
                 there is no HTTP/2 and no gRPC",
            );
        }
        Ok(())
    }
}

fn bad_time(setting: &'static str, time: Duration, problem: &'static str) -> TuningError {
    TuningError::Value {
        setting,
        value: go_duration(time),
        problem,
    }
}
