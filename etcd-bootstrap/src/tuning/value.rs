//! The words that settings are made of. Each has etcd's own spelling.

use std::{fmt, time::Duration};

/// What etcd itself forgets of the past (`--auto-compaction-mode`, `--auto-compaction-retention`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoCompaction {
    /// What is older than this.
    Periodic(Duration),
    /// All but this many revisions.
    Revision(u64),
}

impl AutoCompaction {
    pub(crate) fn mode(self) -> &'static str {
        match self {
            Self::Periodic(_) => "periodic",
            Self::Revision(_) => "revision",
        }
    }

    /// A bare number would be read as hours where a time is meant.
    pub(crate) fn retention(self) -> String {
        match self {
            Self::Periodic(time) => go_duration(time),
            Self::Revision(count) => count.to_string(),
        }
    }
}

/// A time as Go reads it (`time.ParseDuration`): whole seconds where it is whole seconds.
pub(crate) fn go_duration(time: Duration) -> String {
    if time.subsec_nanos() == 0 {
        format!("{}s", time.as_secs())
    } else if time.subsec_nanos().is_multiple_of(1_000_000) {
        format!("{}ms", time.as_millis())
    } else {
        format!("{}ns", time.as_nanos())
    }
}

/// An enumeration whose variants have etcd's spelling.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// etcd's spelling.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// The least important message that is logged (`--log-level`).
    LogLevel {
        /// Everything, raft's own words among it.
        Debug = "debug",
        /// What a member does.
        Info = "info",
        /// What is slow or odd.
        Warn = "warn",
        /// What failed.
        Error = "error",
    }
}

words! {
    /// The form of log lines (`--log-format`, from 3.6 on).
    LogFormat {
        /// One JSON object a line, for programs.
        Json = "json",
        /// For people.
        Console = "console",
    }
}

words! {
    /// How much is measured (`--metrics`).
    MetricsLevel {
        /// Counters and gauges.
        Basic = "basic",
        /// Histograms of each gRPC call too, which cost memory with many clients.
        Extensive = "extensive",
    }
}

words! {
    /// The lowest version of TLS that a member speaks (`--tls-min-version`).
    TlsMinVersion {
        /// TLS 1.2.
        V1_2 = "TLS1.2",
        /// TLS 1.3, which has no cipher suites to choose.
        V1_3 = "TLS1.3",
    }
}

words! {
    /// A cipher suite of TLS 1.2 with forward secrecy and authenticated encryption. Others that Go knows are
    /// not offered: RFC 7540 (appendix A) forbids them for HTTP/2, which gRPC is.
    CipherSuite {
        /// For ECDSA keys. HTTP/2 asks for this one or its RSA sibling.
        EcdheEcdsaAes128Gcm = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        /// For ECDSA keys.
        EcdheEcdsaAes256Gcm = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        /// For ECDSA keys, on processors without AES instructions.
        EcdheEcdsaChacha20 = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        /// For RSA keys. HTTP/2 asks for this one or its ECDSA sibling.
        EcdheRsaAes128Gcm = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        /// For RSA keys.
        EcdheRsaAes256Gcm = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        /// For RSA keys, on processors without AES instructions.
        EcdheRsaChacha20 = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    }
}

words! {
    /// A feature that can be switched (`--feature-gates`; in 3.5 each has a flag of its own).
    ///
    /// `LeaseCheckpointPersist` is left out: its authors keep it for upgrades from 3.5 alone.
    FeatureGate {
        /// A member compares its data with the others' before it serves, and ends if they differ. On unless
        /// switched off.
        InitialCorruptCheck = "InitialCorruptCheck",
        /// The leader compares the others' hashes with its own after each compaction. On unless switched off.
        CompactHashCheck = "CompactHashCheck",
        /// A lease is renewed without waiting for what was written before. From 3.7 on.
        FastLeaseKeepAlive = "FastLeaseKeepAlive",
        /// What is left of a lease outlives a change of the leader.
        LeaseCheckpoint = "LeaseCheckpoint",
        /// What frees resources goes first under load. From 3.7 on.
        PriorityRequest = "PriorityRequest",
        /// A member's connections to its peers come from its own peer address. From 3.6 on.
        SetMemberLocalAddr = "SetMemberLocalAddr",
        /// Clients are sent elsewhere while a member is defragmented.
        StopGRPCServiceOnDefrag = "StopGRPCServiceOnDefrag",
        /// A transaction that writes reads without a copy of what is not written yet.
        TxnModeWriteWithSharedBuffer = "TxnModeWriteWithSharedBuffer",
    }
}

impl FeatureGate {
    /// Whether etcd of this minor knows it, as 7 in 3.7.
    #[must_use]
    pub fn known_in(self, minor: u16) -> bool {
        minor >= self.since_minor()
    }

    /// The first minor that knows it; 5 stands for 3.5, the oldest known here.
    pub(crate) fn since_minor(self) -> u16 {
        match self {
            Self::FastLeaseKeepAlive | Self::PriorityRequest => 7,
            Self::SetMemberLocalAddr => 6,
            _ => 5,
        }
    }

    /// The flag that it is in 3.5, which knows no gates; `None` if it came later.
    pub(crate) fn flag_in_3_5(self) -> Option<&'static str> {
        match self {
            Self::CompactHashCheck => Some("experimental-compact-hash-check-enabled"),
            Self::InitialCorruptCheck => Some("experimental-initial-corrupt-check"),
            Self::LeaseCheckpoint => Some("experimental-enable-lease-checkpoint"),
            Self::StopGRPCServiceOnDefrag => Some("experimental-stop-grpc-service-on-defrag"),
            Self::TxnModeWriteWithSharedBuffer => {
                Some("experimental-txn-mode-write-with-shared-buffer")
            }
            Self::FastLeaseKeepAlive | Self::PriorityRequest | Self::SetMemberLocalAddr => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_reads_them() {
        let cases = [
            (Duration::from_secs(5), "5s"),
            (Duration::from_secs(28_800), "28800s"),
            (Duration::from_millis(1500), "1500ms"),
            (Duration::from_nanos(7), "7ns"),
        ];
        for (time, text) in cases {
            assert_eq!(go_duration(time), text);
        }
    }

    #[test]
    fn a_gate_of_3_5_is_a_flag_there_and_no_other_is() {
        for gate in FeatureGate::ALL {
            assert_eq!(
                gate.flag_in_3_5().is_some(),
                gate.since_minor() == 5,
                "{gate}"
            );
        }
    }
}
