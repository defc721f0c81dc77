//! ifconfig(8), route(8), netstat(1) and pfctl(8), as far as the driver uses them.

use super::world::{Answer, World, failed, ok};
use std::collections::BTreeSet;
use std::fmt::Write as _;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) up: bool,
    pub(crate) description: Option<String>,
    /// `ADDRESS/LENGTH`.
    pub(crate) nets: BTreeSet<String>,
    pub(crate) members: BTreeSet<String>,
    pub(crate) nd6: BTreeSet<String>,
}

impl World {
    pub(super) fn uplink(&mut self) {
        let uplink = Interface {
            up: true,
            nets: ["192.0.2.2/24".to_owned()].into(),
            ..Interface::default()
        };
        self.interfaces.insert("em0".to_owned(), uplink);
        let route = ["default", "192.0.2.1", "em0"].map(str::to_owned);
        self.routes.insert(route.into());
    }

    pub(super) fn ifconfig(&mut self, arguments: &[&str]) -> Answer {
        match *arguments {
            ["-a"] => ok(self.ifconfig_all()),
            ["bridge", "create", "name", name, "description", words] => self.create(name, words),
            [tap, "create", "description", words] if tap.starts_with("tap") => {
                self.create(tap, words)
            }
            [name, ref what @ ..] if self.interfaces.contains_key(name) => {
                self.configure(name, what)
            }
            [name, ..] => failed(1, format!("ifconfig: interface {name} does not exist")),
            [] => failed(1, "usage: ifconfig"),
        }
    }

    fn create(&mut self, name: &str, words: &str) -> Answer {
        if self.interfaces.contains_key(name) {
            return failed(1, "ifconfig: ioctl SIOCIFCREATE2: File exists");
        }
        let interface = Interface {
            description: Some(words.to_owned()),
            nd6: ["PERFORMNUD", "IFDISABLED"].map(str::to_owned).into(),
            ..Interface::default()
        };
        self.interfaces.insert(name.to_owned(), interface);
        ok("")
    }

    fn configure(&mut self, name: &str, what: &[&str]) -> Answer {
        if let ["addm", member] = what {
            return self.add_member(name, member);
        }
        let interface = self.interfaces.get_mut(name).unwrap();
        match *what {
            ["destroy"] => {
                self.interfaces.remove(name);
                for bridge in self.interfaces.values_mut() {
                    bridge.members.remove(name);
                }
                self.routes.retain(|(_, _, interface)| interface != name);
            }
            ["up"] => interface.up = true,
            ["inet", net, "alias"] => drop(interface.nets.insert(net.to_owned())),
            ["inet6", ref options @ ..] => {
                for option in options {
                    match option.strip_prefix('-') {
                        Some(name) => drop(interface.nd6.remove(&name.to_uppercase())),
                        None => drop(interface.nd6.insert(option.to_uppercase())),
                    }
                }
            }
            _ => panic!("ifconfig {name} {what:?} is not known here"),
        }
        ok("")
    }

    fn add_member(&mut self, name: &str, member: &str) -> Answer {
        if !self.interfaces.contains_key(member) {
            return failed(
                1,
                format!("ifconfig: BRDGADD {member}: No such file or directory"),
            );
        }
        let taken = self
            .interfaces
            .values()
            .any(|bridge| bridge.members.contains(member));
        if taken {
            return failed(1, format!("ifconfig: BRDGADD {member}: File exists"));
        }
        let bridge = self.interfaces.get_mut(name).unwrap();
        bridge.members.insert(member.to_owned());
        ok("")
    }

    fn ifconfig_all(&self) -> String {
        let mut text = String::new();
        for (name, interface) in &self.interfaces {
            let up = if interface.up { "UP," } else { "" };
            writeln!(text, "{name}: flags=8843<{up}BROADCAST> metric 0 mtu 1500").unwrap();
            if let Some(words) = &interface.description {
                writeln!(text, "\tdescription: {words}").unwrap();
            }
            for net in &interface.nets {
                let (address, length) = net.split_once('/').unwrap();
                let mask = u32::MAX << (32 - length.parse::<u32>().unwrap());
                writeln!(text, "\tinet {address} netmask 0x{mask:08x}").unwrap();
            }
            for member in &interface.members {
                writeln!(text, "\tmember: {member} flags=143<LEARNING,DISCOVER>").unwrap();
            }
            let nd6: Vec<_> = interface.nd6.iter().map(String::as_str).collect();
            writeln!(text, "\tnd6 options=29<{}>", nd6.join(",")).unwrap();
        }
        text
    }

    pub(super) fn route(&mut self, arguments: &[&str]) -> Answer {
        let [verb, "-inet", "-net", to, via] = *arguments else {
            panic!("route {arguments:?} is not known here")
        };
        let prefix = via.rsplit_once('.').unwrap().0;
        let near = self.interfaces.iter().find(|(_, interface)| {
            interface
                .nets
                .iter()
                .any(|net| net.starts_with(&format!("{prefix}.")))
        });
        let Some((interface, _)) = near else {
            return failed(
                1,
                format!("route: message: add net {to}: Network is unreachable"),
            );
        };
        let route = (to.to_owned(), via.to_owned(), interface.clone());
        let changed = match verb {
            "add" => self.routes.insert(route),
            "delete" => self.routes.remove(&route),
            _ => panic!("route {verb}"),
        };
        match (changed, verb) {
            (true, _) => ok(""),
            (false, "add") => failed(
                1,
                format!("add net {to}: gateway {via} fib 0: route already in table"),
            ),
            (false, _) => failed(1, format!("delete net {to}: not in table")),
        }
    }

    pub(super) fn netstat(&self) -> String {
        let mut text =
            "Routing tables\n\nInternet:\nDestination Gateway Flags Nhop# Mtu Netif Expire\n"
                .to_owned();
        for (to, via, interface) in &self.routes {
            writeln!(text, "{to} {via} UGS 3 1500 {interface}").unwrap();
        }
        text
    }

    pub(super) fn pfctl(&mut self, arguments: &[&str], input: &[u8]) -> Answer {
        let enabled = if self.pf_enabled {
            "Enabled"
        } else {
            "Disabled"
        };
        let rules = String::from_utf8_lossy(input).into_owned();
        match *arguments {
            ["-s", "info"] => ok(format!("Status: {enabled} for 0 days 01:00:00\n")),
            ["-s", kind @ ("nat" | "rules")] => {
                let nat = |rule: &&String| rule.starts_with("nat") || rule.starts_with("rdr");
                let rules = self
                    .pf_rules
                    .iter()
                    .filter(|rule| nat(rule) == (kind == "nat"));
                ok(rules.map(|rule| format!("{rule}\n")).collect::<String>())
            }
            ["-a", anchor, "-s", "nat" | "rules"] => match self.anchors.get(anchor) {
                Some(rules) => ok(rules.as_str()),
                None => failed(1, "pfctl: DIOCGETRULES: Invalid argument"),
            },
            ["-n", "-a", _, "-f", "-"] if !rules.ends_with('\n') => {
                failed(1, "stdin:1: syntax error")
            }
            ["-n", "-a", _, "-f", "-"] => ok(""),
            ["-a", anchor, "-f", "-"] => {
                self.anchors.insert(anchor.to_owned(), rules);
                ok("")
            }
            ["-a", anchor, "-F", "all"] => {
                self.anchors.remove(anchor);
                (0, String::new(), "rules cleared\nnat cleared\n".to_owned())
            }
            _ => panic!("pfctl {arguments:?} is not known here"),
        }
    }
}
