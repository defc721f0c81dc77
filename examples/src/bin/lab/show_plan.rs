//! A plan as a text for people.

use crate::screen::Paint;
use cluster_lab::{Certainty, GuestStep, LabPlan, MachinesPlan};
use etcd_bootstrap::schedule::ScheduleStep;
use host_exec::{Command, HostName};
use k8s_bootstrap::Action;
use std::{collections::BTreeMap, path::PathBuf};

/// Files and units of one machine.
#[derive(Debug, Default, serde::Serialize)]
pub(crate) struct MachineWork {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) units: Vec<String>,
}

/// Everything that `plan` would do, in sections; those with nothing in them are left out.
pub(crate) fn text(plan: &LabPlan, paint: Paint) -> String {
    let (blueprint, made_with) = (&plan.blueprint, &plan.blueprint.programs.versions);
    let mut text = format!(
        "Kubernetes {}, etcd {}, CoreDNS {}\n\n",
        blueprint.spec.kubernetes,
        blueprint.etcd_version().unwrap_or(made_with.etcd),
        made_with.coredns
    );
    text.push_str(&netplan::map_text(&plan.blueprint.network));
    let changes = plan.blueprint.changes.to_string();
    let sections = [
        ("what to know about the networks", findings(plan)),
        (
            "changes of the networks, and what follows",
            changes.lines().map(str::to_owned).collect(),
        ),
        ("programs", programs(plan)),
        (
            "image, disk of programs, keys of SSH",
            plan.supplies.clone(),
        ),
        ("certificates and keys", certificates(plan)),
        ("what goes", leaving(plan)),
        ("machines and networks", machines(plan)),
        ("bhyve", bhyve(plan)),
        (
            "rc.conf of the host, by hand, for its networks to be there after a reboot before `lab up`",
            plan.blueprint.rc_conf(),
        ),
        ("files and units", files_and_units(plan)),
        ("etcd", etcd(plan)),
        ("Kubernetes", kubernetes(plan)),
    ];
    for (title, lines) in sections {
        if !lines.is_empty() {
            text.push_str(&format!("\n{}\n", paint.head(title)));
            text.extend(lines.iter().map(|line| format!("  {line}\n")));
        }
    }
    text.push_str(&format!("\n{}\n", verdict(plan)));
    text
}

fn findings(plan: &LabPlan) -> Vec<String> {
    let findings = plan.blueprint.findings.iter();
    findings.map(ToString::to_string).collect()
}

/// What each machine gets, gathered from all layers.
pub(crate) fn work(plan: &LabPlan) -> BTreeMap<String, MachineWork> {
    let mut work = Gathered::default();
    gather_machines(plan, &mut work);
    gather_etcd(plan, &mut work);
    gather_kubernetes(plan, &mut work);
    let mut work = work.0;
    work.retain(|_, own| !(own.files.is_empty() && own.units.is_empty()));
    work
}

/// By machine.
#[derive(Default)]
struct Gathered(BTreeMap<String, MachineWork>);

impl Gathered {
    fn files<'p>(&mut self, machine: &impl ToString, files: impl IntoIterator<Item = &'p PathBuf>) {
        let own = self.0.entry(machine.to_string()).or_default();
        own.files.extend(files.into_iter().cloned());
    }

    fn units<U: ToString>(&mut self, machine: &impl ToString, units: impl IntoIterator<Item = U>) {
        let own = self.0.entry(machine.to_string()).or_default();
        own.units
            .extend(units.into_iter().map(|unit| unit.to_string()));
    }
}

fn gather_machines(plan: &LabPlan, work: &mut Gathered) {
    for step in namespace_steps(plan) {
        if let nspawn_vm::Step::Prepare {
            machine,
            files,
            units,
        } = step
        {
            work.files(machine, files);
            work.units(machine, units);
        }
    }
    for (name, steps) in &plan.guests {
        for step in steps {
            if let GuestStep::Write { paths } = step {
                work.files(name, paths);
            }
        }
    }
}

fn gather_etcd(plan: &LabPlan, work: &mut Gathered) {
    use etcd_bootstrap::Step::{Enable, Restart, WriteFiles};
    for step in plan.etcd.steps() {
        match step {
            WriteFiles { member, paths } | Restart { member, paths } => work.files(member, paths),
            Enable { member } => work.units(member, ["etcd.service"]),
            _ => {}
        }
    }
    for step in &plan.etcd_schedule.steps {
        match step {
            ScheduleStep::WriteFiles { member, paths } => work.files(member, paths),
            ScheduleStep::Enable { member } => work.units(member, ["etcd-snapshot.timer"]),
            _ => {}
        }
    }
}

fn gather_kubernetes(plan: &LabPlan, work: &mut Gathered) {
    for step in &plan.kubernetes.steps {
        match (&step.node, &step.action) {
            (Some(node), Action::WriteFiles { files, .. }) => {
                work.files(node, files.iter().map(|(path, _)| path));
            }
            (Some(node), Action::Enable(units)) => work.units(node, units),
            _ => {}
        }
    }
}

fn namespace_steps(plan: &LabPlan) -> &[nspawn_vm::Step] {
    match &plan.machines {
        MachinesPlan::Namespaces(plan) => &plan.steps,
        MachinesPlan::Vms(_) => &[],
    }
}

/// The exact command line of each VM.
fn bhyve(plan: &LabPlan) -> Vec<String> {
    let MachinesPlan::Vms(vms) = &plan.machines else {
        return Vec::new();
    };
    let arguments = vms.arguments().into_values();
    arguments
        .map(|words| Command::new("bhyve").args(words).to_string())
        .collect()
}

fn programs(plan: &LabPlan) -> Vec<String> {
    match &plan.programs {
        Ok(steps) => steps.clone(),
        Err(problem) => vec![format!("cannot be had: {problem}")],
    }
}

fn certificates(plan: &LabPlan) -> Vec<String> {
    let items = plan.pki.items().iter();
    let made = items.filter(|item| item.decision.action != pki::Action::Reuse);
    made.map(ToString::to_string).collect()
}

fn leaving(plan: &LabPlan) -> Vec<String> {
    let each = plan.leaving.iter();
    let lines = each.flat_map(|own| {
        own.steps
            .iter()
            .map(|step| format!("{}: {step}", own.machine))
    });
    lines.collect()
}

fn machines(plan: &LabPlan) -> Vec<String> {
    let mut lines = Vec::new();
    if let MachinesPlan::Vms(vms) = &plan.machines {
        lines.extend(vms.plan.to_string().lines().map(str::to_owned));
    }
    for step in namespace_steps(plan) {
        lines.push(step.to_string());
        if let nspawn_vm::Step::Network(changes) = step {
            lines.extend(changes.commands().map(|command| format!("  {command}")));
        }
    }
    for (name, steps) in &plan.guests {
        let others = steps
            .iter()
            .filter(|step| !matches!(step, GuestStep::Write { .. }));
        lines.extend(others.map(|step| format!("{name}: {step}")));
    }
    let images = plan.images.iter();
    lines.extend(images.flat_map(|(node, images)| imports(node, images)));
    lines
}

/// A line for each image that a node is given.
pub(crate) fn imports(node: &HostName, images: &[String]) -> Vec<String> {
    let images = images.iter();
    images
        .map(|image| format!("{node}: import image {image}"))
        .collect()
}

fn files_and_units(plan: &LabPlan) -> Vec<String> {
    let mut lines = Vec::new();
    for (machine, work) in work(plan) {
        lines.push(machine);
        lines.extend(
            work.files
                .iter()
                .map(|path| format!("  {}", path.display())),
        );
        lines.extend(work.units.iter().map(|unit| format!("  unit {unit}")));
    }
    lines
}

fn etcd(plan: &LabPlan) -> Vec<String> {
    use etcd_bootstrap::Step::{Restart, WriteFiles};
    let steps = plan
        .etcd
        .steps()
        .filter(|step| !matches!(step, WriteFiles { .. }));
    let line = |step: &etcd_bootstrap::Step| match step {
        Restart { member, .. } => format!("{member}: restart etcd with its new files"),
        other => other.to_string(),
    };
    let members = plan.etcd_members.iter().map(ToString::to_string);
    let timers = plan.etcd_schedule.steps.iter();
    let timers = timers
        .filter(|step| !matches!(step, ScheduleStep::WriteFiles { .. }))
        .map(ToString::to_string);
    steps.map(line).chain(members).chain(timers).collect()
}

fn kubernetes(plan: &LabPlan) -> Vec<String> {
    let mut lines = Vec::new();
    for step in &plan.kubernetes.steps {
        if matches!(step.action, Action::WriteFiles { .. } | Action::Enable(_)) {
            continue;
        }
        let node = step.node.as_ref().map_or("cluster", |node| node.as_str());
        let action = step.action.to_string();
        lines.extend(action.lines().map(|line| format!("{node}: {line}")));
    }
    lines
}

fn verdict(plan: &LabPlan) -> String {
    if plan.is_empty() {
        return "nothing to do: everything is as it has to be".to_owned();
    }
    let more = match plan.certainty {
        Certainty::Whole => "",
        Certainty::UntilMachinesRun => {
            "; some machines are down, and what etcd and Kubernetes need on them shows when they run"
        }
    };
    format!("nothing has been done{more}; `lab up` does it")
}
