//! The members of the address sets of a plan.

use std::collections::BTreeMap;

use crate::addresses::{Addresses, Nets};
use crate::net::Net;
use crate::plan::Plan;
use crate::policy::{AddressSet, Chain, Source};

/// The sets that the rules name, and the lab's for translation.
pub(crate) fn sets(plan: &Plan, chains: &[Chain]) -> BTreeMap<AddressSet, Vec<Net>> {
    let rules = chains.iter().flat_map(|chain| &chain.rules);
    let named = rules.flat_map(|rule| rule.from.iter().map(Source::set).chain(&rule.to));
    let networks = plan.networks.iter();
    let networks = networks.map(|network| AddressSet::Network(network.name.clone()));
    named
        .cloned()
        .chain(networks)
        .chain([AddressSet::Lab])
        .map(|set| {
            let members = members(plan, &set);
            (set, members)
        })
        .collect()
}

pub(crate) fn members(plan: &Plan, set: &AddressSet) -> Vec<Net> {
    let hosts = |addresses: &mut dyn Iterator<Item = Addresses>| {
        let addresses = addresses.flat_map(Addresses::iter);
        addresses.map(Net::host).collect()
    };
    match set {
        AddressSet::Lab => plan.supernet.iter().collect(),
        AddressSet::Network(name) => {
            let network = plan.network(name.as_str());
            let pods = plan.kubernetes.as_ref();
            let pods = pods.filter(|kubernetes| kubernetes.network == *name);
            let nets = network.map(|network| network.nets).into_iter();
            let nets = nets.chain(pods.map(|kubernetes| kubernetes.pods));
            nets.flat_map(Nets::iter).collect()
        }
        AddressSet::Members(role, network) => hosts(&mut plan.addresses(*role, network.as_str())),
        AddressSet::Administration => {
            let link = plan.link.iter().map(|link| link.host);
            let gateways = plan.networks.iter().map(|network| network.gateway);
            hosts(&mut link.chain(gateways))
        }
    }
}
