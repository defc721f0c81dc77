//! The machines of a plan: names, interfaces and addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::addresses::Addresses;
use crate::hash::stable_hash;
use crate::host_pool::HostPool;
use crate::lock::Lock;
use crate::names::{ClassName, InterfaceName, Mac, MachineName, NetworkName};
use crate::net::{Family, Net, bits_of};
use crate::plan::numbers::{host_number, host_offset};
use crate::plan::{Class, Gone, Machine, Network, Nic, PlanError};
use crate::pool::{ClaimError, Pool};
use crate::requirement::{Requirement, RouterSpec};

/// All machines with their addresses, without pods.
pub(crate) struct Machines<'a> {
    pub(crate) requirement: &'a Requirement,
    pub(crate) seed: u64,
    pub(crate) networks: &'a [Network],
    pub(crate) classes: &'a [Class],
    pub(crate) lock: Option<&'a Lock>,
}

/// A machine on its way, with the addresses that it has so far.
struct Place<'a> {
    class: &'a Class,
    /// Where its addresses come from.
    sources: &'a [Source],
    index: u32,
    name: MachineName,
    /// By the class's networks.
    addresses: Vec<Addresses>,
}

/// One segment that the machines of a class have an address in.
#[derive(Clone, Copy)]
struct Source {
    /// The position of its network in the class's list.
    nic: usize,
    /// Its own position.
    segment: usize,
}

/// The addresses of one network and family.
struct Segment<'a> {
    network: &'a Network,
    pool: Pool,
    /// Claimed for machines that are no longer asked for, with the names in the lock.
    gone: BTreeMap<Net, String>,
}

/// How far the bands of classes were searched for numbers that are free in some segments. While
/// machines get theirs nothing is given back, so what was passed over once never has to be looked
/// at again, and all searches together are linear.
#[derive(Default)]
struct Searched<'a>(BTreeMap<(&'a ClassName, Vec<usize>, Holding), u32>);

/// Whether addresses that are kept for machines that are gone count as free.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Holding {
    Kept,
    GivenUp,
}

impl<'a> Machines<'a> {
    /// The machines, and what the lock keeps of addresses for those that are no longer asked for.
    pub(crate) fn place(&self) -> Result<(Vec<Machine>, Gone), PlanError> {
        let mut segments = self.segments();
        let sources: Vec<Vec<Source>> = self
            .classes
            .iter()
            .map(|class| sources(class, &segments))
            .collect();
        let mut places = self.names(&sources);
        if let Some(lock) = self.lock {
            for place in &mut places {
                place.claim_locked(lock, &mut segments)?;
            }
            for place in &mut places {
                place.claim_returning(lock, &mut segments);
            }
            let names: BTreeMap<&str, &Class> = places
                .iter()
                .map(|place| (place.name.as_str(), place.class))
                .collect();
            for segment in &mut segments {
                segment.keep_gone(lock, &names);
            }
        }
        let mut searched = Searched::default();
        for place in &mut places {
            place.number(&mut segments, &mut searched)?;
        }
        let gone = segments.into_iter().flat_map(|segment| segment.gone);
        let gone = gone.map(|(net, id)| (id, net)).collect();
        Ok((self.finish(places), gone))
    }

    fn names<'s>(&'s self, sources: &'s [Vec<Source>]) -> Vec<Place<'s>> {
        let specs = self.requirement.classes.iter();
        let classes = self.classes.iter().zip(sources).zip(specs);
        let places = classes.flat_map(|((class, sources), spec)| {
            (0..spec.count).map(move |index| Place {
                class,
                sources,
                index,
                name: MachineName::new(format!("{}-{index}", class.name))
                    .expect("a class name and a number are a host name"),
                addresses: vec![Addresses::default(); class.networks.len()],
            })
        });
        places.collect()
    }

    fn segments(&self) -> Vec<Segment<'a>> {
        let each = self.networks.iter().flat_map(|network| {
            network.nets.iter().map(move |net| {
                let mut pool = HostPool::new(net);
                let gateway = network.gateway.of(net.family());
                pool.claim(gateway.expect("a gateway of each family of its network"))
                    .expect("a gateway is the first host address");
                Segment {
                    network,
                    pool: pool.into_pool(),
                    gone: BTreeMap::new(),
                }
            })
        });
        each.collect()
    }

    fn finish(&self, places: Vec<Place<'_>>) -> Vec<Machine> {
        let (mut macs, mut ports) = (BTreeSet::new(), BTreeSet::new());
        let machine = |place: Place<'_>| {
            let nics = place.class.networks.iter().zip(place.addresses);
            let nics = nics.map(|(network, address)| Nic {
                network: network.clone(),
                name: InterfaceName::composed(format!("{network}0")),
                port: unused_port(&mut ports, self.port(&place.name, network)),
                mac: unused_mac(&mut macs, self.seed, address),
                address,
                default_route: *network == place.class.default_route,
            });
            Machine {
                nics: nics.collect(),
                name: place.name,
                class: place.class.name.clone(),
                role: place.class.role,
                pods: None,
            }
        };
        places.into_iter().map(machine).collect()
    }

    /// Unique in the router's namespace, or on a host that carries other labs too.
    fn port(&self, machine: &MachineName, network: &NetworkName) -> InterfaceName {
        match self.requirement.router {
            RouterSpec::Namespace => InterfaceName::fitted(&format!("{machine}-{network}")),
            RouterSpec::Host { .. } => {
                InterfaceName::of_machine(&self.requirement.lab, machine, network)
            }
        }
    }
}

impl Segment<'_> {
    fn net(&self) -> Net {
        self.pool.net()
    }

    fn family(&self) -> Family {
        self.net().family()
    }

    /// Holds the addresses of machines that are no longer asked for on this network.
    fn keep_gone(&mut self, lock: &Lock, names: &BTreeMap<&str, &Class>) {
        let prefix = format!("address/{}/", self.network.name);
        for (id, net) in lock.kept_below(&prefix, self.family()) {
            let class = names.get(&id[prefix.len()..]);
            let is_wanted = class.is_some_and(|class| class.networks.contains(&self.network.name));
            if !is_wanted && self.pool.claim(net).is_ok() {
                self.gone.insert(net, id.to_owned());
            }
        }
    }

    /// The address with this host number.
    fn address(&self, number: u32) -> Option<IpAddr> {
        self.net().nth(host_offset(number, self.family()))
    }

    fn is_free(&self, number: u32, holding: Holding) -> bool {
        let Some(net) = self.address(number).map(Net::host) else {
            return false;
        };
        self.pool.is_free(net) || (holding == Holding::GivenUp && self.gone.contains_key(&net))
    }

    fn claim(&mut self, number: u32) -> IpAddr {
        let address = self.address(number).expect("a number that is free here");
        let net = Net::host(address);
        if self.gone.remove(&net).is_none() {
            self.pool.claim(net).expect("a number that is free here");
        }
        address
    }
}

impl<'a> Searched<'a> {
    /// The lowest number of the class's band that is free in all segments.
    fn lowest(
        &mut self,
        class: &'a Class,
        segments: &[&Segment<'_>],
        lacking: &[Source],
        holding: Holding,
    ) -> Option<u32> {
        let at = lacking.iter().map(|source| source.segment).collect();
        let next = self.0.entry((&class.name, at, holding));
        let next = next.or_insert(class.band.first);
        let found = (*next..class.band.end()).find(|number| free_in(segments, *number, holding));
        *next = found.unwrap_or(class.band.end());
        found
    }
}

fn free_in(segments: &[&Segment<'_>], number: u32, holding: Holding) -> bool {
    let mut segments = segments.iter();
    segments.all(|segment| segment.is_free(number, holding))
}

impl<'a> Place<'a> {
    /// Claims what the lock says about this machine.
    fn claim_locked(&mut self, lock: &Lock, segments: &mut [Segment<'_>]) -> Result<(), PlanError> {
        for source in self.sources {
            let segment = &mut segments[source.segment];
            let id = self.address_id(*source);
            let Some(net) = lock.net(&id, segment.family()) else {
                continue;
            };
            let conflict = match segment.pool.claim(net) {
                Ok(()) if net.prefix_len() == net.family().bits() => {
                    self.addresses[source.nic].insert(net.address());
                    continue;
                }
                Ok(()) => "which is no single address".to_owned(),
                Err(ClaimError::Outside { pool, .. }) => format!("which is not in {pool}"),
                Err(ClaimError::Taken { taken, .. }) => {
                    format!("which overlaps {taken}, another machine's or reserved")
                }
            };
            return Err(PlanError::BadLock { id, net, conflict });
        }
        Ok(())
    }

    /// Gives a machine that was gone the addresses that it had, where they are still free.
    fn claim_returning(&mut self, lock: &Lock, segments: &mut [Segment<'_>]) {
        for source in self.sources {
            let segment = &mut segments[source.segment];
            let lacking = self.addresses[source.nic].of(segment.family()).is_none();
            let had = lock.gone_net(&self.address_id(*source), segment.family());
            let single = had.filter(|net| lacking && net.prefix_len() == net.family().bits());
            if let Some(net) = single
                && segment.pool.claim(net).is_ok()
            {
                self.addresses[source.nic].insert(net.address());
            }
        }
    }

    fn address_id(&self, source: Source) -> String {
        format!("address/{}/{}", self.class.networks[source.nic], self.name)
    }

    /// Gives a machine the addresses that it lacks: with the number that it has elsewhere, else
    /// with its own in the band of its class, else with the lowest that is free there; and only
    /// when there is none, with one that is kept for a machine that is gone.
    fn number(
        &mut self,
        segments: &mut [Segment<'_>],
        searched: &mut Searched<'a>,
    ) -> Result<(), PlanError> {
        let (mut known, mut lacking) = (None, Vec::new());
        for source in self.sources {
            let segment = &segments[source.segment];
            match self.addresses[source.nic].of(segment.family()) {
                Some(address) => known = known.or(host_number(segment.net(), address)),
                None => lacking.push(*source),
            }
        }
        if lacking.is_empty() {
            return Ok(());
        }
        let here: Vec<&Segment<'_>> = lacking.iter().map(|own| &segments[own.segment]).collect();
        let own = self.class.band.first.saturating_add(self.index);
        let mut preferred = known.into_iter().chain([own]);
        let mut lowest = |holding| searched.lowest(self.class, &here, &lacking, holding);
        let number = preferred
            .find(|number| free_in(&here, *number, Holding::Kept))
            .or_else(|| lowest(Holding::Kept))
            .or_else(|| lowest(Holding::GivenUp))
            .ok_or_else(|| self.no_number())?;
        for source in lacking {
            let address = segments[source.segment].claim(number);
            self.addresses[source.nic].insert(address);
        }
        Ok(())
    }

    fn no_number(&self) -> PlanError {
        let band = self.class.band;
        PlanError::NoNumber {
            class: self.class.name.to_string(),
            first: band.first,
            last: band.end() - 1,
            machine: self.name.to_string(),
        }
    }
}

fn sources(class: &Class, segments: &[Segment<'_>]) -> Vec<Source> {
    let nics = class.networks.iter().enumerate();
    let all = nics.flat_map(|(nic, network)| {
        let own = segments.iter().enumerate();
        own.filter(move |(_, segment)| segment.network.name == *network)
            .map(move |(segment, _)| Source { nic, segment })
    });
    all.collect()
}

/// What the lock keeps inside of networks and ranges that are gone themselves, and whose places
/// are still kept: addresses of machines, and pods of nodes.
pub(crate) fn gone_inside(lock: &Lock, gone_networks: &[(String, Net)]) -> Gone {
    let mut gone = Vec::new();
    for (id, net) in gone_networks {
        let prefix = match id.strip_prefix("network/") {
            Some(name) => format!("address/{name}/"),
            None if id == "range/pods" => "pods/".to_owned(),
            None => continue,
        };
        let kept = lock.kept_below(&prefix, net.family());
        let inside = kept.filter(|(_, address)| net.covers(*address));
        gone.extend(inside.map(|(id, address)| (id.to_owned(), address)));
    }
    gone
}

/// Names that are cut end in a hash; of two that meet the second gets another.
fn unused_port(used: &mut BTreeSet<InterfaceName>, wanted: InterfaceName) -> InterfaceName {
    let mut port = wanted.clone();
    let mut attempt = 0_u64;
    while !used.insert(port.clone()) {
        attempt += 1;
        port = wanted.another(attempt);
    }
    port
}

/// A MAC address made from the seed and the machine's own address, which the lock keeps.
fn unused_mac(used: &mut BTreeSet<Mac>, seed: u64, address: Addresses) -> Mac {
    let address = address.iter().next().map_or(0, bits_of);
    let mut attempt = 0_u64;
    loop {
        let mac = Mac::from_hash(stable_hash(&[
            b"mac",
            &seed.to_le_bytes(),
            &address.to_le_bytes(),
            &attempt.to_le_bytes(),
        ]));
        if used.insert(mac) {
            return mac;
        }
        attempt += 1;
    }
}
