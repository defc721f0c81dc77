//! The files of machines as the programs take them that they are for. `./lab prerequisites` gets
//! the programs that no Debian system should have installed, see `netplan/tests/guest-tools`.

#![expect(
    clippy::disallowed_methods,
    reason = "host-exec is not a dependency of this crate"
)]

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use netplan::{Family, Machine, Plan, network_config_v2, networkd_files};
use serde_json::Value;

use crate::guest::{default_gateway, nameservers, plans_for_guests, samples};

/// A new empty folder of this name.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if path.exists() {
        fs::remove_dir_all(&path).expect("an old folder of this test");
    }
    fs::create_dir_all(&path).expect("a folder");
    path
}

fn guest_tool(name: &str, arguments: &[&str]) -> Output {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("guest-tools")
        .join(name);
    let output = Command::new(&program).args(arguments).output();
    output.unwrap_or_else(|error| {
        let program = program.display();
        panic!("{program}: {error}; netplan/tests/guest-tools DIR makes the folder")
    })
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[track_caller]
fn success(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{error}");
    text.into_owned()
}

/// All files below a folder, one after the other.
fn all_text(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            text += &all_text(&path);
        } else if path.is_file() {
            text += &fs::read_to_string(&path).expect("a text");
            text.push('\n');
        }
    }
    text
}

fn each_sample(mut check: impl FnMut(&Plan, &Machine, &str)) {
    for (case, plan) in plans_for_guests() {
        for machine in samples(&plan) {
            check(&plan, machine, &format!("{case}-{}", machine.name));
        }
    }
}

#[test]
#[ignore = "needs cloud-init and root"]
fn cloud_init_finds_no_fault_in_network_config() {
    let folder = folder("network-config-schema");
    let file = folder.join("network-config");
    let schema = |text: &str| {
        fs::write(&file, text).expect("a file");
        let arguments = ["schema", "--schema-type", "network-config", "--config-file"];
        guest_tool("cloud-init", &[&arguments[..], &[path(&file)]].concat())
    };
    each_sample(|plan, machine, _| {
        let text = network_config_v2(plan, machine, &nameservers(plan, machine));
        success(&schema(&text));
    });
    let plan = &plans_for_guests()["reference"];
    let misspelt =
        network_config_v2(plan, &plan.machines[0], &[]).replace("macaddress", "macadress");
    assert!(
        !schema(&misspelt).status.success(),
        "it finds no fault at all"
    );
}

/// A renderer of cloud-init, a distribution that has it, and how it writes a default route of each
/// family.
type Renderer = (&'static str, &'static str, [&'static str; 2]);

const RENDERERS: [Renderer; 5] = [
    (
        "networkd",
        "debian",
        [
            "Destination=0.0.0.0/0\nGateway=VIA\n",
            "Destination=::/0\nGateway=VIA\n",
        ],
    ),
    (
        "eni",
        "debian",
        [
            "post-up route add default gw VIA ",
            "post-up route add -A inet6 default gw VIA ",
        ],
    ),
    ("netplan", "ubuntu", ["to: 0.0.0.0/0\n", "to: ::/0\n"]),
    (
        "sysconfig",
        "rhel",
        ["\nGATEWAY=VIA\n", "\nIPV6_DEFAULTGW=VIA\n"],
    ),
    (
        "network-manager",
        "rhel",
        ["=0.0.0.0/0,VIA\n", "=::/0,VIA\n"],
    ),
];

/// All that a renderer makes of a file for a machine.
fn rendered(machine: &Machine, file: &Path, folder: &Path, renderer: &Renderer) -> String {
    let (name, distribution, _) = *renderer;
    let output = folder.join(name);
    let mut arguments = vec!["devel", "net-convert", "--kind", "yaml"];
    arguments.extend(["--network-data", path(file), "--directory", path(&output)]);
    arguments.extend(["--distro", distribution, "--output-kind", name]);
    let macs = machine.nics.iter();
    let macs: Vec<_> = macs
        .map(|nic| format!("{},{}", nic.name, nic.mac))
        .collect();
    arguments.extend(macs.iter().flat_map(|mac| ["--mac", mac.as_str()]));
    success(&guest_tool("cloud-init", &arguments));
    all_text(&output)
}

fn check_rendered(plan: &Plan, machine: &Machine, text: &str, (name, _, lines): &Renderer) {
    for address in machine.nics.iter().flat_map(|nic| nic.address.iter()) {
        assert!(text.contains(&address.to_string()), "{address} in\n{text}");
    }
    for (family, line) in Family::BOTH.into_iter().zip(lines) {
        let gateway = default_gateway(plan, machine, family);
        let count = |line: &str| text.matches(line).count();
        let general = line.split("VIA").next().expect("a first part");
        let expected = usize::from(gateway.is_some());
        assert_eq!(count(general), expected, "{name}: {general:?} in\n{text}");
        let line = line.replace("VIA", &gateway.map_or(String::new(), |via| via.to_string()));
        assert_eq!(count(&line), expected, "{name}: {line:?} in\n{text}");
    }
}

#[test]
#[ignore = "needs cloud-init and root"]
fn every_renderer_of_cloud_init_writes_one_default_route_of_each_family() {
    let (mut done, kinds) = (0, ["cp-0", "db-0", "odd-0", "lone-0"]);
    each_sample(|plan, machine, name| {
        // The program is slow: one machine on two networks, one on three, and one of each family
        // alone for its default route.
        if !kinds.contains(&machine.name.as_str()) {
            return;
        }
        done += 1;
        let folder = folder(&format!("net-convert-{name}"));
        let file = folder.join("network-config");
        let config = network_config_v2(plan, machine, &nameservers(plan, machine));
        fs::write(&file, config).expect("a file");
        // At the same time, as far as there are cores.
        thread::scope(|scope| {
            for renderer in &RENDERERS {
                let (folder, file) = (&folder, &file);
                scope.spawn(move || {
                    let text = rendered(machine, file, folder, renderer);
                    check_rendered(plan, machine, &text, renderer);
                });
            }
        });
    });
    assert_eq!(done, kinds.len());
}

/// The values of these keys, sorted: what a file for networkd comes to.
fn values(text: &str, keys: &[&str]) -> BTreeSet<String> {
    let wanted = |line: &&str| keys.iter().any(|key| line.starts_with(key));
    text.lines().filter(wanted).map(str::to_owned).collect()
}

/// Canonical's Netplan makes of our network-config the same files for networkd that we make, as
/// far as it can say the same.
#[test]
#[ignore = "needs netplan"]
fn netplan_agrees_with_our_files_for_networkd() {
    each_sample(|plan, machine, name| {
        let folder = folder(&format!("netplan-{name}"));
        let nameservers = nameservers(plan, machine);
        let config = network_config_v2(plan, machine, &nameservers);
        let indented: String = config.lines().map(|line| format!("  {line}\n")).collect();
        fs::create_dir_all(folder.join("etc/netplan")).expect("a folder");
        let file = folder.join("etc/netplan/50-cloud-init.yaml");
        fs::write(&file, format!("network:\n{indented}")).expect("a file");
        let output = guest_tool("netplan-generate", &["--root-dir", path(&folder)]);
        success(&output);
        for file in networkd_files(plan, machine, &nameservers) {
            let name = file.name.replace("10-", "10-netplan-");
            let path = folder.join("run/systemd/network").join(name);
            let theirs = fs::read_to_string(path).expect("a file of netplan");
            let default_routes = file.text.replace("[Network]", "");
            let keys: &[&str] = if file.name.ends_with(".link") {
                &["PermanentMACAddress=", "Name="]
            } else {
                &[
                    "Name=",
                    "Address=",
                    "Gateway=",
                    "DNS=",
                    "IPv6AcceptRA=",
                    "RequiredForOnline=no",
                ]
            };
            assert_eq!(values(&theirs, keys), values(&default_routes, keys));
            let mut destinations = values(&theirs, &["Destination="]);
            destinations.retain(|line| !line.ends_with("/0"));
            assert_eq!(destinations, values(&file.text, &["Destination="]));
        }
    });
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// What networkd leaves in the kernel: addresses beside link-local ones, and routes over gateways.
struct Configured {
    addresses: BTreeSet<(String, IpAddr, u64)>,
    routes: BTreeSet<(String, String)>,
}

impl Configured {
    fn from_json(output: &str) -> Self {
        let lists = serde_json::Deserializer::from_str(output).into_iter::<Vec<Value>>();
        let lists: Vec<_> = lists.map(|list| list.expect("a list")).collect();
        let [links, v4, v6] = &lists[..] else {
            panic!("three lists in {output}");
        };
        let mut addresses = BTreeSet::new();
        for link in links {
            for info in link["addr_info"].as_array().expect("a list") {
                let address = text(&info["local"]).parse().expect("an address");
                let length = info["prefixlen"].as_u64().expect("a length");
                assert!(info.get("tentative").is_none(), "{info}");
                if info["scope"] == "global" {
                    addresses.insert((text(&link["ifname"]), address, length));
                }
            }
        }
        let mut routes = BTreeSet::new();
        for (list, everything) in [(v4, "0.0.0.0/0"), (v6, "::/0")] {
            for route in list.iter().filter(|route| route.get("gateway").is_some()) {
                let to = text(&route["dst"]).replace("default", everything);
                routes.insert((to, text(&route["gateway"])));
            }
        }
        Self { addresses, routes }
    }
}

#[test]
#[ignore = "needs systemd-networkd and root"]
fn networkd_brings_up_what_was_planned() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/networkd");
    each_sample(|plan, machine, name| {
        let folder = folder(&format!("networkd-{name}"));
        for file in networkd_files(plan, machine, &nameservers(plan, machine)) {
            fs::write(folder.join(file.name), file.text).expect("a file");
        }
        let nics = machine.nics.iter();
        let nics: Vec<_> = nics
            .map(|nic| format!("{}={}", nic.name, nic.mac))
            .collect();
        let output = Command::new(&script).arg(&folder).args(&nics).output();
        let output = output.expect("the script runs");
        let configured = Configured::from_json(&success(&output));
        // It warns of every key that it does not know, and of every value that it does not take.
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");

        let mut addresses = BTreeSet::new();
        for nic in &machine.nics {
            for address in nic.address.iter() {
                let net = plan.network_of(nic).nets.of(Family::of(address));
                let length = net.expect("of this family").prefix_len();
                addresses.insert((nic.name.to_string(), address, length.into()));
            }
        }
        assert_eq!(configured.addresses, addresses);
        let others = plan.routes_of(machine).into_iter();
        let mut routes: BTreeSet<_> = others
            .map(|route| (route.to.to_string(), route.via.to_string()))
            .collect();
        for (family, to) in Family::BOTH.into_iter().zip(["0.0.0.0/0", "::/0"]) {
            let gateway = default_gateway(plan, machine, family);
            routes.extend(gateway.map(|via| (to.to_owned(), via.to_string())));
        }
        assert_eq!(configured.routes, routes);
    });
}
