//! One VM is started, stopped, rebooted, killed, listed and explained.

use crate::fixture::{fleet, golden, parsed};
use crate::host::{FakeHost, World};
use crate::journey::with_lab;
use bhyve_vm::VmState;
use bhyve_vm::fleet::{self, VmDefinition};
use host_exec::event::Silent;

async fn etcd_0(host: &FakeHost) -> VmDefinition {
    let (directory, lab) = (parsed("/zroot/lab"), parsed("lab0"));
    let found = fleet::find(host, &directory, &lab, &parsed("lab0-etcd-0")).await;
    found.unwrap().unwrap()
}

async fn state(host: &FakeHost, vm: &VmDefinition) -> VmState {
    fleet::explain(host, vm).await.unwrap().summary.state
}

/// An error with its causes, as a program prints it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text += &format!(": {error}");
        next = error.source();
    }
    text
}

#[tokio::test]
async fn a_vm_does_what_it_is_asked() {
    let host = FakeHost::new(World::ready());
    with_lab(&host, &fleet()).await;
    let vm = etcd_0(&host).await;
    assert_eq!(state(&host, &vm).await, VmState::Running);
    fleet::reboot(&host, &vm, &Silent).await.unwrap();
    assert_eq!(state(&host, &vm).await, VmState::Running);
    fleet::stop(&host, &vm, &Silent).await.unwrap();
    assert_eq!(state(&host, &vm).await, VmState::Stopped);
    fleet::start(&host, &vm, &Silent).await.unwrap();
    assert_eq!(state(&host, &vm).await, VmState::Running);
    fleet::kill(&host, &vm, &Silent).await.unwrap();
    assert_eq!(state(&host, &vm).await, VmState::Stopped);
}

#[tokio::test]
async fn what_it_cannot_do_is_refused() {
    let host = FakeHost::new(World::ready());
    with_lab(&host, &fleet()).await;
    let vm = etcd_0(&host).await;
    let error = fleet::start(&host, &vm, &Silent).await.unwrap_err();
    assert_eq!(
        chain(&error),
        "freebsd: cannot start lab0-etcd-0: cannot start a VM that is running; possible now: stop, reboot, destroy"
    );
    fleet::stop(&host, &vm, &Silent).await.unwrap();
    let error = fleet::reboot(&host, &vm, &Silent).await.unwrap_err();
    assert_eq!(
        chain(&error),
        "freebsd: cannot reboot lab0-etcd-0: cannot reboot a VM that is stopped; \
         possible now: provision, start, destroy"
    );
}

#[tokio::test]
async fn a_vm_that_ends_at_once_says_why() {
    let host = FakeHost::new(World::ready());
    with_lab(&host, &fleet()).await;
    let vm = etcd_0(&host).await;
    fleet::stop(&host, &vm, &Silent).await.unwrap();
    host.change(|world| {
        world.bhyve_fails = Some("bhyve: Device emulation initialization error: Device busy\n")
    });
    let error = chain(&fleet::start(&host, &vm, &Silent).await.unwrap_err());
    assert!(error.contains("failed cause=host-fault"), "{error}");
    let said = "bhyve said: bhyve: Device emulation initialization error: Device busy";
    assert!(error.ends_with(said), "{error}");
}

#[tokio::test]
async fn a_vm_without_a_supervisor_gets_one_before_it_is_stopped() {
    let host = FakeHost::new(World::ready());
    with_lab(&host, &fleet()).await;
    let vm = etcd_0(&host).await;
    host.change(|world| {
        world
            .processes
            .retain(|_, title| !title.contains("lab0-etcd-0") || title.starts_with("bhyve"));
    });
    let told = fleet::explain(&host, &vm).await.unwrap().to_string();
    assert!(told.contains("nobody supervises it"), "{told}");
    fleet::stop(&host, &vm, &Silent).await.unwrap();
    assert_eq!(state(&host, &vm).await, VmState::Stopped);
}

/// Supervisor and bhyve were killed: nothing is run only to be stopped.
#[tokio::test]
async fn a_vm_that_crashed_is_stopped_by_freeing_its_memory() {
    let host = FakeHost::new(World::ready());
    with_lab(&host, &fleet()).await;
    let vm = etcd_0(&host).await;
    host.change(|world| {
        world
            .processes
            .retain(|_, title| !title.contains("lab0-etcd-0"))
    });
    assert_eq!(state(&host, &vm).await, VmState::Crashed);
    let starts = |host: &FakeHost| {
        let world = host.world.lock().unwrap();
        let (events, _) = &world.files["/zroot/lab/lab0/lab0-etcd-0/events"];
        String::from_utf8_lossy(events).matches("starting").count()
    };
    fleet::stop(&host, &vm, &Silent).await.unwrap();
    assert!(!host.world.lock().unwrap().nodes.contains("lab0-etcd-0"));
    assert_eq!(starts(&host), 1);
    fleet::start(&host, &vm, &Silent).await.unwrap();
    assert_eq!(starts(&host), 2);
}

#[tokio::test]
async fn all_vms_are_listed() {
    let host = FakeHost::new(World::ready());
    with_lab(&host, &fleet()).await;
    let list = fleet::list(&host, &parsed("/zroot/lab")).await.unwrap();
    let told: Vec<_> = list
        .iter()
        .map(|vm| {
            (
                vm.definition.name().as_str(),
                vm.state,
                vm.uptime.map(|time| time.as_secs()),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("lab0-etcd-0", VmState::Running, Some(60)),
            ("lab0-node-0", VmState::Running, Some(60)),
        ]
    );
    let empty = FakeHost::new(World::ready());
    assert_eq!(
        fleet::list(&empty, &parsed("/zroot/lab")).await.unwrap(),
        []
    );
}

#[tokio::test]
async fn an_explanation_is_readable() {
    let host = FakeHost::new(World::ready());
    with_lab(&host, &fleet()).await;
    let vm = etcd_0(&host).await;
    fleet::reboot(&host, &vm, &Silent).await.unwrap();
    host.change(|world| {
        let path = "/zroot/lab/lab0/lab0-etcd-0/console".to_owned();
        world
            .files
            .entry(path)
            .or_default()
            .0
            .extend(b"\x1b[31mShell> \x1b[0m\n");
    });
    let text = fleet::explain(&host, &vm).await.unwrap().to_string();
    golden("explanation.txt", &text);
}
