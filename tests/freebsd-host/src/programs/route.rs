//! route(8).

use crate::{
    net::{
        kernel::{host_name, ip, run},
        said::{Answer, Said},
    },
    world::World,
};
use serde::Deserialize;
use std::{net::IpAddr, process::ExitCode};

pub(super) fn main(_: &World, words: &[String]) -> ExitCode {
    Said::conclude(answer(words))
}

/// A request, as its words have it.
#[derive(Debug, Default)]
struct Request<'a> {
    verb: &'a str,
    is_v6: bool,
    is_net: bool,
    prefix_len: Option<u8>,
    targets: Vec<&'a str>,
}

fn answer(words: &[String]) -> Answer {
    let request = request(words)?;
    match request.verb {
        "get" | "show" => get(&request),
        verb => change(
            &request,
            if verb == "add" {
                Verb::Add
            } else {
                Verb::Delete
            },
        ),
    }
}

fn usage(word: Option<&str>) -> Said {
    let word = word.map(|word| format!("route: bad keyword: {word}\n"));
    Said {
        err: format!(
            "{}usage: route [-j jail] [-46dnqtv] command [[modifiers] args]\n",
            word.unwrap_or_default()
        ),
        status: 64, // EX_USAGE of sysexits(3).
        ..Said::default()
    }
}

fn request(words: &[String]) -> Answer<Request<'_>> {
    let mut words = words.iter().map(String::as_str).peekable();
    while words
        .next_if(|word| ["-n", "-q", "-v"].contains(word))
        .is_some()
    {}
    let verb = words.next().ok_or_else(|| usage(None))?;
    if !["add", "delete", "del", "get", "show"].contains(&verb) {
        return Err(usage(Some(verb)));
    }
    let mut request = Request {
        verb,
        ..Request::default()
    };
    while let Some(word) = words.next() {
        match word {
            "-inet" | "-4" => request.is_v6 = false,
            "-inet6" | "-6" => request.is_v6 = true,
            "-net" => request.is_net = true,
            "-host" => request.is_net = false,
            "-prefixlen" => {
                let length = words.next().and_then(|text| text.parse().ok());
                request.prefix_len = Some(length.ok_or_else(|| usage(None))?);
                request.is_net = true;
            }
            _ if word.starts_with('-') => return Err(usage(Some(&word[1..]))),
            target => request.targets.push(target),
        }
    }
    Ok(request)
}

/// What a route leads to.
struct Target {
    /// As ip(8) reads it.
    net: String,
    /// As route(8) says it again.
    said: String,
    is_host: bool,
}

fn target(request: &Request, text: &str) -> Answer<Target> {
    if text == "default" {
        return Ok(Target {
            net: if request.is_v6 { "::/0" } else { "0.0.0.0/0" }.to_owned(),
            said: text.to_owned(),
            is_host: false,
        });
    }
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let bad = || Said {
        err: format!("route: bad address: {text}\n"),
        status: 68, // EX_NOHOST of sysexits(3).
        ..Said::default()
    };
    let address: IpAddr = address.parse().map_err(|_| bad())?;
    if address.is_ipv6() != request.is_v6 {
        return Err(bad());
    }
    let bits = if request.is_v6 { 128 } else { 32 };
    let length = match length {
        Some(length) => Some(length.parse().map_err(|_| bad())?),
        None => request.prefix_len,
    };
    let is_host = length.is_none() && !request.is_net;
    let length = length.unwrap_or(if request.is_net && request.is_v6 {
        64
    } else {
        bits
    });
    let net = netplan::Net::containing(address, length).map_err(|_| bad())?;
    Ok(Target {
        net: format!("{}/{length}", net.address()),
        said: address.to_string(),
        is_host,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Delete,
}

fn change(request: &Request, verb: Verb) -> Answer {
    let [to, ref rest @ ..] = request.targets[..] else {
        return Err(usage(None));
    };
    let via = match (verb, rest) {
        (Verb::Add, [via]) => Some(*via),
        (Verb::Delete, [] | [_]) => rest.first().copied(),
        _ => return Err(usage(None)),
    };
    let target = target(request, to)?;
    if let Some(via) = via {
        let gateway = Request {
            is_v6: request.is_v6,
            ..Request::default()
        };
        self::target(&gateway, via)?;
    }
    apply(request, &target, via, verb)
}

fn apply(request: &Request, target: &Target, via: Option<&str>, verb: Verb) -> Answer {
    let kind = if target.is_host { "host" } else { "net" };
    let word = if verb == Verb::Add { "add" } else { "delete" };
    let gateway = via
        .map(|via| format!(": gateway {via}"))
        .unwrap_or_default();
    let line = format!("{word} {kind} {}{gateway}", target.said);
    let refused = |cause: &str, short: &str| Said {
        out: format!("{line} fib 0: {short}\n"),
        err: format!("route: writing to routing socket: {cause}\n"),
        status: 1,
    };
    let routes = routes(request.is_v6)?;
    let there = routes.iter().find(|route| route.leads_to(&target.net));
    let family = if request.is_v6 { "-6" } else { "-4" };
    if verb == Verb::Add {
        if there.is_some() {
            return Err(refused("File exists", "route already in table"));
        }
        let via = via.unwrap_or_default();
        ip(&[family, "route", "add", &target.net, "via", via])
            .map_err(|_| refused("Network is unreachable", "Network is unreachable"))?;
    } else {
        let wanted = via.and_then(|via| via.parse().ok());
        if !there.is_some_and(|own| wanted.is_none() || own.gateway == wanted) {
            return Err(refused("No such process", "not in table"));
        }
        ip(&[family, "route", "delete", &target.net])?;
    }
    Ok(Said::out(line + "\n"))
}

/// A route of the kernel below.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Route {
    pub(super) dst: String,
    pub(super) gateway: Option<IpAddr>,
    pub(super) dev: Option<String>,
}

impl Route {
    fn leads_to(&self, net: &str) -> bool {
        let is_default = net.ends_with("/0");
        let host = net.strip_suffix("/32").or_else(|| net.strip_suffix("/128"));
        (is_default && self.dst == "default") || self.dst == net || Some(self.dst.as_str()) == host
    }
}

/// The routes of a family, those of its own addresses and of multicast left out.
pub(super) fn routes(is_v6: bool) -> Answer<Vec<Route>> {
    let family = if is_v6 { "-6" } else { "-4" };
    let text = run(&["ip", "-j", family, "route", "show"], None)?;
    serde_json::from_str(&text)
        .map_err(|error| Said::refused(format!("freebsd-host: ip -j route show: {error}")))
}

fn get(request: &Request) -> Answer {
    let [to] = request.targets[..] else {
        return Err(usage(None));
    };
    let missing = || Said::refused("route: route has not been found");
    let route = if to == "default" {
        let routes = routes(request.is_v6)?;
        routes
            .into_iter()
            .find(|route| route.dst == "default")
            .ok_or_else(missing)?
    } else {
        target(request, to)?;
        let text = run(&["ip", "-j", "route", "get", to], None).map_err(|_| missing())?;
        let found: Vec<Route> = serde_json::from_str(&text).map_err(|_| missing())?;
        found.into_iter().next().ok_or_else(missing)?
    };
    let dev = route.dev.as_deref().unwrap_or("lo");
    let mut lines = vec![format!("   route to: {to}"), format!("destination: {to}")];
    if to == "default" {
        lines.push("       mask: default".to_owned());
    }
    lines.extend(route.gateway.map(|via| format!("    gateway: {via}")));
    lines.push("        fib: 0".to_owned());
    lines.push(format!("  interface: {}", host_name(dev)));
    let flags = if route.gateway.is_some() {
        "UP,GATEWAY,DONE,STATIC"
    } else {
        "UP,DONE,PINNED"
    };
    lines.push(format!("      flags: <{flags}>"));
    lines.push(" recvpipe  sendpipe  ssthresh  rtt,msec    mtu        weight    expire".to_owned());
    lines.push("       0         0         0         0      1500         1         0 ".to_owned());
    Ok(Said::out(lines.join("\n") + "\n"))
}
