//! A policy as the anchor of a host that is the router itself.

mod shape;
mod statements;

use shape::{Between, Shapes};

use super::anchor::{PfAnchor, PfError};
use super::ast::{Action, Address, Direction, Filter, Hosts, List, On, Ruleset, Statement, Table};
use super::names::{Label, TableName, Tag};
use crate::names::{InterfaceName, NetworkName};
use crate::plan::{Network, Plan};
use crate::policy::{AddressSet, Policy};
use crate::requirement::RouterSpec;

impl Policy {
    /// The anchor of this lab on a FreeBSD host that is its router. `plan` is the one that the
    /// policy was made from.
    ///
    /// ```
    /// use netplan::{
    ///     HostFacts, InterfaceName, KubernetesVersion, LabName, MachineCounts, Policy, Requirement,
    ///     RouterSpec, plan,
    /// };
    ///
    /// let (lab, version) = (LabName::new("demo")?, KubernetesVersion::new(37));
    /// let mut requirement = Requirement::reference(lab, 7, version, MachineCounts::default());
    /// requirement.router = RouterSpec::Host { uplink: InterfaceName::new("em0")? };
    /// let plan = plan(&requirement, &HostFacts::default(), None)?;
    /// let anchor = Policy::standard(&plan).pf_anchor(&plan)?;
    /// assert_eq!(anchor.load_arguments(), ["-a", "labcluster/demo", "-f", "-"]);
    /// assert!(anchor.load.contains("nat on em0 inet from <lab> to ! <lab> -> (em0:0)\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the router is a namespace, or when the policy has rules for the router that are not
    /// of [`Policy::standard`] or [`Policy::with_api_on_uplink`].
    pub fn pf_anchor(&self, plan: &Plan) -> Result<PfAnchor, PfError> {
        let rules = self.pf_rules(plan)?;
        Ok(PfAnchor::new(&plan.lab, &rules))
    }

    /// The rules of [`Policy::pf_anchor`] as data.
    ///
    /// The order counts: translation before filtering, and with `quick` the first match decides.
    /// What leaves is recognised by a tag, not by its address, so translation does not matter.
    ///
    /// # Errors
    /// Those of [`Policy::pf_anchor`].
    pub fn pf_rules(&self, plan: &Plan) -> Result<Ruleset, PfError> {
        let RouterSpec::Host { uplink } = &plan.router else {
            let lab = plan.lab.clone();
            return Err(PfError::Namespace { lab });
        };
        let bridges = plan.networks.iter().map(|network| &network.bridge);
        for interface in bridges.chain([uplink]) {
            if GROUPS.contains(&interface.as_str()) {
                let interface = interface.clone();
                return Err(PfError::Group { interface });
            }
        }
        let emitter = Emitter {
            policy: self,
            plan,
            uplink,
            shapes: Shapes::of(self)?,
            tag: Tag::fitted(&format!("LAB_{}", plan.lab))?,
            api_tag: Tag::fitted(&format!("LAB_{}_api", plan.lab))?,
        };
        let mut statements = emitter.tables()?;
        statements.extend(emitter.translations()?);
        statements.extend(emitter.filters()?.into_iter().map(Statement::Filter));
        Ok(Ruleset::new(statements))
    }
}

struct Emitter<'a> {
    policy: &'a Policy,
    plan: &'a Plan,
    uplink: &'a InterfaceName,
    shapes: Shapes<'a>,
    /// The mark of what guests send out.
    tag: Tag,
    /// The mark of what comes in for the API.
    api_tag: Tag,
}

impl Emitter<'_> {
    fn table_name(set: &AddressSet) -> Result<TableName, PfError> {
        Ok(TableName::fitted(&set.to_string())?)
    }

    fn in_set(set: &AddressSet) -> Result<Hosts, PfError> {
        Ok(Hosts::In(Address::Table(Self::table_name(set)?)))
    }

    fn in_network(name: &NetworkName) -> Result<Hosts, PfError> {
        Self::in_set(&AddressSet::Network(name.clone()))
    }

    fn label(&self, rule: &str) -> Result<Option<Label>, PfError> {
        Ok(Some(Label::fitted(&format!("{}:{rule}", self.plan.lab))?))
    }

    fn network(&self, name: &NetworkName) -> Result<&Network, PfError> {
        let lab = &self.plan.lab;
        self.plan
            .network(name.as_str())
            .ok_or_else(|| PfError::Plan {
                name: name.to_string(),
                lab: lab.clone(),
            })
    }

    fn bridge(&self, name: &NetworkName) -> Result<On, PfError> {
        Ok(On::OneOf(List::one(self.network(name)?.bridge.clone())))
    }

    /// All bridges.
    fn bridges(&self) -> Result<On, PfError> {
        let networks = self.plan.networks.iter();
        self.one_of(networks.map(|network| network.bridge.clone()).collect())
    }

    /// One of these. Of none at all would be said by a rule without `on`, for every interface.
    fn one_of(&self, interfaces: Vec<InterfaceName>) -> Result<On, PfError> {
        let list = List::new(interfaces).ok_or_else(|| PfError::Plan {
            name: "a network".to_owned(),
            lab: self.plan.lab.clone(),
        })?;
        Ok(On::OneOf(list))
    }

    fn on_uplink(&self) -> Option<On> {
        Some(On::OneOf(List::one(self.uplink.clone())))
    }

    /// The tables that the rules name.
    fn tables(&self) -> Result<Vec<Statement>, PfError> {
        let networks = self.plan.networks.iter();
        let networks = networks.map(|network| AddressSet::Network(network.name.clone()));
        let exposed = self.shapes.exposed.iter().map(|exposed| exposed.to.clone());
        let sets = [AddressSet::Lab].into_iter().chain(networks).chain(exposed);
        let mut tables = Vec::new();
        for set in sets {
            let members = self.policy.sets.get(&set).cloned().unwrap_or_default();
            tables.push(Table {
                name: Self::table_name(&set)?,
                constant: true,
                members,
            });
        }
        tables.push(Table {
            name: TableName::new(MANY)?,
            constant: true,
            members: self.to_many(),
        });
        Ok(tables.into_iter().map(Statement::Table).collect())
    }
}

/// Groups that FreeBSD puts interfaces in by itself: all, and those of one driver (ifconfig(8),
/// group); and pf's own word for all addresses. `on tap` means every tap.
const GROUPS: [&str; 17] = [
    "all", "bridge", "enc", "epair", "gif", "gre", "lagg", "lo", "pflog", "pfsync", "self", "tap",
    "tun", "vlan", "vmnet", "vxlan", "wg",
];

/// The table of addresses that reach more than one machine, this one among them.
const MANY: &str = "many";
