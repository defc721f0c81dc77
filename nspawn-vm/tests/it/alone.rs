//! A real group: boots, is left alone by a second run, survives what kills machines, and leaves nothing behind.
//! `./lab test` runs nothing beside it, since it looks at what the whole machine has.

use crate::plan::group;
use host_exec::{Command, Host, LocalHost, event::Silent};
use nspawn_vm::{CgroupKind, Group, MachineState, Places, apply, destroy, observe, plan};
use std::{fs, path::PathBuf, time::Duration};

struct Lab {
    group: Group,
    host: LocalHost,
    kind: CgroupKind,
    _state: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        // Not below /tmp: that may be a tmpfs, on which an overlay works but containers would not.
        let state = tempfile::tempdir_in("/var/tmp").unwrap();
        let run = PathBuf::from(format!("/run/lab-test-{}", std::process::id()));
        let name = format!("t{}", std::process::id());
        Self {
            group: group(&name, Places::new(state.path().join("lab"), run)),
            host: LocalHost::new("here".parse().unwrap()),
            kind: CgroupKind::of_this_host().unwrap(),
            _state: state,
        }
    }

    async fn up(&self) -> nspawn_vm::Plan {
        let plan = plan(
            &self.group,
            &observe(&self.group, &self.host).await.unwrap(),
        );
        let patience = Duration::from_secs(60);
        apply(&self.group, &plan, self.kind, &self.host, patience, &Silent)
            .await
            .unwrap();
        plan
    }

    async fn state(&self, machine: &str) -> MachineState {
        observe(&self.group, &self.host).await.unwrap().machines[machine]
    }

    async fn run(&self, machine: &str, command: Command) -> String {
        let hosts = observe(&self.group, &self.host).await.unwrap().hosts();
        let output = hosts[&machine.parse().unwrap()]
            .run(&command)
            .await
            .unwrap();
        output.stdout_text().trim().to_owned()
    }
}

/// A failed test leaves no machines behind; the thread has a runtime of its own because this one is in use.
impl Drop for Lab {
    fn drop(&mut self) {
        let (group, kind, host) = (self.group.clone(), self.kind, self.host.clone());
        let end = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime
                .block_on(destroy(&group.name, &group.places, kind, &host, &Silent))
                .map(drop)
        });
        if let (Err(error), false) = (end.join().unwrap(), std::thread::panicking()) {
            panic!("{error}");
        }
    }
}

/// What must be the same before and after, as far as one group can change it.
fn traces() -> Vec<String> {
    let names = |dir: &str| -> Vec<String> {
        let Ok(entries) = fs::read_dir(dir) else {
            return vec![format!("{dir} missing")];
        };
        entries
            .map(|entry| format!("{dir}/{}", entry.unwrap().file_name().to_string_lossy()))
            .collect()
    };
    let mut all = names("/run/netns");
    all.extend(names("/sys/class/net"));
    all.extend(names("/sys/fs/cgroup/pids"));
    all.extend(
        fs::read_to_string("/proc/self/mounts")
            .unwrap()
            .lines()
            .map(str::to_owned),
    );
    all.sort();
    all
}

#[tokio::test]
#[ignore = "needs root and systemd-nspawn"]
async fn a_group_lives_and_leaves_nothing() {
    let before = traces();
    let lab = Lab::new();
    let first = lab.up().await;
    assert_eq!(first.machines_to_start().count(), 2);
    assert!(
        lab.up().await.is_empty(),
        "a second run finds nothing to do"
    );

    assert_eq!(lab.run("one", Command::new("hostname")).await, "one");
    // Nobody listens there, so a refusal is the proof that packets went to the other machine and back.
    for other in ["10.9.0.11:9", "[fd00:9::b]:9"] {
        let hosts = observe(&lab.group, &lab.host).await.unwrap().hosts();
        let one = &hosts[&"one".parse().unwrap()];
        let error = one
            .dial(other.parse().unwrap(), Duration::from_secs(2))
            .await
            .err()
            .unwrap();
        assert_eq!(
            error.source.kind(),
            std::io::ErrorKind::ConnectionRefused,
            "{other}"
        );
    }
    lab.run("one", Command::new("touch").arg("/etc/kept")).await;

    // A machine that is killed altogether, and one whose supervisor is killed while it runs on.
    let MachineState::Running { leader } = lab.state("one").await else {
        panic!("one does not run")
    };
    kill(&lab, &leader.to_string()).await;
    let pid_file = lab.group.places.run().join("two.pid");
    if lab.kind == CgroupKind::CgroupV1 {
        kill(&lab, fs::read_to_string(pid_file).unwrap().trim()).await;
        assert!(matches!(
            lab.state("two").await,
            MachineState::Broken { .. }
        ));
    }
    lab.up().await;
    assert_eq!(
        lab.run("one", Command::new("ls").arg("/etc/kept")).await,
        "/etc/kept"
    );

    let MachineState::Running { leader: old } = lab.state("two").await else {
        panic!("two does not run")
    };
    lab.run("two", Command::new("systemctl").arg("reboot"))
        .await;
    let wait = host_exec::poll::Wait::new("the machine after its reboot", Duration::from_secs(30));
    host_exec::poll::until(&wait, || async {
        Ok::<_, String>(match lab.state("two").await {
            MachineState::Running { leader } if leader != old => {
                host_exec::poll::Attempt::Ready(())
            }
            other => host_exec::poll::Attempt::NotYet(format!("{other:?}")),
        })
    })
    .await
    .unwrap();

    for _ in 0..2 {
        destroy(
            &lab.group.name,
            &lab.group.places,
            lab.kind,
            &lab.host,
            &Silent,
        )
        .await
        .unwrap();
    }
    assert_eq!(before, traces());
}

async fn kill(lab: &Lab, pid: &str) {
    lab.host
        .run(&Command::new("kill").args(["-KILL", pid]))
        .await
        .unwrap();
    let wait = host_exec::poll::Wait::new("end of the process", Duration::from_secs(10));
    host_exec::poll::until(&wait, || async {
        let gone = !fs::read_to_string(format!("/proc/{pid}/status"))
            .is_ok_and(|s| !s.contains("State:\tZ"));
        Ok::<_, String>(if gone {
            host_exec::poll::Attempt::Ready(())
        } else {
            host_exec::poll::Attempt::NotYet("alive".into())
        })
    })
    .await
    .unwrap();
}
