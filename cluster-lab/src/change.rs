//! What a lab that exists cannot become.

use crate::{BhyveSpec, LabSpec, UnderWay, VmSize};
use netplan::Net;

/// A wish that a lab which exists cannot follow.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// What differs.
    pub(crate) field: &'static str,
    /// As it is.
    pub(crate) found: String,
    /// As it was asked for.
    pub(crate) wanted: String,
    /// What can be done.
    pub(crate) remedy: &'static str,
}

const ANEW: &str = "run `lab down` first, or give the lab another --name";
const UPGRADE: &str =
    "`lab upgrade --to VERSION` goes to a newer one; for an older one run `lab down` first";
const MEANWHILE: &str = "finish the upgrade that is under way first, with `lab upgrade`";

/// The first wish that cannot be followed.
pub(crate) fn refused(is: &LabSpec, wanted: &LabSpec) -> Option<Change> {
    let change = |field, read: &dyn Fn(&LabSpec) -> String| {
        let (found, wanted) = (read(is), read(wanted));
        (found != wanted).then_some(Change {
            field,
            found,
            wanted,
            remedy: ANEW,
        })
    };
    change("machines", &place)
        .or_else(|| {
            let version = |spec: &LabSpec| spec.kubernetes.to_string();
            let changed = change("Kubernetes", &version);
            changed.map(|changed| Change {
                remedy: UPGRADE,
                ..changed
            })
        })
        .or_else(|| change("shape", &|spec| spec.shape.as_str().to_owned()))
        .or_else(|| change("profile", &|spec| spec.profile.as_str().to_owned()))
        .or_else(|| change("authorities", &authorities))
        .or_else(|| change("the keys of its authorities", &sealed))
        .or_else(|| other_networks(is, wanted))
        .or_else(|| change("image", &|spec| of_vms(spec, |vms| vms.image.clone())))
        .or_else(|| {
            change("way of IPv6", &|spec| {
                of_vms(spec, |vms| format!("{:?}", vms.ipv6))
            })
        })
        .or_else(|| {
            change("members of etcd with", &|spec| {
                of_vms(spec, |vms| size(vms.etcd))
            })
        })
        .or_else(|| {
            change("control planes with", &|spec| {
                of_vms(spec, |vms| size(vms.control_plane))
            })
        })
        .or_else(|| change("workers with", &|spec| of_vms(spec, |vms| size(vms.worker))))
}

/// What cannot be followed while an upgrade is under way: its steps are counted over the machines.
pub(crate) fn refused_meanwhile(
    is: &LabSpec,
    wanted: &LabSpec,
    under_way: Option<UnderWay>,
) -> Option<Change> {
    let machines = |spec: &LabSpec| {
        let counts = spec.machines;
        format!(
            "{} etcd members, {} control planes and {} workers",
            counts.etcd, counts.control_planes, counts.workers
        )
    };
    let (found, wanted) = (machines(is), machines(wanted));
    (under_way.is_some() && found != wanted).then_some(Change {
        field: "machines",
        found,
        wanted,
        remedy: MEANWHILE,
    })
}

fn place(spec: &LabSpec) -> String {
    match &spec.bhyve {
        None => "namespaces of this machine".to_owned(),
        Some(BhyveSpec { host, dataset, .. }) => match host {
            None => format!("VMs below {dataset} on no host"),
            Some(host) => format!("VMs below {dataset} on {host}"),
        },
    }
}

fn authorities(spec: &LabSpec) -> String {
    match &spec.pki.authorities {
        None => "of its own".to_owned(),
        Some(directory) => format!("from {}", directory.display()),
    }
}

/// The file may be another one, if the pass phrase in it stays.
fn sealed(spec: &LabSpec) -> String {
    match spec.pki.authority_passphrase_file {
        None => "under no pass phrase".to_owned(),
        Some(_) => "under a pass phrase".to_owned(),
    }
}

/// Empty for a lab of namespaces.
fn of_vms(spec: &LabSpec, read: impl Fn(&BhyveSpec) -> String) -> String {
    spec.bhyve.as_ref().map(read).unwrap_or_default()
}

fn size(size: VmSize) -> String {
    let VmSize {
        cpus,
        memory_mib,
        disk_gib,
    } = size;
    format!("{cpus} processors, {memory_mib} MiB of memory, {disk_gib} GiB of disk")
}

fn other_networks(is: &LabSpec, wanted: &LabSpec) -> Option<Change> {
    let differs = |is: Option<Net>, wanted: Option<Net>| wanted.is_some() && is != wanted;
    let (is, wanted) = (&is.network, &wanted.network);
    (differs(is.v4, wanted.v4) || differs(is.v6, wanted.v6)).then(|| Change {
        field: "other networks",
        found: "in network.lock".to_owned(),
        wanted: "another".to_owned(),
        remedy: ANEW,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab(text: &str) -> LabSpec {
        LabSpec::from_toml(text).unwrap()
    }

    #[test]
    fn nodes_may_come_and_go_and_nothing_else_changes() {
        let host = "[bhyve]\nhost = 'ssh://root@a'\n";
        for (is, wanted, field) in [
            ("", "", None),
            ("[machines]\nworkers = 1", "[machines]\nworkers = 3", None),
            ("", "[machines]\ncontrol_planes = 3", None),
            ("[machines]\ncontrol_planes = 3", "", None),
            ("", "[machines]\netcd = 5", None),
            ("[machines]\netcd = 5", "", None),
            (&format!("[machines]\netcd = 5\n{host}"), host, None),
            (
                &format!("[machines]\ncontrol_planes = 3\nworkers = 3\n{host}"),
                &format!("[machines]\nworkers = 1\n{host}"),
                None,
            ),
            ("[machines]\nworkers = 3", "[machines]\nworkers = 1", None),
            ("", "addons.metrics_server = true", None),
            ("addons.metrics_server = true", "", None),
            (
                "addons.metrics_server = true",
                "addons.metrics_server = 'a/b:1'",
                None,
            ),
            ("", host, Some("machines")),
            (host, "[bhyve]\nhost = 'root@b'", Some("machines")),
            (host, "[bhyve]\nhost = 'root@a'", None),
            (host, &format!("{host}image = 'debian-13'"), Some("image")),
            (
                host,
                &format!("{host}worker = {{ cpus = 4, memory_mib = 2048, disk_gib = 20 }}"),
                Some("workers with"),
            ),
            (host, &format!("{host}outside = ['192.0.2.1']"), None),
        ] {
            let change = refused(&lab(is), &lab(wanted));
            assert_eq!(change.map(|change| change.field), field, "{is} -> {wanted}");
        }
    }
}
