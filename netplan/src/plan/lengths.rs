//! The prefix lengths of the Kubernetes ranges, each with the field that it comes from.

use crate::net::{Family, Net};
use crate::plan::PlanError;
use crate::requirement::KubernetesSpec;

/// A prefix length, and the field to change where it does not do.
pub(crate) struct Length {
    pub(crate) len: u8,
    pub(crate) field: String,
    value: String,
}

impl Length {
    /// All services.
    pub(crate) fn of_services(kubernetes: &KubernetesSpec, family: Family) -> Self {
        let sizes = &kubernetes.sizes;
        let size = family.pick(sizes.services_v4, sizes.services_v6);
        Self::new(
            ("services", family),
            kubernetes.services_len(family),
            kubernetes.explicit_services(family),
            size,
            ("services", kubernetes.services),
        )
    }

    /// All pods.
    pub(crate) fn of_pods(kubernetes: &KubernetesSpec, family: Family) -> Self {
        let sizes = &kubernetes.sizes;
        let size = family.pick(sizes.pods_v4, sizes.pods_v6);
        Self::new(
            ("pods", family),
            kubernetes.pods_len(family),
            kubernetes.explicit_pods(family),
            size,
            ("nodes", kubernetes.nodes),
        )
    }

    /// The pods of one node.
    pub(crate) fn of_node_pods(kubernetes: &KubernetesSpec, family: Family) -> Self {
        let sizes = &kubernetes.sizes;
        let size = family.pick(sizes.node_pods_v4, sizes.node_pods_v6);
        Self::new(
            ("node_pods", family),
            kubernetes.node_pods_len(family),
            None,
            size,
            ("pods_per_node", kubernetes.pods_per_node),
        )
    }

    fn new(
        (name, family): (&str, Family),
        len: u8,
        explicit: Option<Net>,
        size: Option<u8>,
        (number, count): (&str, u32),
    ) -> Self {
        let key = family.key();
        let is_constant = family == Family::V6 && number != "nodes";
        let (field, value) = match (explicit, size) {
            (Some(net), _) => (format!("{name}_{key}"), net.to_string()),
            (None, None) if !is_constant => (number.to_owned(), count.to_string()),
            (None, _) => (format!("sizes.{name}_{key}"), len.to_string()),
        };
        Self {
            len,
            field: format!("kubernetes.{field}"),
            value,
        }
    }

    /// The error that this length is impossible, and which ones would do.
    fn refuse(self, reason: &str, least: u8, most: u8) -> PlanError {
        let asked = match self.value == self.len.to_string() {
            true => String::new(),
            false => format!("that is a /{}, and ", self.len),
        };
        let remedy = match least <= most {
            true => format!("ask for a /{least} to /{most}"),
            false => "make the other one larger".to_owned(),
        };
        PlanError::field(self.field, self.value, format!("{asked}{reason}"), remedy)
    }
}

/// What the plan itself needs; what Kubernetes refuses besides is for lints.
pub(crate) fn check_lengths(kubernetes: &KubernetesSpec, family: Family) -> Result<(), PlanError> {
    let longest = family.bits();
    let services = Length::of_services(kubernetes, family);
    if !(1..=longest - 4).contains(&services.len) {
        return Err(services.refuse("the tenth address is for DNS", 1, longest - 4));
    }
    let pods = Length::of_pods(kubernetes, family);
    let one = Length::of_node_pods(kubernetes, family);
    if !(pods.len..=longest - 2).contains(&one.len) {
        let reason = format!(
            "the pods of one node are a part of all pods, a /{}",
            pods.len
        );
        return Err(one.refuse(&reason, pods.len, longest - 2));
    }
    let (held, nodes) = (nodes_held(pods.len, one.len), kubernetes.nodes);
    if held < nodes.into() {
        let reason = format!(
            "a /{} holds the pods of {held} nodes, each a /{}, and kubernetes.nodes is {nodes}",
            pods.len, one.len
        );
        let remedy = "write a shorter prefix, or fewer nodes";
        return Err(PlanError::field(pods.field, pods.value, reason, remedy));
    }
    Ok(())
}

fn nodes_held(pods: u8, one: u8) -> u64 {
    let bits = u32::from(one.saturating_sub(pods));
    1_u64.checked_shl(bits).unwrap_or(u64::MAX)
}
