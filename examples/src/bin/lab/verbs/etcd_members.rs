//! Verbs about who is a member of etcd: `etcd replace`, `etcd move-leader`, `etcd member add`, `etcd member remove`.

use super::{change, etcd_care::done};
use crate::{
    args::{Format, Global, MemberVerb, SpecArgs},
    exit::{Ended, Exit},
    screen, wanted,
};
use cluster_lab::EtcdWish;
use etcd_bootstrap::{MemberName, change::ChangePlan};

/// `lab etcd replace NAME`, and with `--dry-run` what it would do.
pub(crate) async fn replace(global: &Global, member: &str) -> anyhow::Result<Exit> {
    let wish = EtcdWish::Replace(name(member)?);
    let nothing = format!("{member} takes reads and writes: nothing to replace");
    members(global, &wish, &nothing).await
}

/// `lab etcd move-leader [NAME]`, and with `--dry-run` what it would do.
pub(crate) async fn move_leader(global: &Global, to: Option<&str>) -> anyhow::Result<Exit> {
    let wish = EtcdWish::MoveLeader(to.map(name).transpose()?);
    members(global, &wish, "it leads already: nothing to do").await
}

/// `lab etcd member add` and `remove`: `lab up` with the next size, since a member of a lab is a machine of its own.
pub(crate) async fn member(global: &Global, verb: MemberVerb) -> anyhow::Result<Exit> {
    let now = wanted::existing(global)?.spec.machines.etcd;
    let next = match (verb, now) {
        (MemberVerb::Add, 1) | (MemberVerb::Remove, 5) => 3,
        (MemberVerb::Add, 3) => 5,
        (MemberVerb::Remove, 3) => 1,
        _ => {
            let message = format!("the lab has {now} members of etcd; it can have 1, 3 or 5");
            return Err(Ended::bad_input(message));
        }
    };
    let spec = SpecArgs {
        etcd: Some(next),
        ..SpecArgs::default()
    };
    match global.dry_run {
        true => change::plan(global, &spec).await,
        false => change::up(global, &spec, false, None).await,
    }
}

fn name(text: &str) -> anyhow::Result<MemberName> {
    text.parse()
        .map_err(|error| Ended::bad_input(format!("{text:?} is no member of etcd: {error}")))
}

async fn members(global: &Global, wish: &EtcdWish, nothing: &str) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    if global.dry_run {
        let plan = lab.plan_etcd_members(wish).await?;
        return told(global, &plan, nothing, "would be done");
    }
    let plan = done(global, &lab, async |reporter| {
        lab.etcd_members(wish, reporter).await
    })
    .await?;
    told(global, &plan, nothing, "done")
}

fn told(global: &Global, plan: &ChangePlan, nothing: &str, word: &str) -> anyhow::Result<Exit> {
    match global.output {
        Format::Json => screen::print_json(&plan.steps)?,
        Format::Text if plan.is_empty() => screen::print(&format!("{nothing}\n"))?,
        Format::Text => screen::print(&format!("{plan}{word}\n"))?,
    }
    Ok(Exit::DONE)
}
