//! The versions of a lab that is, or has been, upgraded: where the programs of each lie, and how far it has come.

use super::{BIN_DIR, Blueprint, BlueprintError, PROGRAMS_DIR, programs_wanted};
use crate::{LabSpec, Shape, UnderWay, Upgrades, guest::ProgramSet};
use artifacts::{ProgramName, Version};
use k8s_bootstrap::{
    ClusterSpec, NodePath, SupportedVersion,
    skew::{ClusterVersions, Step, steps},
    upgrade::advanced,
};
use netplan::Role;

/// What services of a control plane are started from. The others of Kubernetes are run by people, and those that the
/// machine was made with will do.
const ON_CONTROL_PLANES: [ProgramName; 5] = [
    ProgramName::KubeApiserver,
    ProgramName::KubeControllerManager,
    ProgramName::KubeScheduler,
    ProgramName::Kubelet,
    ProgramName::KubeProxy,
];

/// The same where a control plane is pods, and kube-proxy is one on each node.
const BESIDE_PODS: [ProgramName; 1] = [ProgramName::Kubelet];

/// The same of a worker.
const ON_WORKERS: [ProgramName; 2] = [ProgramName::Kubelet, ProgramName::KubeProxy];

/// The version of Kubernetes whose groups certificates have (`pki::PROFILES`): the one before the upgrade until that
/// has ended, since certificates are renewed as its last step.
pub(super) fn certified(spec: &LabSpec, upgrades: Option<&Upgrades>) -> Version {
    let under_way = upgrades.and_then(|upgrades| upgrades.under_way);
    under_way.map_or(spec.kubernetes, |under_way| under_way.from)
}

impl Blueprint {
    /// The version of which the lab's Kubernetes is, apart from the steps of an upgrade that have begun.
    pub(super) fn base_version(&self) -> Version {
        certified(&self.spec, self.upgrades.as_ref())
    }

    /// Where machines have the programs of a version: those that the lab was made with at their first place.
    pub(super) fn bin_dir(&self, version: Version) -> Result<NodePath, BlueprintError> {
        let text = if version == self.programs.versions.kubernetes {
            BIN_DIR.to_owned()
        } else {
            let wanted = programs_wanted(&self.spec.at_version(version))?;
            format!("{PROGRAMS_DIR}/{}", wanted.set_name())
        };
        text.parse().map_err(BlueprintError::part("a path"))
    }

    /// The versions of Kubernetes that machines run, or are about to, beside the one that the lab was made with.
    pub(crate) fn later_versions(&self) -> Vec<Version> {
        let under_way = self.upgrades.as_ref().and_then(|own| own.under_way);
        let made_with = self.programs.versions.kubernetes;
        let versions = [Some(self.base_version()), under_way.map(|own| own.to)].into_iter();
        let versions = versions.flatten();
        versions.filter(|version| *version != made_with).collect()
    }

    /// What a node needs beside its disk of programs: Kubernetes that the lab was upgraded to, or is.
    pub(super) fn kubernetes_to_send(&self, role: Role) -> Vec<ProgramSet> {
        let programs: &[ProgramName] = match (self.spec.shape, role) {
            (Shape::StaticPods, _) => &BESIDE_PODS,
            (Shape::Services, Role::ControlPlane) => &ON_CONTROL_PLANES,
            (Shape::Services, _) => &ON_WORKERS,
        };
        let versions = self.later_versions().into_iter();
        let set = |version| {
            // A version that is remembered was known when it was.
            let wanted = programs_wanted(&self.spec.at_version(version)).ok()?;
            let dir = self.programs_places.set_dir(&wanted);
            Some(ProgramSet::new(wanted.set_name(), dir, programs))
        };
        versions.filter_map(set).collect()
    }

    /// A version, by the rules of the lab.
    pub(super) fn supported(&self, version: Version) -> Result<SupportedVersion, BlueprintError> {
        let spec = self.spec.at_version(version);
        spec.kubernetes_version()
            .map_err(BlueprintError::part("this version of Kubernetes"))
    }

    /// The cluster after the steps that have begun; `plain` is the one before all of them.
    pub(super) fn upgraded(&self, plain: ClusterSpec) -> Result<ClusterSpec, BlueprintError> {
        let under_way = self.upgrades.as_ref().and_then(|own| own.under_way);
        let Some(under_way) = under_way else {
            return Ok(plain);
        };
        let to = self.supported(under_way.to)?;
        let steps = steps(&ClusterVersions::of(&plain), to, &[])
            .map_err(BlueprintError::part("this upgrade"))?;
        let bin_dir = self.bin_dir(under_way.to)?;
        let begun = steps.iter().take(under_way.begun);
        Ok(begun.fold(plain, |spec, step| advanced(&spec, step, &bin_dir)))
    }

    /// Every step of an upgrade, those that have begun among them.
    pub(crate) fn upgrade_steps(
        &self,
        under_way: &UnderWay,
    ) -> Result<Vec<Step>, crate::UpgradeError> {
        let begin = UnderWay {
            begun: 0,
            ..*under_way
        };
        let plain = self.clone().at(begin).kubernetes()?;
        let to = self.supported(under_way.to)?;
        Ok(steps(&ClusterVersions::of(&plain), to, &[])?)
    }

    /// The same lab with the certificates that go with another version.
    pub(crate) fn certified_for(mut self, version: Version) -> Result<Self, BlueprintError> {
        let version = version.to_string().parse();
        self.pki.kubernetes_version = version.map_err(BlueprintError::part("this version"))?;
        Ok(self)
    }

    /// The same lab in the middle of an upgrade.
    pub(crate) fn at(mut self, under_way: UnderWay) -> Self {
        self.upgrades = Some(Upgrades {
            made_with: self.programs.versions.kubernetes,
            under_way: Some(under_way),
        });
        self
    }
}
