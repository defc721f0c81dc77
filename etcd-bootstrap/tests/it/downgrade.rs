//! Back by one minor and up again, on real clusters.

use crate::{
    lab::{LIMIT, Lab, name, program_of},
    real::version,
};
use etcd_bootstrap::{
    ClusterSpec, MemberName, MemberProgram,
    upgrade::{self, Journal, JournalError, PathError, UpgradePlan, UpgradeRefused, UpgradeStep},
};
use host_exec::{
    event::Silent,
    poll::{self, Attempt, Wait},
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// What a caller remembers of a run.
struct Kept {
    dir: tempfile::TempDir,
    snapshots: Mutex<usize>,
    begun: Mutex<BTreeMap<MemberName, MemberProgram>>,
}

impl Kept {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            snapshots: Mutex::default(),
            begun: Mutex::default(),
        }
    }
}

impl Journal for Kept {
    fn snapshot(&self) -> Result<PathBuf, JournalError> {
        *self.snapshots.lock().unwrap() += 1;
        Ok(self.dir.path().join("before.db"))
    }

    fn begin(&self, member: &MemberName, program: &MemberProgram) -> Result<(), JournalError> {
        let mut begun = self.begun.lock().unwrap();
        begun.insert(member.clone(), program.clone());
        Ok(())
    }
}

/// One minor and the one before, three members under writes.
struct Ways {
    lab: Lab,
    newer: MemberProgram,
    older: MemberProgram,
    kept: Kept,
}

async fn program(minor: u8) -> MemberProgram {
    let path = program_of(minor).await;
    MemberProgram {
        version: version(&path).await,
        path,
    }
}

impl Ways {
    async fn new(minor: u8, net: u8) -> Self {
        Self {
            lab: Lab::new(minor, net, 3, 3).await,
            newer: program(minor).await,
            older: program(minor - 1).await,
            kept: Kept::new(),
        }
    }

    /// The steps to `to`, from what a run before has remembered.
    async fn plan(&mut self, to: &MemberProgram) -> Result<UpgradePlan, UpgradeRefused> {
        let lab = &mut self.lab;
        for (member, program) in self.kept.begun.lock().unwrap().iter() {
            let spec = lab
                .spec
                .clone()
                .with_member_program(member, program.clone());
            lab.spec = spec.unwrap();
        }
        let facts = upgrade::look(&lab.spec, to, &lab.hosts(), &lab.probe()).await;
        let facts = facts.unwrap();
        match to.version < lab.spec.version() {
            true => upgrade::plan_downgrade(&lab.spec, to, &facts),
            false => upgrade::plan(&lab.spec, to, &facts),
        }
    }

    async fn apply(&mut self, plan: &UpgradePlan, to: &MemberProgram) {
        let lab = &self.lab;
        let (hosts, tls) = (lab.hosts(), &lab.tls);
        let done = upgrade::apply(&lab.spec, plan, to, &hosts, tls, &self.kept, &Silent).await;
        done.unwrap_or_else(|error| panic!("{plan}{error:?}"));
    }

    /// Takes the steps to `to`, the first `first` of them by a run that ends there.
    async fn go(&mut self, to: &MemberProgram, first: usize) {
        let mut plan = self.plan(to).await.unwrap();
        plan.steps.truncate(first);
        self.apply(&plan, to).await;
        let rest = self.plan(to).await.unwrap();
        self.apply(&rest, to).await;
        let left = self.plan(to).await.unwrap();
        assert!(left.is_empty(), "a second run would do:\n{left}");
    }

    /// All run `program`, and so says the cluster.
    async fn settle(&mut self, program: &MemberProgram) {
        let lab = &mut self.lab;
        let members = lab.spec.members().iter().cloned();
        let members = members.map(|mut member| {
            member.program = None;
            member
        });
        let (token, path) = (lab.spec.token().clone(), program.path.clone());
        let spec = ClusterSpec::new(token, program.version, path, members.collect()).unwrap();
        lab.spec = spec.with_history(lab.spec.history().clone()).unwrap();
        self.kept.begun.lock().unwrap().clear();
        lab.assert_healthy().await;
        let probe = lab.probe();
        let probe = &probe;
        let format = &format!("3.{}.0", program.version.minor);
        for member in lab.spec.members() {
            let status = probe.status(&member.name).await.unwrap();
            assert_eq!(status.version, program.version.to_string());
            assert_eq!(probe.downgrades(&member.name).await, Ok(false));
            // etcd looks every 4 s whether it can write its store in the format of the cluster. 3.5 does not tell it.
            let look = || async move {
                let said = probe.status(&member.name).await?.storage_version;
                Ok::<_, String>(match said.is_empty() || said == *format {
                    true => Attempt::Ready(()),
                    false => Attempt::NotYet(said),
                })
            };
            let wait = Wait::new(format!("store in the format of {format}"), LIMIT);
            poll::until(&wait, look).await.unwrap();
        }
    }
}

/// Down, with a run that ends after each number of steps in turn from test to test, and up again.
async fn down_and_up(minor: u8, net: u8, first: usize) {
    let mut ways = Ways::new(minor, net).await;
    let (newer, older) = (ways.newer.clone(), ways.older.clone());
    let writer = ways.lab.writer();
    let stop = AtomicBool::new(false);
    let work = async {
        ways.go(&older, first).await;
        ways.settle(&older).await;
        // Its own way back, as after any other upgrade.
        if upgrade::check_path(older.version, newer.version).is_ok() {
            ways.go(&newer, usize::MAX).await;
            ways.settle(&newer).await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    let ((), (acknowledged, _)) = tokio::join!(work, writer.run(&stop));
    assert_eq!(*ways.kept.snapshots.lock().unwrap(), 2);
    for member in 0..3 {
        let written = writer.written(member).await;
        assert!(
            written >= acknowledged && acknowledged > 0,
            "{written} of {acknowledged} writes are left"
        );
    }
}

/// A downgrade of which `first` steps were done is taken back by an upgrade to what the cluster was.
async fn taken_back(minor: u8, net: u8, first: usize) {
    let mut ways = Ways::new(minor, net).await;
    let (newer, older) = (ways.newer.clone(), ways.older.clone());
    let mut plan = ways.plan(&older).await.unwrap();
    plan.steps.truncate(first);
    ways.apply(&plan, &older).await;
    let back = ways.plan(&newer).await.unwrap();
    assert!(
        matches!(back.steps[0], UpgradeStep::CancelDowngrade { .. }),
        "{back}"
    );
    ways.go(&newer, 1).await;
    ways.settle(&newer).await;
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn etcd_3_7_becomes_3_6_and_3_7_again() {
    down_and_up(7, 101, 3).await;
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn etcd_3_6_becomes_3_5_and_3_6_again() {
    down_and_up(6, 102, 4).await;
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_downgrade_to_3_6_is_taken_back_before_and_after_members_were_replaced() {
    taken_back(7, 103, 2).await;
    taken_back(7, 104, 4).await;
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_downgrade_to_3_5_is_taken_back_before_and_after_members_were_replaced() {
    taken_back(6, 105, 2).await;
    taken_back(6, 106, 4).await;
}

/// A leader of 3.5 ends it as soon as the cluster is of that version, while its former leader still runs 3.6.
#[tokio::test]
#[ignore = "needs etcd"]
async fn a_downgrade_that_etcd_has_ended_early_is_gone_on_with() {
    let mut ways = Ways::new(6, 108).await;
    let older = ways.older.clone();
    let mut plan = ways.plan(&older).await.unwrap();
    let led = |step: &UpgradeStep| matches!(step, UpgradeStep::MoveLeader { .. });
    let last = plan.steps.iter().position(led).unwrap();
    plan.steps.truncate(last + 1);
    ways.apply(&plan, &older).await;
    let (member, probe) = (&name(1), &ways.lab.probe());
    let look = || async move {
        Ok::<_, String>(match probe.downgrades(member).await? {
            false => Attempt::Ready(()),
            true => Attempt::NotYet("it is under way".into()),
        })
    };
    let wait = Wait::new("end of the downgrade", LIMIT);
    poll::until(&wait, look).await.unwrap();
    ways.go(&older, 1).await;
    ways.settle(&older).await;
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_downgrade_by_two_minors_is_refused() {
    let mut ways = Ways::new(7, 107).await;
    let older = program(5).await;
    let refused = ways.plan(&older).await.unwrap_err().to_string();
    assert!(refused.contains("by one minor"), "{refused}");
    let member = name(1);
    let probe = ways.lab.probe();
    let refused = upgrade::begin_downgrade(&ways.lab.spec, &member, older.version, &probe).await;
    assert!(
        matches!(
            refused,
            Err(upgrade::DowngradeError::Path(PathError::NoDowngrade { .. }))
        ),
        "{refused:?}"
    );
}
