//! `freebsd-host-net`: what no program of FreeBSD's does, for whoever makes the host, and for tests.

use super::{close_tap, modules, open_tap, prepare, said::Said};
use crate::{
    programs::{pfctl, sysctl, sysrc},
    world::World,
};
use std::{io::Read as _, process::ExitCode};

/// `prepare`; `boot`, which does what rc.conf(5) says; or `hold TAP PID NAME MAC`, which holds a tap as bhyve(8) does
/// until its standard input ends.
pub(crate) fn main(world: &World, words: &[String]) -> ExitCode {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let answer = match words[..] {
        ["boot"] => boot(world),
        ["prepare"] => prepare().map(|()| Said::default()),
        ["hold", tap, pid, name, mac] => match pid.parse() {
            Ok(pid) => hold(world, tap, (pid, name, mac)).map_err(Said::refused),
            Err(_) => Err(usage()),
        },
        _ => Err(usage()),
    };
    Said::conclude(answer)
}

/// Forwarding and pf, as rc(8) switches them on.
fn boot(world: &World) -> Result<Said, Said> {
    let is_on = |name: &str| -> Result<bool, Said> {
        let value = sysrc::variable(name)?;
        Ok(value.is_some_and(|value| value.eq_ignore_ascii_case("yes")))
    };
    let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
    for (variable, setting) in [
        ("gateway_enable", "net.inet.ip.forwarding=1"),
        ("ipv6_gateway_enable", "net.inet6.ip6.forwarding=1"),
    ] {
        if is_on(variable)? {
            sysctl::run(world, &words(setting))?;
        }
    }
    if is_on("pf_enable")? {
        modules::load(world, "pf")?;
        let file = sysrc::variable("pf_rules")?.unwrap_or_else(|| "/etc/pf.conf".to_owned());
        pfctl::answer(world, &words(&format!("-f {file} -e")))?;
    }
    Ok(Said::default())
}

fn usage() -> Said {
    Said::refused("usage: freebsd-host-net prepare | boot | hold TAP PID NAME MAC")
}

fn hold(world: &World, tap: &str, (pid, name, mac): (u32, &str, &str)) -> Result<Said, String> {
    open_tap(world, tap, pid, name, mac)?;
    let mut rest = Vec::new();
    // However its input ends, it ends.
    let _ = std::io::stdin().read_to_end(&mut rest);
    close_tap(world, tap)?;
    Ok(Said::default())
}
