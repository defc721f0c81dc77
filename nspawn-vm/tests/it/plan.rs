//! Plans as data.

use nspawn_vm::{Group, MachineSpec, Nic, Observed, Places, RouterSpec, Step, plan};

pub(crate) fn group(name: &str, places: Places) -> Group {
    let machine = |host: &str, number: u8| MachineSpec {
        name: host.parse().unwrap(),
        nics: vec![Nic {
            name: "eth0".parse().unwrap(),
            bridge: "br0".parse().unwrap(),
            mac: format!("02:00:00:00:00:{number:02x}").parse().unwrap(),
            addresses: vec![
                format!("10.9.0.{number}/24").parse().unwrap(),
                format!("fd00:9::{number:x}/64").parse().unwrap(),
            ],
            gateways: vec!["10.9.0.1".parse().unwrap(), "fd00:9::1".parse().unwrap()],
        }],
        binds: vec![],
        data: vec![nspawn_vm::DataDir {
            target: "/var/log".into(),
        }],
        first_boot: nspawn_vm::FirstBoot::default(),
    };
    let addresses = vec![
        "10.9.0.1/24".parse().unwrap(),
        "fd00:9::1/64".parse().unwrap(),
    ];
    Group {
        name: name.parse().unwrap(),
        places,
        router: RouterSpec::with_bridges([("br0".parse().unwrap(), addresses)]),
        machines: vec![machine("one", 10), machine("two", 11)],
    }
}

#[test]
fn a_plan_from_nothing_makes_everything_in_order() {
    let group = group("demo", Places::new("/nowhere/state", "/nowhere/run"));
    let plan = plan(&group, &Observed::nothing());
    let steps: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
    assert_eq!(
        steps,
        [
            "make the common root of the machines",
            "network: 24 commands",
            "router: forward, load 0 lines of rules",
            "one: make its directories",
            "one: boot",
            "two: make its directories",
            "two: boot",
        ]
    );
    let Step::Network(changes) = &plan.steps[1] else {
        panic!("{:?}", plan.steps[1])
    };
    let commands: Vec<String> = changes.commands().collect();
    assert_eq!(
        commands.join("\n") + "\n",
        include_str!("../data/two-machines.ip")
    );
}

#[tokio::test]
async fn a_plan_of_another_group_is_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let places = || Places::new(dir.path().join("state"), dir.path().join("run"));
    let plan = plan(&group("demo", places()), &Observed::nothing());
    let mut smaller = group("demo", places());
    smaller.machines.truncate(1);
    let here = host_exec::LocalHost::new("here".parse().unwrap());
    let kind = nspawn_vm::CgroupKind::CgroupV2;
    let patience = std::time::Duration::from_secs(1);
    let events = &host_exec::event::Silent;
    let refused = nspawn_vm::apply(&smaller, &plan, kind, &here, patience, events).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "two is in the plan and not in the group; plan and apply the same group"
    );
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
}
