//! Taking a member's service and data out of the way. Nothing is ever deleted.

use crate::{MemberSpec, render};
use host_exec::{Command, Host, RunError, systemd};
use std::slice;

/// What etcd calls its part of the data directory.
const DATA: &str = "member";
/// What that is called when it is out of the way, with a number.
const ASIDE: &str = "member.aside-";

/// Stops and disables the service, and renames what data there is. Not the directory itself, which may be a mount
/// point; etcd looks at `member` in it and warns about other names.
pub(super) async fn take_out(member: &MemberSpec, host: &dyn Host) -> Result<(), RunError> {
    let unit = render::unit_name();
    let unit = slice::from_ref(&unit);
    let known = systemd::states(host, unit).await?;
    if known.values().any(|state| state.load != "not-found") {
        systemd::stop(host, unit).await?;
        systemd::disable(host, unit).await?;
    }
    set_aside(member, host).await
}

async fn set_aside(member: &MemberSpec, host: &dyn Host) -> Result<(), RunError> {
    let directory = member.data_dir.display().to_string();
    let find = Command::new("find")
        .arg(directory.clone())
        .args(["-mindepth", "1", "-maxdepth", "1", "-name", "member*"])
        .args(["-printf", "%f\n"])
        .env("LC_ALL", "C");
    let mut found = host.output(&find).await?;
    if !found.status.success() {
        if found.stderr_text().contains("No such file or directory") {
            return Ok(());
        }
        // Once more, for an error that carries status and message.
        found = host.run(&find).await?;
    }
    let text = found.stdout_text();
    let names: Vec<&str> = text.lines().collect();
    if !names.contains(&DATA) {
        return Ok(());
    }
    let (from, to) = (
        format!("{directory}/{DATA}"),
        format!("{directory}/{ASIDE}{}", next_number(&names)),
    );
    let rename = Command::new("mv").args(["--no-target-directory", "--no-clobber", &from, &to]);
    host.run(&rename).await.map(drop)
}

/// The number after the highest one in use.
fn next_number(names: &[&str]) -> u32 {
    let numbers = names.iter().filter_map(|name| name.strip_prefix(ASIDE));
    let highest = numbers
        .filter_map(|number| number.parse::<u32>().ok())
        .max();
    highest.map_or(1, |highest| highest.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn data_is_renamed_and_never_overwritten() {
        let host = host_exec::LocalHost::new("here".parse().unwrap());
        let directory = tempfile::tempdir().unwrap();
        let ip = [10, 0, 0, 1].into();
        let mut member = MemberSpec::new("etcd-0".parse().unwrap(), ip, vec![ip]);
        member.data_dir = directory.path().join("data");
        set_aside(&member, &host).await.unwrap();
        for round in 1..=2 {
            let wal = member.data_dir.join("member/wal");
            std::fs::create_dir_all(&wal).unwrap();
            std::fs::write(wal.join("0.wal"), round.to_string()).unwrap();
            set_aside(&member, &host).await.unwrap();
            assert!(!member.data_dir.join("member").exists());
        }
        for round in 1..=2 {
            let kept = format!("member.aside-{round}/wal/0.wal");
            let text = std::fs::read_to_string(member.data_dir.join(kept)).unwrap();
            assert_eq!(text, round.to_string());
        }
        set_aside(&member, &host).await.unwrap();
    }
}
