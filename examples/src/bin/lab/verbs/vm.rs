//! Verbs about bhyve VMs: `vm list|start|stop|reboot|destroy|explain` and `console`.

use crate::{
    args::{Format, Global, VmVerb},
    exit::{Ended, Exit},
    inside,
    progress::Reporter,
    screen, table, wanted,
};
use bhyve_vm::fleet::{Explanation, VmSummary};
use cluster_lab::VmRequest;
use serde_json::{Value, json};

/// `lab vm ...`.
pub(crate) async fn vm(global: &Global, verb: VmVerb) -> anyhow::Result<Exit> {
    match verb {
        VmVerb::List(on) => {
            let lab = wanted::on_host(global, &on)?;
            list(global, &lab.vms().await?)
        }
        VmVerb::Start { node } => request(global, &node, VmRequest::Start, "runs").await,
        VmVerb::Stop { node, force: false } => {
            request(global, &node, VmRequest::Stop, "has stopped").await
        }
        VmVerb::Stop { node, force: true } => {
            request(global, &node, VmRequest::Kill, "is off").await
        }
        VmVerb::Reboot { node } => request(global, &node, VmRequest::Reboot, "runs again").await,
        VmVerb::Destroy { node } => destroy(global, &node).await,
        VmVerb::Explain { node } => {
            let lab = wanted::existing(global)?;
            explain(global, &lab.explain_vm(&node).await?)
        }
    }
}

/// `lab console NODE`.
pub(crate) async fn console(global: &Global, node: &str) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    if !screen::is_terminal() {
        let message =
            "the console needs a terminal; `lab vm explain` prints what the guest said last";
        return Err(Ended::bad_input(message));
    }
    let (host, command) = lab.console(node).await?;
    screen::print("Ctrl-] ends it\n")?;
    inside::run(&host, command).await
}

async fn request(
    global: &Global,
    node: &str,
    request: VmRequest,
    then: &str,
) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let reporter = Reporter::new(global.output, global.verbose, lab.state());
    let moved = lab.move_vm(node, request, &reporter).await;
    reporter.finish();
    moved?;
    told(global, node, then)
}

async fn destroy(global: &Global, node: &str) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let reporter = Reporter::new(global.output, global.verbose, lab.state());
    let gone = lab.destroy_vm(node, &reporter).await;
    reporter.finish();
    gone?;
    told(global, node, "is gone")
}

fn told(global: &Global, node: &str, then: &str) -> anyhow::Result<Exit> {
    match global.output {
        Format::Json => screen::print_json(&json!({ "result": { "vm": node, "now": then } }))?,
        Format::Text => screen::print(&format!("{node} {then}\n"))?,
    }
    Ok(Exit::DONE)
}

fn list(global: &Global, vms: &[VmSummary]) -> anyhow::Result<Exit> {
    if global.output == Format::Json {
        let all: Vec<Value> = vms.iter().map(summary).collect();
        screen::print_json(&all)?;
        return Ok(Exit::DONE);
    }
    let row = |vm: &VmSummary| {
        let spec = &vm.definition.spec;
        [
            spec.name.to_string(),
            vm.definition.lab.to_string(),
            vm.state.to_string(),
            vm.stage.map(|stage| stage.to_string()).unwrap_or_default(),
            vm.uptime
                .map(|time| format!("{} s", time.as_secs()))
                .unwrap_or_default(),
            vm.restarts.to_string(),
            format!("{} MiB", spec.memory_mib),
            vm.last_cause
                .as_ref()
                .map(|cause| cause.to_string())
                .unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = vms.iter().map(row).collect();
    let head = [
        "VM", "LAB", "STATE", "GUEST", "UP", "RESTARTS", "MEMORY", "LAST END",
    ];
    screen::print(&table::columns(head, &rows))?;
    Ok(Exit::DONE)
}

fn explain(global: &Global, found: &Explanation) -> anyhow::Result<Exit> {
    match global.output {
        Format::Json => {
            let mut object = summary(&found.summary);
            let runs = found.runs.iter();
            object["runs"] = runs
                .map(|(at, cause)| json!({ "ended": at, "cause": cause.to_string() }))
                .collect();
            object["stderr"] = json!(found.stderr);
            object["console"] = json!(found.console);
            screen::print_json(&object)?;
        }
        Format::Text => screen::print(&found.to_string())?,
    }
    Ok(Exit::DONE)
}

fn summary(vm: &VmSummary) -> Value {
    let texts = vm.contradictions.iter().map(ToString::to_string);
    json!({
        "vm": vm.definition.spec.name,
        "lab": vm.definition.lab,
        "state": vm.state,
        "stage": vm.stage.map(|stage| stage.to_string()),
        "contradictions": texts.collect::<Vec<_>>(),
        "uptime_s": vm.uptime.map(|time| time.as_secs()),
        "restarts": vm.restarts,
        "memory_mib": vm.definition.spec.memory_mib,
        "resident_kib": vm.resident_kib,
        "last_end": vm.last_cause.as_ref().map(|cause| cause.to_string()),
    })
}
