//! The machines of a lab as bhyve VMs on a FreeBSD host, as `bhyve-vm` wants them told.

use super::{Blueprint, BlueprintError, both, host_name};
use crate::{BhyveSpec, bhyve::Stock};
use bhyve_vm::{
    Console, Derived, Disk, Firmware, HostPath, InvalidValue, LabMark, Nic, RestartPolicy,
    RootVolume, SectorSizes, StopPolicy, TapName, VmName, VmSpec,
    fleet::{Anchor, Fleet, FleetVm, HostChange, HostEffect},
    seed::{NtpClient, Seed, SeedImage, User},
};
use host_exec::HostName;
use netplan::{Effect, HostRouter, HostStep, LabName, Machine, Role};
use std::{collections::BTreeSet, net::IpAddr};

/// The serial number of the disk with the guest's system.
const ROOT_SERIAL: &str = "root";
/// The serial number of the disk with the programs.
const PROGRAMS_SERIAL: &str = "lab-programs";
/// Below are the numbers that people give.
const FIRST_BRIDGE: u16 = 1000;
/// As many as there are ports for tunnels.
const BRIDGES: u16 = 10_000;
/// Debian's part of the NTP Pool; guests reach it through the host's NAT.
const NTP_SERVER: &str = "2.debian.pool.ntp.org";
/// How long a member of etcd may take to shut down: it has to hand over and to write, no pods to end.
const ETCD_GRACE_S: u32 = 60;

impl Blueprint {
    /// The VMs of the lab, and what of the host they stand on.
    pub(crate) fn fleet(&self, bhyve: &BhyveSpec, stock: &Stock) -> Result<Fleet, BlueprintError> {
        let mark: LabMark = part("the name of the lab", self.spec.name.as_str().parse())?;
        let directory = part("the dataset", bhyve.directory())?;
        let mut fleet = Fleet {
            lab: mark,
            dataset: bhyve.dataset.clone(),
            directory,
            base: stock.base(&bhyve.dataset)?,
            shared: vec![stock.programs.clone()],
            vms: Vec::new(),
            network: self.host_changes()?,
            firewall: Some(self.anchor()?),
            release: self.freebsd().release,
        };
        let mut taps = BTreeSet::new();
        for machine in &self.network.machines {
            let vm = self.vm(bhyve, machine, &fleet, stock, &mut taps)?;
            fleet.vms.push(vm);
        }
        part("this set of VMs", fleet.check())?;
        Ok(fleet)
    }

    /// The name of a machine's VM.
    pub(crate) fn vm_name(&self, machine: &HostName) -> Result<VmName, BlueprintError> {
        part(
            "the name of a VM",
            vm_name(&self.spec.name, machine.as_str()),
        )
    }

    fn vm(
        &self,
        bhyve: &BhyveSpec,
        machine: &Machine,
        fleet: &Fleet,
        stock: &Stock,
        taps: &mut BTreeSet<TapName>,
    ) -> Result<FleetVm, BlueprintError> {
        let size = bhyve.size(machine.role);
        let name = self.vm_name(&host_name(machine))?;
        let dataset = part("a volume", fleet.root_dataset(&name))?;
        let directory = part("a directory", fleet.vm_directory(&name))?;
        let file = |file: &str| part("a file", format!("{directory}/{file}").parse::<HostPath>());
        let derived = Derived::new(self.spec.name.as_str(), &name);
        let programs = part("a shared file", stock.programs.path(&fleet.directory))?;
        let spec = VmSpec {
            uuid: derived.uuid(),
            cpus: size.topology(),
            memory_mib: size.memory_mib,
            firmware: Firmware {
                code: literal(Firmware::EDK2_CODE),
                vars_template: literal(Firmware::EDK2_VARS),
                vars: file("vars.fd")?,
            },
            disks: vec![
                disk(dataset.device(), ROOT_SERIAL, false)?,
                disk(programs, PROGRAMS_SERIAL, true)?,
            ],
            nics: self.nics(machine, &derived, taps)?,
            seed: Some(file("seed.img")?),
            consoles: vec![Console::Nmdm],
            random: true,
            restart: RestartPolicy::default(),
            stop: stop_policy(machine.role),
            start_order: 0,
            extra: Default::default(),
            name,
        };
        Ok(FleetVm {
            spec: part("the slots of a VM", spec.with_slots())?,
            root: RootVolume {
                image: fleet.base.volume.dataset().clone(),
                dataset,
                size_mib: size.disk_mib(),
            },
            seed: Some(self.seed(machine, stock)?),
        })
    }

    fn nics(
        &self,
        machine: &Machine,
        derived: &Derived,
        taps: &mut BTreeSet<TapName>,
    ) -> Result<Vec<Nic>, BlueprintError> {
        let mut nics = Vec::new();
        for (index, nic) in machine.nics.iter().enumerate() {
            let bridge = self.network.network_of(nic).bridge.as_str();
            let tap = derived.tap(index, taps).ok_or(BlueprintError::NoTap)?;
            taps.insert(tap.clone());
            nics.push(Nic {
                mac: part("a MAC address", nic.mac.to_string().parse())?,
                tap,
                bridge: part("a bridge", bridge.parse())?,
                slot: None,
            });
        }
        Ok(nics)
    }

    fn seed(&self, machine: &Machine, stock: &Stock) -> Result<SeedImage, BlueprintError> {
        let name = host_name(machine);
        let resolvers = &self.facts.network.resolvers;
        let network = netplan::network_config_v2(&self.network, machine, resolvers);
        let key = stock.keys.guests.get(&name).cloned();
        let key = key.expect("keys are made and read for every machine of the plan");
        let network = part("the network of a guest", network.parse())?;
        let mut seed = Seed::new(name, key, network);
        seed.users.push(User::root(stock.keys.client.clone()));
        seed.ntp_client = NtpClient::Chrony;
        seed.ntp_servers
            .push(part("a time server", NTP_SERVER.parse())?);
        Ok(part("the seed of a guest", seed.files())?.image())
    }

    fn host_changes(&self) -> Result<Vec<HostChange>, BlueprintError> {
        let router = HostRouter::of(&self.network).expect("the router of VMs is their host");
        router.freebsd_steps().into_iter().map(change).collect()
    }

    /// The lines for the host's rc.conf by which its part of the network is there again after a reboot, before the next
    /// `up`; none for a lab of namespaces. Nobody writes them but a person.
    pub fn rc_conf(&self) -> Vec<String> {
        let Some(router) = HostRouter::of(&self.network) else {
            return Vec::new();
        };
        // Bridges have numbers until they are renamed; those of two labs should differ.
        let first_bridge = FIRST_BRIDGE + self.tunnel().0.port() % BRIDGES;
        let mut lines: Vec<String> = router
            .rc_conf(first_bridge)
            .iter()
            .map(ToString::to_string)
            .collect();
        // Without the lab's mark the next `up` would take the bridge for somebody else's.
        let marks = self.network.networks.iter().map(|network| {
            let variable = network.bridge.as_str().replace(['-', '.'], "_");
            format!("ifconfig_{variable}_descr=\"lab:{}\"", self.spec.name)
        });
        lines.extend(marks);
        lines
    }

    fn anchor(&self) -> Result<Anchor, BlueprintError> {
        let anchor = self.policy.pf_anchor(&self.network);
        let anchor = part("this firewall as an anchor of pf", anchor)?;
        Ok(Anchor {
            name: part("the name of the anchor", anchor.anchor.parse())?,
            rules: anchor.load,
            lines: netplan::pf::main_conf_lines().map(str::to_owned).to_vec(),
        })
    }

    /// The address of a machine at which its host reaches it.
    pub(crate) fn ssh_address(&self, machine: &Machine) -> IpAddr {
        let main = machine
            .main_address()
            .expect("a planned machine has a main network");
        both(main).0.into()
    }
}

fn disk(path: HostPath, serial: &str, read_only: bool) -> Result<Disk, BlueprintError> {
    Ok(Disk {
        path,
        serial: part("the serial of a disk", serial.parse())?,
        sectors: SectorSizes::default(),
        read_only,
        slot: None,
    })
}

/// The name of a machine's VM, which has to be one of its kind on the host.
pub(crate) fn vm_name(lab: &LabName, machine: &str) -> Result<VmName, InvalidValue> {
    format!("{lab}-{machine}").parse()
}

fn stop_policy(role: Role) -> StopPolicy {
    match role {
        Role::Etcd => StopPolicy {
            grace_s: ETCD_GRACE_S,
            ..StopPolicy::default()
        },
        _ => StopPolicy::default(),
    }
}

fn change(step: HostStep) -> Result<HostChange, BlueprintError> {
    let interface = |name: &netplan::InterfaceName| part("a bridge", name.as_str().parse());
    let effect = match &step.effect {
        Effect::Interface(name) => HostEffect::Interface(interface(name)?),
        Effect::Up(name) => HostEffect::Up(interface(name)?),
        Effect::Properties(name) => HostEffect::Properties(interface(name)?),
        Effect::Address {
            interface: name,
            address,
            prefix_len,
        } => HostEffect::Address {
            interface: interface(name)?,
            address: part("an address", ipnet::IpNet::new(*address, *prefix_len))?,
        },
        Effect::Route(route) => HostEffect::Route {
            to: route.to.as_ipnet(),
            via: route.via,
        },
        Effect::Setting(setting) => HostEffect::Setting {
            name: setting.name.clone(),
            value: setting.value.to_owned(),
        },
        _ => return Err(BlueprintError::UnknownEffect { argv: step.argv }),
    };
    Ok(HostChange {
        what: step.why.to_owned(),
        argv: step.argv,
        undo: step.undo,
        effect,
    })
}

fn part<T, E: std::error::Error + Send + Sync + 'static>(
    what: &'static str,
    result: Result<T, E>,
) -> Result<T, BlueprintError> {
    result.map_err(BlueprintError::part(what))
}

fn literal(path: &str) -> HostPath {
    path.parse().expect("a literal that is a path")
}
