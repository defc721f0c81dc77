//! The reference lab on the host, with namespaces where its machines, the internet and somebody else's network are.

use crate::host::{Holder, Host, Namespace};
use netplan::{
    Family, HostFacts, HostRouter, InterfaceName, KubernetesVersion, LabName, MachineCounts, Net,
    Plan, Policy, Requirement, RouterSpec, V6Mode,
    pf::{Interface, Router, Ruleset},
};
use std::{
    collections::HashMap,
    io::Write as _,
    net::{IpAddr, TcpListener, UdpSocket},
    sync::{Arc, Mutex},
    thread,
};

/// The network of somebody else.
const OTHER: &str = "bridge9";

pub(crate) const TCP: [u16; 4] = [22, 53, 80, 6443];
pub(crate) const UDP: [u16; 3] = [53, 123, 514];

const GUEST: &str = r"
echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter
echo 0 >/proc/sys/net/ipv4/conf/default/rp_filter
echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore
ip link set lo up
echo ready
exec cat
";

/// One machine, or the internet: what it is reached over, and its own addresses.
pub(crate) struct Station {
    pub(crate) namespace: Namespace,
    pub(crate) interface: InterfaceName,
    pub(crate) addresses: Vec<IpAddr>,
    _tap: Option<Holder>,
}

/// Datagrams that have arrived: their sources by what was in them.
pub(crate) type Heard = Arc<Mutex<HashMap<u32, IpAddr>>>;

pub(crate) struct Lab {
    pub(crate) plan: Plan,
    pub(crate) policy: Policy,
    pub(crate) router: Router,
    /// Two of each network; the internet is one only.
    pub(crate) stations: Vec<Station>,
    pub(crate) heard: Heard,
    /// Last, since those who hold its taps give them back.
    pub(crate) host: Host,
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn net(text: &str) -> Net {
    text.parse().expect("a network")
}

fn interface(name: &str) -> InterfaceName {
    InterfaceName::new(name).expect("a name")
}

pub(crate) fn outsiders() -> [IpAddr; 2] {
    ["203.0.113.5", "2001:db8:ffff::5"].map(address)
}

/// The first hosts of two families on each network that is not of the plan.
fn fixed() -> [Interface; 2] {
    let one = |name: &str, addresses: [&str; 2], networks: &[&str]| Interface {
        name: interface(name),
        addresses: addresses.map(address).into(),
        networks: networks.iter().map(|own| net(own)).collect(),
    };
    let outside = ["0.0.0.0/0", "::/0", "192.0.2.0/24", "2001:db8::/64"];
    [
        one("em0", ["192.0.2.2", "2001:db8::2"], &outside),
        one(
            OTHER,
            ["192.168.9.1", "fd99:9::1"],
            &["192.168.9.0/24", "fd99:9::/64"],
        ),
    ]
}

fn requirement(mode: V6Mode) -> Requirement {
    let machines = MachineCounts {
        etcd: 3,
        control_planes: 1,
        workers: 1,
    };
    let lab = LabName::new("lab").expect("a name");
    Requirement {
        router: RouterSpec::Host {
            uplink: interface("em0"),
        },
        v6_mode: mode,
        ..Requirement::reference(lab, 20_261_123, KubernetesVersion::new(37), machines)
    }
}

impl Lab {
    /// The networks are made by the commands that the plan has for them, and pf calls the lab's anchor.
    pub(crate) fn new(mode: V6Mode) -> Self {
        let plan = netplan::plan(&requirement(mode), &HostFacts::default(), None).expect("a plan");
        let host = Host::new();
        for step in HostRouter::of(&plan).expect("a host").freebsd_steps() {
            let words: Vec<&str> = step.argv.iter().map(String::as_str).collect();
            let said = host.run_with(&words, "");
            assert_eq!((said.status, said.err.as_str()), (0, ""), "{words:?}");
        }
        host.ok(&format!("ifconfig bridge create name {OTHER}"));
        host.ok(&format!(
            "ifconfig {OTHER} inet6 -ifdisabled auto_linklocal"
        ));
        host.ok(&format!("ifconfig {OTHER} inet 192.168.9.1/24 up"));
        host.ok(&format!("ifconfig {OTHER} inet6 fd99:9::1/64"));
        let lines = netplan::pf::main_conf_lines().map(|line| format!("{line}\n"));
        std::fs::write(host.etc("pf.conf"), lines.concat()).expect("a file");
        host.ok("pfctl -f /etc/pf.conf");
        assert_eq!(host.run("pfctl -e").err, "pf enabled\n");
        let mut lab = Self {
            policy: Policy::standard(&plan),
            router: router(&plan),
            plan,
            host,
            stations: Vec::new(),
            heard: Heard::default(),
        };
        lab.stations.push(lab.internet());
        for (name, number) in [("etcd-0", 1), ("etcd-1", 2), ("worker-0", 3), ("cp-0", 4)] {
            lab.stations.push(lab.machine(name, number));
        }
        for (last, number) in [("20", 5), ("21", 6)] {
            let own = [format!("192.168.9.{last}"), format!("fd99:9::{last}")];
            let own = own.map(|text| address(&text));
            let gateways = ["192.168.9.1", "fd99:9::1"].map(address);
            lab.stations
                .push(lab.guest(OTHER, number, (&own, &[24, 64]), &gateways));
        }
        for station in &lab.stations {
            lab.listen(&station.namespace);
        }
        lab.listen(&lab.host.namespace);
        lab
    }

    /// Behind the uplink, with a way back to everything.
    fn internet(&self) -> Station {
        let namespace = Namespace::new(GUEST, &[]);
        let pid = namespace.pid();
        let host = &self.host.namespace;
        host.ip(&format!(
            "link add outside type veth peer name eth0 netns {pid}"
        ));
        host.ip("link set outside master em0");
        host.ip("link set outside up");
        namespace.ip("link set eth0 up");
        for own in ["192.0.2.1/24", "2001:db8::1/64"] {
            namespace.ip(&format!("addr add {own} dev eth0"));
        }
        for gateway in ["192.0.2.2", "2001:db8::2"] {
            namespace.ip(&format!("route add default via {gateway}"));
        }
        let addresses = outsiders().to_vec();
        for own in &addresses {
            namespace.ip(&format!("addr add {own} dev lo"));
        }
        Station {
            namespace,
            interface: interface("em0"),
            addresses,
            _tap: None,
        }
    }

    /// A machine of the plan on the last of its networks, and a pod of it if it is a node.
    fn machine(&self, name: &str, number: u32) -> Station {
        let machine = self.plan.machine(name).expect("a machine");
        let nic = machine.nics.last().expect("an interface");
        let network = self.plan.network_of(nic);
        let own: Vec<IpAddr> = nic.address.iter().collect();
        let lengths: Vec<u8> = network.nets.iter().map(|net| net.prefix_len()).collect();
        let gateways: Vec<IpAddr> = network.gateway.iter().collect();
        let mut station = self.guest(network.bridge.as_str(), number, (&own, &lengths), &gateways);
        for pods in machine.pods.iter().flat_map(|pods| pods.iter()) {
            let pod = pods.nth(2).expect("an address of a pod");
            station.namespace.ip(&format!("addr add {pod} dev lo"));
            station.addresses.push(pod);
        }
        station
    }

    fn guest(
        &self,
        bridge: &str,
        number: u32,
        (addresses, lengths): (&[IpAddr], &[u8]),
        gateways: &[IpAddr],
    ) -> Station {
        let namespace = Namespace::new(GUEST, &[]);
        let tap = format!("tap{number}");
        self.host.ok(&format!("ifconfig {tap} create"));
        self.host.ok(&format!("ifconfig {bridge} addm {tap}"));
        let mac = format!("58:9c:fc:00:01:0{number}");
        let held = self.host.hold(&tap, &namespace, "enp0s5", &mac);
        namespace.ip("link set enp0s5 up");
        for (own, length) in addresses.iter().zip(lengths) {
            let nodad = if own.is_ipv6() { " nodad" } else { "" };
            namespace.ip(&format!("addr add {own}/{length} dev enp0s5{nodad}"));
        }
        for gateway in gateways {
            namespace.ip(&format!("route add default via {gateway}"));
        }
        Station {
            namespace,
            interface: interface(bridge),
            addresses: addresses.to_vec(),
            _tap: Some(held),
        }
    }

    /// On all ports: whoever connects is told the address that it has here, and the one that it has reached; datagrams are noted.
    fn listen(&self, namespace: &Namespace) {
        let any = IpAddr::from([0_u16; 8]);
        let (tcp, udp) = namespace.inside(|| {
            let tcp = TCP.map(|port| TcpListener::bind((any, port)).expect("a free port"));
            let udp = UDP.map(|port| UdpSocket::bind((any, port)).expect("a free port"));
            (tcp, udp)
        });
        for listener in tcp {
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.expect("a connection");
                    // One that was reset meanwhile has no peer.
                    if let Ok(peer) = stream.peer_addr() {
                        let own = stream.local_addr().expect("it is bound").ip();
                        let (peer, own) = (peer.ip().to_canonical(), own.to_canonical());
                        let _ = writeln!(stream, "{peer} {own}");
                    }
                }
            });
        }
        for socket in udp {
            let heard = Arc::clone(&self.heard);
            thread::spawn(move || {
                let mut bytes = [0; 4];
                while let Ok((_, from)) = socket.recv_from(&mut bytes) {
                    let number = u32::from_be_bytes(bytes);
                    let mut heard = heard.lock().expect("no panic");
                    heard.insert(number, from.ip().to_canonical());
                }
            });
        }
    }

    /// One more address of the uplink.
    pub(crate) fn add_to_uplink(&mut self, address: IpAddr) {
        self.host
            .ok(&format!("ifconfig em0 inet6 {address}/64 alias"));
        let uplink = self.router.interfaces.iter_mut();
        for own in uplink.filter(|own| own.name.as_str() == "em0") {
            own.addresses.push(address);
        }
    }

    /// Whether one machine reaches another without the host.
    pub(crate) fn is_direct(&self, from: &Station, to: IpAddr) -> bool {
        let pods = self.plan.router_routes.iter();
        let is_pod = pods.map(|route| route.to).any(|net| net.contains(to));
        let over = self.router.route(to).map(|interface| &interface.name);
        over == Some(&from.interface) && !is_pod && !self.router.owns(to)
    }

    /// Loads the rules of a policy as a lab does; what the rules are.
    pub(crate) fn load(&self, policy: &Policy) -> Ruleset {
        let anchor = policy.pf_anchor(&self.plan).expect("an anchor");
        for arguments in [&anchor.check_arguments()[..], &anchor.load_arguments()] {
            let said = self
                .host
                .run_with(&[&["pfctl"], arguments].concat(), &anchor.load);
            assert_eq!(
                (said.out.as_str(), said.err.as_str(), said.status),
                ("", "", 0)
            );
        }
        Ruleset::parse(&anchor.load).expect("rules")
    }

    /// Loads other rules in their place.
    pub(crate) fn load_text(&self, text: &str) -> Ruleset {
        let words = ["pfctl", "-a", "labcluster/lab", "-f", "-"];
        let said = self.host.run_with(&words, text);
        assert_eq!((said.err.as_str(), said.status), ("", 0), "{text}");
        Ruleset::parse(text).expect("rules")
    }
}

fn router(plan: &Plan) -> Router {
    let mut interfaces = fixed().to_vec();
    for network in &plan.networks {
        let nodes = plan.router_routes.iter();
        let nodes = nodes.filter(|route| network.nets.iter().any(|net| net.contains(route.via)));
        interfaces.push(Interface {
            name: network.bridge.clone(),
            addresses: network.gateway.iter().collect(),
            networks: network
                .nets
                .iter()
                .chain(nodes.map(|route| route.to))
                .collect(),
        });
    }
    Router { interfaces }
}

/// The same family.
pub(crate) fn alike(one: IpAddr, other: IpAddr) -> bool {
    Family::of(one) == Family::of(other)
}
