//! The whole lab as data, worked out from the specification and the facts: pure.
//!
//! Every crate gets its own specification from here, so that two of them can never mean different things.

mod api;
mod certified;
mod clusters;
mod etcd;
mod machines;
mod versions;
mod vms;

pub(crate) use etcd::etcd_of;
pub(crate) use vms::vm_name;

use crate::{
    EtcdRecord, Facts, FreebsdFacts, GuestFacts, LabSpec, Machines, OciRuntime, Places, Shape,
    Upgrades, guest,
};
use artifacts::{Architecture, Version, VersionSet, Wanted};
use host_exec::HostName;
use k8s_bootstrap::ImageName;
use netplan::{
    Addresses, Allow, Diff, Finding, KubernetesVersion, Lock, Machine, Nets, Plan, Policy,
    Requirement, Role, RouterSpec,
};
use nspawn_vm::GroupName;
use pki::PkiSpec;
use std::{
    collections::BTreeMap,
    error::Error as StdError,
    net::{Ipv4Addr, Ipv6Addr},
};

/// Where machines see the programs of the lab.
pub(crate) const BIN_DIR: &str = "/opt/lab/bin";
/// Where machines see the programs of every version, each set in a directory of its own.
pub(crate) const PROGRAMS_DIR: &str = "/opt/lab/programs";
/// kube-apiserver's port (`--secure-port`).
pub(crate) const API_PORT: u16 = 6443;
/// The first that reads containers of runtime-spec 1.2, which containerd 2 writes.
const OLDEST_CRUN: Version = Version::new(1, 14, 3);
/// The image for a first Deployment: a small HTTP server that can also act as a client.
pub const WEB_IMAGE: &str = "lab.local/web:1";

/// Everything that a lab consists of, as each crate wants it told.
#[derive(Debug, Clone, PartialEq)]
pub struct Blueprint {
    /// What was asked for.
    pub spec: LabSpec,
    /// The versions that go together.
    pub programs: Wanted,
    /// Networks and addresses.
    pub network: Plan,
    /// What there is to say about the networks, although they can be planned.
    pub findings: Vec<Finding>,
    /// What of the networks is not as the lab has it; nothing for a new one.
    pub changes: Diff,
    /// Who may reach whom.
    pub policy: Policy,
    /// The machines and the router between them.
    pub machines: Machines,
    /// Who is certified.
    pub pki: PkiSpec,
    facts: Facts,
    /// The versions that the lab has beside the one that is asked for.
    upgrades: Option<Upgrades>,
    /// Who founded etcd and who joined it; its members, where nothing is known.
    etcd_history: Option<etcd_bootstrap::History>,
    /// What is remembered of etcd beside that.
    etcd_record: EtcdRecord,
    /// The checksum of the disk with programs and images, for VMs.
    disk: Option<String>,
    /// Where the programs of any version set are on this machine.
    programs_places: artifacts::Places,
}

/// A specification that makes no lab on this machine. Nothing was touched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlueprintError {
    /// The networks cannot be placed.
    #[error("cannot plan the networks")]
    Network(#[from] netplan::PlanError),
    /// The networks can be planned, but would not work.
    #[error("{}", refusal(.0))]
    Lints(Vec<Finding>),
    /// Every number for an interface is taken.
    #[error("no number is left for another tap interface; remove some VMs")]
    NoTap,
    /// The plan of the network has a step that VMs' hosts do not know.
    #[error("no host of VMs knows what `{}` is for", .argv.join(" "))]
    UnknownEffect {
        /// Its command.
        argv: Vec<String>,
    },
    /// containerd writes what this crun does not read: "unknown version specified" (podman#27272).
    #[error(
        "crun {crun} does not work with containerd {containerd}; set runtime = \"runc\" (--runtime runc), or install crun \
        {OLDEST_CRUN} or later"
    )]
    OldCrun {
        /// The version of crun.
        crun: Version,
        /// That of containerd.
        containerd: Version,
    },
    /// A value that one crate hands to another is refused there.
    #[error("{what} is not possible here")]
    Part {
        /// What it is about.
        what: &'static str,
        /// The refusal.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl BlueprintError {
    pub(crate) fn part<E: StdError + Send + Sync + 'static>(
        what: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Part {
            what,
            source: Box::new(source),
        }
    }
}

impl Blueprint {
    /// Works out the lab that `spec` asks for. `lock` keeps addresses where an earlier lab of this name had them, and
    /// `upgrades` has the versions of one that was made with another Kubernetes.
    ///
    /// # Errors
    ///
    /// The networks do not fit, or overlap what this machine uses; a version is unknown.
    pub fn new(
        spec: &LabSpec,
        facts: &Facts,
        places: &Places,
        lock: Option<&Lock>,
        upgrades: Option<&Upgrades>,
    ) -> Result<Self, BlueprintError> {
        refuse_old_crun(spec, &facts.guests)?;
        let made_with = upgrades.map_or(spec.kubernetes, |upgrades| upgrades.made_with);
        let made_with = spec.at_version(made_with);
        let programs = programs_wanted(&made_with)?;
        let requirement = requirement(spec, facts);
        let network = netplan::plan(&requirement, &facts.network, lock)?;
        let findings = netplan::lint(&requirement, &network, &facts.network);
        if findings.iter().any(Finding::is_fatal) {
            return Err(BlueprintError::Lints(findings));
        }
        let changes = lock
            .map(|lock| network.changes_since(lock))
            .unwrap_or_default();
        let policy = Policy::standard(&network);
        let programs_places = artifact_places(places);
        let program_dir = programs_places.set_dir(&programs);
        let machines = match &spec.bhyve {
            Some(bhyve) => Machines::Vms(bhyve.clone()),
            None => {
                let group = machines::group(spec, facts, places, &network, &policy, &program_dir)?;
                Machines::Namespaces(group)
            }
        };
        let certified = versions::certified(spec, upgrades);
        let pki = certified::pki_spec(&spec.at_version(certified), &network)?;
        Ok(Self {
            spec: spec.clone(),
            programs,
            network,
            findings,
            changes,
            policy,
            machines,
            pki,
            facts: facts.clone(),
            upgrades: upgrades.cloned(),
            etcd_history: None,
            etcd_record: EtcdRecord::default(),
            disk: None,
            programs_places,
        })
    }

    /// The same with what is known of etcd's past.
    pub(crate) fn with_etcd_history(mut self, history: etcd_bootstrap::History) -> Self {
        self.etcd_history = Some(history);
        self
    }

    /// The name under which everything of the lab is found on this machine, where its machines are namespaces.
    pub fn group_name(&self) -> GroupName {
        let name = self.spec.name.as_str().parse();
        name.expect("names of labs are names of groups")
    }

    /// The machines of one role, as hosts.
    pub fn hosts_of(&self, role: Role) -> impl Iterator<Item = HostName> {
        self.network.role(role).map(host_name)
    }

    /// What every machine has beside its role: names of the others, its firewall, programs that its disk lacks.
    pub(crate) fn guests(&self) -> BTreeMap<HostName, guest::Guest> {
        let machines = self.network.machines.iter();
        let guest = |machine| {
            let system = self.system(machine);
            let guest = guest::Guest::new(&self.network, &self.policy, machine, system);
            (
                host_name(machine),
                guest.with_programs(self.programs_to_send(machine)),
            )
        };
        machines.map(guest).collect()
    }

    /// What a machine needs beside its disk of programs, if that is all it sees of versions that came after it.
    fn programs_to_send(&self, machine: &Machine) -> Vec<guest::ProgramSet> {
        match (&self.machines, machine.role) {
            (Machines::Namespaces(_), _) | (_, Role::Other) => Vec::new(),
            (Machines::Vms(_), Role::Etcd) => self.etcd_to_send(machine),
            (Machines::Vms(_), Role::ControlPlane | Role::Worker) => {
                self.kubernetes_to_send(machine.role)
            }
        }
    }

    /// What a machine has to have of a system of its own.
    fn system(&self, machine: &Machine) -> Option<guest::System> {
        let disk = self.disk.as_deref()?;
        let planes = self.network.role(Role::ControlPlane).count();
        Some(guest::System::new(machine.role, planes, disk))
    }

    /// The same lab, with the checksum of the disk that its VMs have.
    pub(crate) fn with_disk(mut self, sha256: &str) -> Self {
        self.disk = Some(sha256.to_owned());
        self
    }

    /// The FreeBSD host of a lab of VMs.
    pub(crate) fn freebsd(&self) -> &FreebsdFacts {
        let host = self.facts.freebsd.as_ref();
        host.expect("a lab of VMs is made from the facts of their host")
    }

    /// The same lab, with what its machines were found to have.
    pub(crate) fn with_guests(mut self, guests: GuestFacts) -> Self {
        self.facts.guests = guests;
        self
    }
}

/// The version is known only where it matters.
fn refuse_old_crun(spec: &LabSpec, guests: &GuestFacts) -> Result<(), BlueprintError> {
    let old = guests.crun.filter(|crun| *crun < OLDEST_CRUN);
    match old.filter(|_| spec.runtime == OciRuntime::Crun) {
        None => Ok(()),
        Some(crun) => Err(BlueprintError::OldCrun {
            crun,
            containerd: guests.containerd,
        }),
    }
}

/// The programs and images that a lab of this version is made with, for this processor.
pub(crate) fn programs_wanted(spec: &LabSpec) -> Result<Wanted, BlueprintError> {
    let versions = spec
        .versions()
        .map_err(BlueprintError::part("this version of Kubernetes"))?;
    let here = Architecture::here().map_err(BlueprintError::part("this processor"))?;
    let wanted = Wanted::lab(versions, here);
    Ok(match spec.shape {
        Shape::Services => wanted,
        Shape::StaticPods => wanted.with_control_plane_images(),
    })
}

/// The image of metrics-server that goes with these versions, as it is named where it is built here.
pub(crate) fn metrics_server(versions: &VersionSet) -> Result<ImageName, BlueprintError> {
    let version = versions
        .metrics_server()
        .map_err(BlueprintError::part("this version of Kubernetes"))?;
    let name = format!("lab.local/metrics-server:{}", version.tag()).parse();
    name.map_err(BlueprintError::part("the name of an image"))
}

/// How `artifacts` wants the same directories told.
pub(crate) fn artifact_places(places: &Places) -> artifacts::Places {
    let mut own = artifacts::Places::new(places.cache.clone(), places.path_dirs.clone());
    own.bin_dir.clone_from(&places.bin_dir);
    own
}

fn requirement(spec: &LabSpec, facts: &Facts) -> Requirement {
    // RFC 4193 wants a ULA that two sites do not share: the number of this machine and the lab's name are
    // what differs, and the same input gives `plan` and `up` the same answer.
    let seed = seed(&[&facts.machine_id, spec.name.as_str()]);
    let minor = u16::try_from(spec.kubernetes.minor).unwrap_or(u16::MAX);
    let version = KubernetesVersion::new(minor);
    let mut requirement = Requirement::reference(spec.name.clone(), seed, version, spec.machines);
    requirement.v4 = spec.network.v4;
    requirement.v6 = spec.network.v6;
    requirement.allow.clone_from(&spec.network.allow);
    if let Some(host) = &facts.freebsd {
        requirement.v6_mode = host.v6;
        if host.assumed {
            requirement.allow.push(Allow {
                lint: "v6-outside-special".to_owned(),
                reason: "no host was asked, and this address stands for its own".to_owned(),
            });
        }
        requirement.router = RouterSpec::Host {
            uplink: host.uplink.clone(),
        };
    }
    requirement
}

fn refusal(findings: &[Finding]) -> String {
    let fatal = findings.iter().filter(|finding| finding.is_fatal());
    let lines: Vec<String> = fatal.map(ToString::to_string).collect();
    lines.join("\n")
}

/// Both addresses of a pair: the reference lab is dual-stack everywhere.
pub(crate) fn both(addresses: Addresses) -> (Ipv4Addr, Ipv6Addr) {
    let both = addresses.v4.zip(addresses.v6);
    both.expect("every address of the reference lab has both families")
}

/// Both networks of a pair.
fn both_nets(nets: Nets) -> (netplan::Net, netplan::Net) {
    let both = nets.v4.zip(nets.v6);
    both.expect("every network of the reference lab has both families")
}

/// The link to this machine, which a lab with a router of its own has.
pub(crate) fn link(network: &Plan) -> netplan::Link {
    network
        .link
        .expect("the router of the reference lab is a namespace")
}

/// The simulated internet, which a lab with a router of its own has.
pub(crate) fn internet(network: &Plan) -> netplan::Internet {
    network
        .internet
        .expect("the router of the reference lab is a namespace")
}

/// The ranges of Kubernetes.
pub(crate) fn ranges(network: &Plan) -> &netplan::Kubernetes {
    let ranges = network.kubernetes.as_ref();
    ranges.expect("the reference lab has a Kubernetes cluster")
}

/// FNV-1a over all words: not for secrets, only to differ.
fn seed(words: &[&str]) -> u64 {
    let bytes = words.iter().flat_map(|word| word.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

pub(crate) fn host_name(machine: &Machine) -> HostName {
    machine
        .name
        .as_str()
        .parse()
        .expect("names of planned machines are labels of RFC 1123")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crun_that_reads_no_containers_of_containerd_2_is_refused() {
        let refused = |crun: Option<Version>, toml: &str| {
            let spec = LabSpec::from_toml(toml).unwrap();
            let guests = GuestFacts {
                crun,
                containerd: Version::new(2, 4, 2),
                ..GuestFacts::debian_12()
            };
            refuse_old_crun(&spec, &guests).map_err(|error| error.to_string())
        };
        let old = Some(Version::new(1, 8, 1));
        let said = refused(old, "").unwrap_err();
        assert!(
            said.starts_with(
                "crun 1.8.1 does not work with containerd 2.4.2; set runtime = \"runc\""
            ),
            "{said}"
        );
        assert_eq!(refused(old, "runtime = 'runc'"), Ok(()));
        assert_eq!(refused(Some(OLDEST_CRUN), ""), Ok(()));
        assert_eq!(refused(None, ""), Ok(()));
    }
}
