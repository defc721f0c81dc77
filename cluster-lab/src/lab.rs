//! A lab on this machine: looked at, planned, brought up.

use crate::{
    BhyveSpec, Blueprint, BlueprintError, Facts, FactsError, HostError, KeysError, LabSpec,
    MaterialError, Places, Profile, SpecError, StateDir, StateError, VmError,
    blueprint::artifact_places,
    change, facts,
    guest::{GuestError, GuestStep},
    material::Source,
};
use bhyve_vm::fleet;
use etcd_bootstrap::Tls;
use host_exec::{Host, HostName, LocalHost};
use k8s_bootstrap::{Desired, ExpiringToken, hardened::EncryptionKey};
use netplan::{Lock, Role};
use pki::{BootstrapToken, ItemId, LeafRole, Passphrase, Store};
use std::{collections::BTreeMap, sync::Arc};
use time::{Duration, OffsetDateTime};

/// The machines of a lab, ready to be worked on.
pub type Hosts = BTreeMap<HostName, Arc<dyn Host>>;

/// How long a bootstrap token lives: kubeadm's 24 hours.
const TOKEN_LIFE: Duration = Duration::hours(24);

/// A lab: what is asked for, and where it is kept. Nothing is read or done by making this value.
#[derive(Debug, Clone)]
pub struct Lab {
    /// What is asked for.
    pub spec: LabSpec,
    /// Where it is kept.
    pub places: Places,
    /// The moment that counts as now, for certificates and tokens.
    pub now: OffsetDateTime,
    pub(crate) here: LocalHost,
    pub(crate) passphrase: Option<Passphrase>,
}

/// A lab could not be worked out. Nothing was touched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// The specification.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// This machine.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// The FreeBSD host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// What the FreeBSD host says of itself.
    #[error(transparent)]
    Survey(#[from] fleet::SurveyError),
    /// The composition.
    #[error(transparent)]
    Blueprint(#[from] BlueprintError),
    /// etcd is half-way from one cluster to the next.
    #[error("a restore of etcd of lab {0} has begun; `lab etcd restore` goes on with it")]
    Restoring(String),
    /// What a lab that exists cannot become.
    #[error("lab {name} has {field} {found}, and {wanted} is asked for; {remedy}")]
    Change {
        /// The lab.
        name: String,
        /// What differs.
        field: &'static str,
        /// As it is.
        found: String,
        /// As it was asked for.
        wanted: String,
        /// What can be done.
        remedy: &'static str,
    },
}

/// What of a running lab could not be found out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// The machines.
    #[error(transparent)]
    Machines(#[from] nspawn_vm::ObserveError),
    /// The FreeBSD host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The VMs.
    #[error(transparent)]
    Vms(#[from] fleet::SurveyError),
    /// What the VMs' host makes impossible.
    #[error(transparent)]
    Fleet(Box<fleet::FleetPlanError>),
    /// Keys of SSH.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A VM, or the way past it.
    #[error(transparent)]
    Vm(#[from] VmError),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// Names and firewall of a machine.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// Certificates.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// The certificates of a member of etcd, on its machine.
    #[error(transparent)]
    EtcdCertificates(#[from] etcd_bootstrap::certificates::ObserveCertificatesError),
    /// Certificates and what has been issued of them.
    #[error(transparent)]
    Pki(#[from] pki::PlanError),
    /// etcd's certificates as a client.
    #[error(transparent)]
    Tls(#[from] etcd_bootstrap::TlsError),
    /// etcd.
    #[error(transparent)]
    Etcd(#[from] etcd_bootstrap::ObserveError),
    /// The timers of etcd's snapshots.
    #[error(transparent)]
    EtcdSchedule(#[from] etcd_bootstrap::schedule::ScheduleObserveError),
    /// Kubernetes.
    #[error(transparent)]
    Kubernetes(#[from] k8s_bootstrap::ObserveError),
    /// What Kubernetes wants.
    #[error(transparent)]
    Desired(#[from] k8s_bootstrap::DesiredError),
    /// The authorities that somebody else has made.
    #[error("cannot use pki.authorities")]
    Authorities(#[from] pki::AuthoritiesError),
    /// What each crate wants told.
    #[error(transparent)]
    Blueprint(#[from] BlueprintError),
    /// A file of a machine.
    #[error(transparent)]
    Look(host_exec::FileError),
    /// The clock of a machine.
    #[error(transparent)]
    Clock(#[from] host_exec::ClockError),
    /// The services of a machine.
    #[error("cannot look at the services of a machine")]
    Services(#[source] host_exec::RunError),
}

impl From<fleet::FleetPlanError> for ObserveError {
    fn from(error: fleet::FleetPlanError) -> Self {
        Self::Fleet(Box::new(error))
    }
}

/// etcd and Kubernetes of a lab, with their certificates.
#[derive(Debug)]
pub struct Wired {
    /// The cluster of etcd.
    pub etcd: etcd_bootstrap::ClusterSpec,
    /// How its members are spoken to.
    pub etcd_tls: Tls,
    /// The cluster of Kubernetes.
    pub kubernetes: Desired,
}

impl Lab {
    /// A lab that is asked for.
    pub fn new(spec: LabSpec, places: Places, now: OffsetDateTime) -> Self {
        let here = LocalHost::new("here".parse().expect("a literal that is a legal host name"));
        Self {
            spec,
            places,
            now,
            here,
            passphrase: None,
        }
    }

    /// The same lab, the keys of whose authorities lie under a pass phrase: the one in
    /// [`authority_passphrase_file`](crate::CertificatesSpec::authority_passphrase_file).
    #[must_use]
    pub fn with_passphrase(mut self, passphrase: Option<Passphrase>) -> Self {
        self.passphrase = passphrase;
        self
    }

    /// The directory of the lab.
    pub fn state(&self) -> StateDir {
        self.places.lab(&self.spec.name)
    }

    /// The certificates of the lab.
    pub fn store(&self) -> Store {
        let store = Store::new(self.state().pki());
        match &self.passphrase {
            Some(passphrase) => store.with_passphrase(passphrase.clone()),
            None => store,
        }
    }

    /// This machine, as commands and events name it.
    pub fn here(&self) -> &LocalHost {
        &self.here
    }

    /// Works the lab out: asks this machine what it has, and changes nothing.
    ///
    /// # Errors
    ///
    /// The specification is impossible, by itself, on this machine, or from what the lab is now.
    pub async fn draft(&self) -> Result<Blueprint, DraftError> {
        self.spec.check()?;
        self.check_change()?;
        self.draft_as_was().await
    }

    /// The same for a lab as it was before it got smaller: it is compared with no record.
    pub(crate) async fn draft_as_was(&self) -> Result<Blueprint, DraftError> {
        let name = self
            .spec
            .name
            .as_str()
            .parse()
            .map_err(|_| SpecError::Range {
                field: "name",
                value: self.spec.name.to_string(),
                remedy: "must have 1 to 20 of a-z, 0-9 and '-'",
            })?;
        let lock = self.state().network()?;
        let facts = match &self.spec.bhyve {
            None => facts::observe(&self.here, &self.places, &name).await?,
            Some(bhyve) => self.freebsd_facts(bhyve, lock.as_ref()).await?,
        };
        let blueprint = Blueprint::new(
            &self.spec,
            &facts,
            &self.places,
            lock.as_ref(),
            self.state().upgrades()?.as_ref(),
        )?;
        // Which cluster it is comes first: a history is of one token.
        self.with_etcd_history(blueprint.with_etcd_record(self.state().etcd_record()?))
            .await
    }

    /// A lab of VMs that is there, without a question to its host: its addresses are those of its lock.
    pub(crate) fn remembered(&self, bhyve: &BhyveSpec) -> Result<Blueprint, DraftError> {
        let lock = self.state().network()?;
        let facts = Facts::of_freebsd_on_paper(bhyve)?;
        let (spec, places) = (&self.spec, &self.places);
        Ok(Blueprint::new(spec, &facts, places, lock.as_ref(), None)?)
    }

    /// What the FreeBSD host says of itself; what is assumed of it while none is named.
    async fn freebsd_facts(
        &self,
        bhyve: &BhyveSpec,
        lock: Option<&Lock>,
    ) -> Result<Facts, DraftError> {
        if bhyve.host.is_none() {
            return Ok(Facts::of_freebsd_on_paper(bhyve)?);
        }
        let survey = fleet::survey(&self.freebsd_host(bhyve)?).await?;
        Ok(Facts::of_freebsd(&survey, bhyve, lock)?)
    }

    /// A lab grows and shrinks by nodes; everything else about it is decided when it is made.
    fn check_change(&self) -> Result<(), DraftError> {
        let record = self.state().record()?;
        let under_way = self.state().upgrades()?.and_then(|own| own.under_way);
        let refused = record.and_then(|record| {
            change::refused(&record.spec, &self.spec)
                .or_else(|| change::refused_meanwhile(&record.spec, &self.spec, under_way))
        });
        match refused {
            None => Ok(()),
            Some(change) => Err(DraftError::Change {
                name: self.spec.name.to_string(),
                field: change.field,
                found: change.found,
                wanted: change.wanted,
                remedy: change.remedy,
            }),
        }
    }

    /// etcd and Kubernetes with the certificates of the store, which has to be complete.
    pub(crate) fn wire(
        &self,
        blueprint: &Blueprint,
        token: &ExpiringToken,
    ) -> Result<Wired, ObserveError> {
        let store = self.store();
        let source = Source::Store(&store);
        let etcd = etcd_spec(blueprint, source)?;
        let client = store
            .read(&ItemId::cluster(LeafRole::EtcdHealthcheckClient))
            .map_err(MaterialError::from)?;
        let etcd_tls = Tls::new(&etcd, &client.public_pem, &client.key_pem)?;
        let kubernetes = desired(blueprint, token, source, self.kept_key()?.as_ref())?;
        Ok(Wired {
            etcd,
            etcd_tls,
            kubernetes,
        })
    }

    /// The token with which nodes join, if there is one that is still good for a while.
    pub(crate) fn kept_token(&self) -> Result<Option<ExpiringToken>, StateError> {
        let kept = self.state().bootstrap_token()?;
        Ok(kept.map(|(token, expires)| ExpiringToken { token, expires }))
    }

    /// The key with which the API servers of this lab encrypt Secrets; none for a standard lab.
    ///
    /// # Errors
    ///
    /// A hardened lab has been made and has none any more.
    pub(crate) fn kept_key(&self) -> Result<Option<EncryptionKey>, StateError> {
        match self.spec.profile {
            Profile::Standard => Ok(None),
            Profile::Hardened => {
                let state = self.state();
                let key = state.encryption_key()?;
                key.map(Some).ok_or_else(|| state.lost_encryption_key())
            }
        }
    }

    /// A new token, drawn from the operating system, for [`TOKEN_LIFE`].
    pub(crate) fn fresh_token(&self) -> Result<ExpiringToken, pki::RandomError> {
        let token = BootstrapToken::draw(&pki::OsRandom)?;
        Ok(ExpiringToken {
            token,
            expires: self.now + TOKEN_LIFE,
        })
    }
}

pub(crate) fn etcd_spec(
    blueprint: &Blueprint,
    source: Source<'_>,
) -> Result<etcd_bootstrap::ClusterSpec, ObserveError> {
    let mut files = BTreeMap::new();
    for member in blueprint.hosts_of(Role::Etcd) {
        let own = blueprint.etcd_files(&member, source)?;
        files.insert(member, own);
    }
    Ok(blueprint.etcd(|member| files.get(member).cloned().unwrap_or_default())?)
}

pub(crate) fn desired(
    blueprint: &Blueprint,
    token: &ExpiringToken,
    source: Source<'_>,
    key: Option<&EncryptionKey>,
) -> Result<Desired, ObserveError> {
    let material = blueprint.cluster_material(token, source, key)?;
    let spec = k8s_bootstrap::ClusterSpec {
        authority_rotates: material.trusts_two(),
        ..blueprint.kubernetes()?
    };
    Ok(Desired::new(spec, &material)?)
}

/// What the guests among `hosts` lack, by machine.
pub(crate) async fn guest_steps(
    blueprint: &Blueprint,
    hosts: &Hosts,
) -> Result<BTreeMap<HostName, Vec<GuestStep>>, GuestError> {
    let guests = blueprint.guests();
    let looks = hosts.iter().filter_map(|(name, host)| {
        let guest = guests.get(name)?;
        Some(
            async move { Ok::<_, GuestError>((name.clone(), guest.observe(host.as_ref()).await?)) },
        )
    });
    Ok(futures::future::try_join_all(looks)
        .await?
        .into_iter()
        .collect())
}

/// The etcd members among `hosts`, under the names that etcd-bootstrap has for them.
pub(crate) fn etcd_hosts(
    spec: &etcd_bootstrap::ClusterSpec,
    hosts: &Hosts,
) -> etcd_bootstrap::Hosts {
    let own = |member: &etcd_bootstrap::MemberSpec| {
        let host = hosts
            .iter()
            .find(|(name, _)| name.as_str() == member.name.as_str())?;
        Some((member.name.clone(), host.1.clone()))
    };
    spec.members().iter().filter_map(own).collect()
}

pub(crate) fn programs_places(lab: &Lab) -> artifacts::Places {
    artifact_places(&lab.places)
}
