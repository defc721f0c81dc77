//! Which arguments of our definitions are not kubeadm's own.

use crate::{
    ClusterSpec, NodePart, Profile, Role, Tuning,
    component::{Component, Place, apiserver, controller_manager, scheduler},
};
use serde_json::{Map, Value, json};

/// Flags that are ours, with one value in every cluster of this shape that has them; in [`apiserver`] and
/// [`controller_manager`] they stand among the others.
const OURS: [&str; 4] = [
    "allocate-node-cidrs",
    "flex-volume-plugin-dir",
    apiserver::PAUSE,
    apiserver::WATCHES,
];

/// The extra arguments of the three programs.
pub(super) struct ExtraArgs {
    pub(super) apiserver: Vec<(String, String)>,
    pub(super) controller_manager: Vec<(String, String)>,
    pub(super) scheduler: Vec<(String, String)>,
}

impl ExtraArgs {
    /// Compares what the cluster has with what it would have by kubeadm's defaults.
    pub(super) fn of(spec: &ClusterSpec) -> Self {
        Self::at(first(spec))
    }

    /// The same of one control plane, which in the middle of an upgrade has a version of its own.
    fn at(place: Place<'_>) -> Self {
        let spec = place.cluster;
        let plain = ClusterSpec {
            tuning: Tuning::Standard,
            profile: Profile::Standard,
            ..spec.clone()
        };
        let extra = |define: fn(Place<'_>) -> Component| {
            let of_plain = Place {
                cluster: &plain,
                ..place
            };
            difference(&define(place).arguments, &define(of_plain).arguments)
        };
        Self {
            apiserver: extra(apiserver::component),
            controller_manager: extra(controller_manager::component),
            scheduler: extra(scheduler::component),
        }
    }
}

/// The arguments of a program in kubeadm's order: from 1.36 on the extra ones come last.
pub(super) fn in_order(place: Place<'_>, component: &Component) -> Vec<String> {
    let extra = ExtraArgs::at(place);
    let extra = match component.name {
        "kube-apiserver" => extra.apiserver,
        "kube-controller-manager" => extra.controller_manager,
        _ => extra.scheduler,
    };
    let is_extra = |argument: &String| {
        let parts = argument
            .strip_prefix("--")
            .and_then(|text| text.split_once('='));
        parts.is_some_and(|(name, _)| extra.iter().any(|(extra, _)| extra == name))
    };
    let sorted = component.arguments.clone();
    let version = place.version_of(NodePart::ControlPlane);
    if version.release().sorts_extra_args {
        return sorted;
    }
    let (last, mut first): (Vec<String>, Vec<String>) = sorted.into_iter().partition(is_extra);
    first.extend(last);
    first
}

/// Where one control plane stands for all.
pub(super) fn first(spec: &ClusterSpec) -> Place<'_> {
    Place {
        cluster: spec,
        node: &spec.control_planes[0],
        role: Role::ControlPlane,
    }
}

fn difference(arguments: &[String], defaults: &[String]) -> Vec<(String, String)> {
    let is_default = |name: &str, argument| !OURS.contains(&name) && defaults.contains(argument);
    arguments
        .iter()
        .filter_map(|argument| {
            let (name, value) = argument.strip_prefix("--")?.split_once('=')?;
            (!is_default(name, argument)).then(|| (name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// Extra arguments as a map, until v1beta3, or as a list, from v1beta4 on.
pub(super) fn render(extra: &[(String, String)], as_list: bool) -> Value {
    if as_list {
        let list = extra.iter();
        return list
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
    }
    let map: Map<String, Value> = extra
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    map.into()
}
