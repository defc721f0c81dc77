//! Which cluster etcd is and which programs its members have, by what is remembered of it.

use super::{BIN_DIR, Blueprint, BlueprintError, PROGRAMS_DIR};
use crate::{
    DraftError,
    etcd::{EtcdRecord, PROGRAMS},
    guest::ProgramSet,
};
use artifacts::{Architecture, Version, VersionSet, Wanted};
use etcd_bootstrap::{ClusterSpec, ClusterToken, EtcdVersion, MemberProgram};
use netplan::Machine;

impl Blueprint {
    /// What is remembered of etcd.
    pub(crate) fn etcd_record(&self) -> &EtcdRecord {
        &self.etcd_record
    }

    /// The same lab with what is remembered of its etcd. Another cluster is founded by its members: a history is of one.
    pub(crate) fn with_etcd_record(mut self, record: EtcdRecord) -> Self {
        if record.restored != self.etcd_record.restored {
            self.etcd_history = None;
        }
        self.etcd_record = record;
        self
    }

    /// Nothing else is done to a lab whose etcd is half-way to another cluster.
    pub(crate) fn refuse_restoring(&self) -> Result<(), DraftError> {
        match self.etcd_record.restoring {
            None => Ok(()),
            Some(_) => Err(DraftError::Restoring(self.spec.name.to_string())),
        }
    }

    /// The token of etcd: another one for each cluster that it has been. A lab's name has no dot.
    pub(crate) fn etcd_token(&self) -> Result<ClusterToken, BlueprintError> {
        let name = &self.spec.name;
        let token = match self.etcd_record.restored {
            0 => format!("lab-{name}"),
            times => format!("lab-{name}.{times}"),
        };
        token
            .parse()
            .map_err(BlueprintError::part("the token of etcd"))
    }

    /// The version of etcd, apart from an upgrade that has begun; that of Kubernetes is in its specification.
    ///
    /// # Errors
    ///
    /// It is of a version set that the catalogue has no more.
    pub fn etcd_version(&self) -> Result<Version, BlueprintError> {
        Ok(match self.etcd_record.programs {
            None => self.programs.versions.etcd,
            Some(set) => etcd_of(set)?.versions.etcd,
        })
    }

    /// The etcd that all members have, or those that are upgraded.
    pub(crate) fn etcd_program(
        &self,
        set: Option<Version>,
    ) -> Result<MemberProgram, BlueprintError> {
        let (version, path) = match set {
            None => {
                let path = format!("{BIN_DIR}/etcd");
                (self.programs.versions.etcd, path)
            }
            Some(set) => {
                let wanted = etcd_of(set)?;
                let path = format!("{PROGRAMS_DIR}/{}/etcd", wanted.set_name());
                (wanted.versions.etcd, path)
            }
        };
        let text = version.to_string();
        let version: EtcdVersion = text
            .parse()
            .map_err(BlueprintError::part("this version of etcd"))?;
        Ok(MemberProgram {
            version,
            path: path.into(),
        })
    }

    /// The programs of etcd of a version set, for guests that do not see this machine's.
    pub(crate) fn program_set(&self, set: Version) -> Result<ProgramSet, BlueprintError> {
        let wanted = etcd_of(set)?;
        let dir = self.programs_places.set_dir(&wanted);
        Ok(ProgramSet::new(wanted.set_name(), dir, &PROGRAMS))
    }

    /// What a member needs beside its disk of programs: etcd that the lab was upgraded to.
    pub(super) fn etcd_to_send(&self, machine: &Machine) -> Vec<ProgramSet> {
        let record = &self.etcd_record;
        let own = record.upgraded.iter();
        let own = own.filter(|(member, _)| member.as_str() == machine.name.as_str());
        let sets = record.programs.iter().chain(own.map(|(_, set)| set));
        // A set that is remembered was known when it was.
        sets.filter_map(|set| self.program_set(*set).ok()).collect()
    }

    /// `spec` with the programs that its members have in the middle of an upgrade.
    pub(crate) fn with_upgraded_members(
        &self,
        mut spec: ClusterSpec,
    ) -> Result<ClusterSpec, BlueprintError> {
        for (member, set) in &self.etcd_record.upgraded {
            let program = self.etcd_program(Some(*set))?;
            spec = spec
                .with_member_program(member, program)
                .map_err(BlueprintError::part("this version of etcd"))?;
        }
        Ok(spec)
    }
}

/// etcd of a version set.
pub(crate) fn etcd_of(kubernetes: Version) -> Result<Wanted, BlueprintError> {
    let versions = VersionSet::unsupported(kubernetes);
    let versions = versions.map_err(BlueprintError::part("this version of Kubernetes"))?;
    let here = Architecture::here().map_err(BlueprintError::part("this processor"))?;
    let mut wanted = Wanted::lab(versions, here);
    wanted.programs = PROGRAMS.to_vec();
    Ok(wanted)
}
