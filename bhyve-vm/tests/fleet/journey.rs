//! From nothing to a running lab and back, word for word.

use crate::fixture::{fleet, golden, named, removal, supply};
use crate::host::{FakeHost, World};
use bhyve_vm::fleet::{
    self, Extent, Fleet, FleetObserved, FleetPlan, HostChange, HostEffect, Removal, destroy,
    observe_removal, plan_removal,
};
use host_exec::event::Silent;

pub(crate) async fn plan(host: &FakeHost, fleet: &Fleet) -> FleetPlan {
    let found = fleet::observe(host, fleet).await.unwrap();
    fleet::plan(fleet, &found).unwrap()
}

/// A host with a lab on it.
pub(crate) async fn with_lab(host: &FakeHost, fleet: &Fleet) {
    let plan = plan(host, fleet).await;
    let (_place, supply) = supply(fleet);
    fleet::apply(host, fleet, &plan, &supply, &Silent)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_plan_is_readable() {
    let text = fleet::plan(&fleet(), &FleetObserved::without_host())
        .unwrap()
        .to_string();
    golden("without-host.plan", &text);
    let host = FakeHost::new(World::ready());
    let text = plan(&host, &fleet()).await.to_string();
    golden("ready-host.plan", &text);
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let (host, fleet) = (FakeHost::new(World::ready()), fleet());
    with_lab(&host, &fleet).await;
    let made = host.state();
    let again = plan(&host, &fleet).await;
    assert!(again.is_empty(), "{again}");
    with_lab(&host, &fleet).await;
    assert_eq!(host.state(), made);
}

#[tokio::test]
async fn destroyed_by_name_the_host_is_as_it_was() {
    let (host, fleet) = (FakeHost::new(World::ready()), fleet());
    let before = host.state();
    with_lab(&host, &fleet).await;
    let removal = removal(&fleet, true);
    let found = observe_removal(&host, &removal).await.unwrap();
    let text = plan_removal(&removal, &found).unwrap().to_string();
    golden("removal.plan", &text);
    destroy(&host, &removal, &Silent).await.unwrap();
    // The places that labs share stay, empty.
    host.change(|world| {
        assert!(world.datasets.remove("zroot/lab/base").is_some());
        assert!(world.datasets.remove("zroot/lab").is_some());
    });
    assert_eq!(host.state(), before);
    let again = destroy(&host, &removal, &Silent).await.unwrap();
    assert!(
        again.removed.is_empty() && again.stopped.is_empty(),
        "{again:?}"
    );
}

#[tokio::test]
async fn one_vm_is_removed_and_the_next_run_makes_it_anew() {
    let (host, fleet) = (FakeHost::new(World::ready()), fleet());
    with_lab(&host, &fleet).await;
    let vm = fleet.vms[0].spec.name.clone();
    let one = Removal {
        extent: Extent::Vm(vm.clone()),
        ..removal(&fleet, false)
    };
    let gone = destroy(&host, &one, &Silent).await.unwrap();
    assert_eq!(gone.stopped, std::slice::from_ref(&vm));
    assert!(
        destroy(&host, &one, &Silent)
            .await
            .unwrap()
            .removed
            .is_empty()
    );
    let again = plan(&host, &fleet).await;
    let made: Vec<_> = again.vms.iter().map(|steps| steps.vm.clone()).collect();
    assert_eq!((made, again.host.is_empty()), (vec![vm], true), "{again}");
    with_lab(&host, &fleet).await;
    assert!(plan(&host, &fleet).await.is_empty());
}

#[tokio::test]
async fn images_and_files_stay_for_the_next_lab() {
    let (host, fleet) = (FakeHost::new(World::ready()), fleet());
    with_lab(&host, &fleet).await;
    destroy(&host, &removal(&fleet, false), &Silent)
        .await
        .unwrap();
    let text = plan(&host, &fleet).await.to_string();
    assert!(!text.contains("send"), "{text}");
    assert!(!text.contains("zfs create -s"), "{text}");
}

/// What both labs changed goes back with the last one, whichever that is; what the other needs stays.
#[tokio::test]
async fn two_labs_share_a_host() {
    let (first, second) = (fleet(), named("lab1", 111));
    for order in [[&first, &second], [&second, &first]] {
        let host = FakeHost::new(World::ready());
        with_lab(&host, &first).await;
        with_lab(&host, &second).await;
        let [gone, left] = order;
        destroy(&host, &removal(gone, true), &Silent).await.unwrap();
        let rest = plan(&host, left).await;
        assert!(rest.is_empty(), "{rest}");
        let forwarding =
            |host: &FakeHost| host.world.lock().unwrap().sysctls["net.inet.ip.forwarding"].clone();
        assert_eq!(forwarding(&host), "1");
        destroy(&host, &removal(left, true), &Silent).await.unwrap();
        assert_eq!(forwarding(&host), "0");
    }
}

#[tokio::test]
async fn a_file_that_was_changed_is_written_again() {
    let (host, fleet) = (FakeHost::new(World::ready()), fleet());
    with_lab(&host, &fleet).await;
    let made = host.state();
    host.change(|world| {
        let path = "/zroot/lab/lab0/lab0-etcd-0/seed.img";
        world.files.get_mut(path).unwrap().0[0] ^= 1;
        world.anchors.clear();
        world.interfaces.get_mut("lab0net").unwrap().nets.clear();
    });
    let text = plan(&host, &fleet).await.to_string();
    assert_eq!(text.lines().count(), 5, "{text}");
    with_lab(&host, &fleet).await;
    assert_eq!(host.state(), made);
}

#[tokio::test]
async fn a_vm_that_is_wanted_no_more_is_named_and_left() {
    let (host, mut fleet) = (FakeHost::new(World::ready()), fleet());
    with_lab(&host, &fleet).await;
    let made = host.state();
    fleet.vms.pop();
    let less = plan(&host, &fleet).await;
    assert!(less.is_empty(), "{less}");
    assert_eq!(
        less.to_string(),
        "note: lab0-node-0 is of this lab and wanted no more; it stays as it is until it is destroyed\n"
    );
    assert_eq!(host.state(), made);
}

/// The route to a machine that is wanted no more is taken back, and then forgotten.
#[tokio::test]
async fn a_route_that_is_wanted_no_more_goes() {
    let (host, mut fleet) = (FakeHost::new(World::ready()), fleet());
    let whole = fleet.network.clone();
    let route = fleet.network.pop().unwrap();
    with_lab(&host, &fleet).await;
    let without = host.state();
    fleet.network.push(route);
    with_lab(&host, &fleet).await;
    fleet.network.pop();
    let text = plan(&host, &fleet).await.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(
        lines[0],
        "take back: the pods of a node are behind the node: route -n delete -inet -net 10.110.8.0/24 10.110.0.20"
    );
    assert!(lines[1].starts_with("note what is taken back: "), "{text}");
    with_lab(&host, &fleet).await;
    assert_eq!(host.state(), without);
    // Anything else stays noted until the lab goes.
    fleet.network.pop();
    let text = plan(&host, &fleet).await.to_string();
    assert_eq!(text, "");
    fleet.network = whole;
    with_lab(&host, &fleet).await;
    assert!(plan(&host, &fleet).await.is_empty());
}

/// A setting that comes with a module has no value before the plan loads it.
#[tokio::test]
async fn a_module_brings_its_settings() {
    let (host, mut fleet) = (FakeHost::new(World::ready()), fleet());
    host.change(|world| assert!(world.modules.remove("if_bridge.ko")));
    let (name, value) = ("net.link.bridge.pfil_bridge".to_owned(), "0".to_owned());
    fleet.network.push(HostChange {
        what: "what stays inside a bridge is not filtered".to_owned(),
        argv: vec!["sysctl".to_owned(), format!("{name}={value}")],
        undo: None,
        effect: HostEffect::Setting { name, value },
    });
    with_lab(&host, &fleet).await;
    let again = plan(&host, &fleet).await;
    assert!(again.is_empty(), "{again}");
}

/// A VM that runs is told its new definition, and not stopped for it.
#[tokio::test]
async fn a_vm_that_runs_gets_more_memory_later() {
    let (host, mut fleet) = (FakeHost::new(World::ready()), fleet());
    with_lab(&host, &fleet).await;
    fleet.vms[0].spec.memory_mib = 4096.try_into().unwrap();
    let later = plan(&host, &fleet).await;
    let told = later.to_string();
    let lines: Vec<_> = told
        .lines()
        .map(|line| line.split(": /").next().unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            "note: lab0-etcd-0 runs; what changes of it holds from its next start or reboot",
            "lab0-etcd-0: write its definition",
            "lab0-etcd-0: write its supervisor",
        ]
    );
    with_lab(&host, &fleet).await;
    assert!(plan(&host, &fleet).await.is_empty());
}

/// After the host itself was started anew: interfaces, rules, settings and processes are gone, disks are not.
#[tokio::test]
async fn the_host_was_rebooted() {
    let (host, fleet) = (FakeHost::new(World::ready()), fleet());
    with_lab(&host, &fleet).await;
    let made = host.state();
    host.change(|world| {
        let fresh = World::ready();
        world.interfaces = fresh.interfaces;
        world.routes = fresh.routes;
        world.sysctls = fresh.sysctls;
        world.anchors = fresh.anchors;
        world.processes = fresh.processes;
        world.nodes = fresh.nodes;
        world.files.retain(|path, _| !path.starts_with("/var/run/"));
    });
    with_lab(&host, &fleet).await;
    assert_eq!(host.state(), made);
    destroy(&host, &removal(&fleet, false), &Silent)
        .await
        .unwrap();
    let forwarding = host.world.lock().unwrap().sysctls["net.inet.ip.forwarding"].clone();
    assert_eq!(forwarding, "0");
}
