//! All lints.

use crate::lint::{Lint, Severity};

/// Every lint there is, in the order in which a plan is held against them.
pub static LINTS: &[&Lint] = &[
    &K8S_VERSION,
    &K8S_DUAL_STACK,
    &K8S_PRIMARY_FAMILY,
    &K8S_SERVICES_TOO_LARGE,
    &KUBEADM_SERVICES_TOO_LARGE,
    &K8S_SERVICES_CLAMPED,
    &K8S_SERVICES_TOO_SMALL,
    &K8S_SERVICES_TOO_FEW,
    &K8S_DNS_BAND,
    &KUBEADM_PODS_TOO_SMALL,
    &K8S_NODE_MASK,
    &K8S_POD_MASK_GAP,
    &KUBEADM_POD_MASK_GAP,
    &K8S_NODE_MASK_FLAGS,
    &K8S_PODS_TOO_FEW,
    &K8S_PODS_FULL,
    &K8S_NODE_PODS_TOO_FEW,
    &K8S_NODE_IP,
    &RANGES_OVERLAP,
    &SPECIAL_RANGE,
    &SPECIAL_OPT_IN,
    &GLOBAL_V4,
    &HABIT_RANGE,
    &HOST_ROUTE_EQUAL,
    &HOST_ROUTE_SHADOWED,
    &HOST_ROUTE_HIDDEN,
    &HOST_NEXT_HOP,
    &HOST_RESOLVER,
    &ULA_GLOBAL_ID,
    &ULA_NAT66,
    &ULA_NPT,
    &ULA_ONLY,
    &ULA_ROUTED,
    &GUA_NOT_ROUTED,
    &V6_OUTSIDE_OVERLAP,
    &V6_OUTSIDE_SPECIAL,
    &V6_OUTSIDE_ULA,
    &ALLOW_UNKNOWN,
    &ALLOW_NO_REASON,
    &ALLOW_UNUSED,
];

macro_rules! lints {
    ($($id:ident $name:literal $severity:ident $summary:literal, $reference:literal, $remedy:literal;)*) => {
        $(pub(crate) static $id: Lint = Lint {
            name: $name,
            severity: Severity::$severity,
            summary: $summary,
            reference: $reference,
            remedy: $remedy,
        };)*
    };
}

// The services of a cluster.
lints! {
    K8S_VERSION "k8s-version" Warning
        "the version is one that these lints were checked for, 1.28 to 1.37",
        "the files of Kubernetes that the other lints cite",
        "take a version from 1.28 to 1.37, or read its release notes about ranges";
    K8S_DUAL_STACK "k8s-dual-stack" Error
        "two families need a version whose gate IPv6DualStack is on: beta in 1.21, stable in 1.23",
        "KEP-563",
        "take version 1.23 or later, or one family in kubernetes.families";
    K8S_PRIMARY_FAMILY "k8s-primary-family" Error
        "the first service range is of the family of the API servers' advertise addresses",
        "cmd/kube-apiserver/app/options/validation.go: service IP family must match public address family",
        "write the other family in kubernetes.primary, or give the control planes an address of this one";
    K8S_SERVICES_TOO_LARGE "k8s-services-too-large" Error
        "a service range has at most 20 host bits before 1.34, and an IPv6 one at most 64 ever",
        "cmd/kube-apiserver/app/options/validation.go: validateMaxCIDRRange; KEP-1880",
        "make the service range smaller";
    KUBEADM_SERVICES_TOO_LARGE "kubeadm-services-too-large" Warning
        "a service range has at most 20 host bits, where kubeadm makes the cluster",
        "cmd/kubeadm/app/constants/constants.go: MaximumBitsForServiceSubnet",
        "make the service range smaller, or do without kubeadm";
    K8S_SERVICES_CLAMPED "k8s-services-clamped" Note
        "before 1.34 an IPv6 service range is not larger than a /112, since no more of it is used",
        "pkg/registry/core/service/ipallocator/bitmap.go: New",
        "write 112 in kubernetes.sizes.services_v6";
    K8S_SERVICES_TOO_SMALL "k8s-services-too-small" Error
        "a service range has 10 addresses at least: the tenth is the cluster's DNS",
        "cmd/kubeadm/app/constants/constants.go: MinimumAddressesInServiceSubnet",
        "make the service range a /28 (IPv6: a /124) or larger";
    K8S_SERVICES_TOO_FEW "k8s-services-too-few" Warning
        "a service range has an address for each of kubernetes.services",
        "pkg/registry/core/service/ipallocator/bitmap.go: New",
        "make the service range larger, or kubernetes.services smaller";
    K8S_DNS_BAND "k8s-dns-band" Warning
        "the cluster's DNS has its address in the band that the allocator leaves to fixed addresses",
        "KEP-3070",
        "make the service range a /27 (IPv6: a /123) or larger";
}

// Pods and nodes.
lints! {
    KUBEADM_PODS_TOO_SMALL "kubeadm-pods-too-small" Warning
        "a pod range has 14 addresses at least, where kubeadm makes the cluster",
        "cmd/kubeadm/app/constants/constants.go: MinimumAddressesInPodSubnet",
        "make the pod range a /28 (IPv6: a /124) or larger, or do without kubeadm";
    K8S_NODE_MASK "k8s-node-mask" Error
        "the pods of one node are a part of the pod range",
        "pkg/controller/nodeipam/node_ipam_controller.go: NewNodeIpamController",
        "write a longer prefix for one node, or a shorter one for all pods";
    K8S_POD_MASK_GAP "k8s-pod-mask-gap" Error
        "the IPv6 prefix of one node's pods is at most 16 bits longer than that of all pods",
        "pkg/controller/nodeipam/ipam/cidrset/cidr_set.go: clusterSubnetMaxDiff; issue kubernetes/kubernetes#44918",
        "bring kubernetes.sizes.node_pods_v6 and kubernetes.sizes.pods_v6 closer together";
    KUBEADM_POD_MASK_GAP "kubeadm-pod-mask-gap" Warning
        "the IPv4 prefix of one node's pods is at most 16 bits longer than that of all pods, where kubeadm makes the cluster",
        "cmd/kubeadm/app/constants/constants.go: PodSubnetNodeMaskMaxDiff",
        "bring kubernetes.sizes.node_pods_v4 and kubernetes.sizes.pods_v4 closer together, or do without kubeadm";
    K8S_NODE_MASK_FLAGS "k8s-node-mask-flags" Note
        "one node's pods have the prefix that kube-controller-manager takes without being told: /24, of IPv6 /64",
        "cmd/kube-controller-manager/app/core.go: setNodeCIDRMaskSizes; KEP-563",
        "leave node ranges to this plan (--allocate-node-cidrs=false)";
    K8S_PODS_TOO_FEW "k8s-pods-too-few" Error
        "the pod range has a part for each node that there may ever be",
        "pkg/controller/nodeipam/ipam/cidrset/cidr_set.go: ErrCIDRRangeNoCIDRsRemaining",
        "make the pod range larger, or kubernetes.nodes smaller";
    K8S_PODS_FULL "k8s-pods-full" Warning
        "the pod range has a part for one more node than there are",
        "pkg/controller/nodeipam/ipam/cidrset/cidr_set.go: ErrCIDRRangeNoCIDRsRemaining",
        "write more kubernetes.nodes now: the pod range of a cluster cannot be changed later";
    K8S_NODE_PODS_TOO_FEW "k8s-node-pods-too-few" Warning
        "the pods of one node have addresses for all of kubernetes.pods_per_node",
        "kubelet's maxPods; CNI plugin host-local",
        "make kubernetes.pods_per_node smaller, or one node's part of the pod range larger";
    K8S_NODE_IP "k8s-node-ip" Note
        "the default routes of a node are on the network of kubernetes.network",
        "kubelet --node-ip; issue k3s-io/k3s#8011",
        "give every kubelet of the class its --node-ip";
}

// Networks beside each other and beside those of others.
lints! {
    RANGES_OVERLAP "ranges-overlap" Error
        "networks, link, services and pods are disjoint",
        "issues kubernetes/kubeadm#3312, aws/eks-anywhere#2086: nothing else checks it",
        "move one of the two";
    SPECIAL_RANGE "special-range" Error
        "the lab's addresses are not of a block with another purpose",
        "RFC 6890 and IANA's registries of special-purpose addresses",
        "take a network out of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or fd00::/8";
    SPECIAL_OPT_IN "special-opt-in" Warning
        "the lab's addresses are not shared with providers, Tailscale or benchmarks",
        "RFC 6598, RFC 2544, RFC 5180",
        "take a private network, or allow this lint if nobody else here uses the block";
    GLOBAL_V4 "global-v4" Warning
        "the lab's IPv4 addresses are private",
        "RFC 1918",
        "take a network out of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16, or allow this lint if the addresses are yours";
    HABIT_RANGE "habit-range" Note
        "the lab's addresses are not those that other programs take without asking",
        "the defaults of those programs",
        "leave the network out to have one chosen that avoids them, if one of these may come to this host";
    HOST_ROUTE_EQUAL "host-route-equal" Error
        "the host does not use the lab's network already",
        "ip-route(8), route(8): one of the two routes would be lost",
        "take another network; if it is the lab's own route, leave it out of the facts";
    HOST_ROUTE_SHADOWED "host-route-shadowed" Warning
        "the lab's network is not a part of one that the host uses",
        "RFC 1812, 5.2.4.3: the longest match wins, issue containers/common#2179",
        "make sure that nothing the host needs there has an address of the lab, or take another network";
    HOST_ROUTE_HIDDEN "host-route-hidden" Error
        "no network that the host uses is a part of the lab's",
        "RFC 1812, 5.2.4.3: the longest match wins; issue kubernetes/minikube#11534",
        "take another network";
    HOST_NEXT_HOP "host-next-hop" Error
        "the host's next hop to the internet is not in the lab's network",
        "ip-route(8), route(8)",
        "take another network: with this one the host would lose its default route";
    HOST_RESOLVER "host-resolver" Error
        "the host's name servers are not in the lab's network",
        "resolv.conf(5)",
        "take another network: with this one the host could not look up names";
}

// How IPv6 leaves.
lints! {
    ULA_GLOBAL_ID "ula-global-id" Warning
        "the Global ID of a unique local network is 40 random bits",
        "RFC 4193, 3.2: must not be sequential or well-known",
        "leave v6 out: the Global ID is then made from the seed";
    ULA_NAT66 "ula-nat66" Warning
        "machines of both families use IPv6 for the internet",
        "RFC 6724, 2.1 and 6 (rule 5); issue trailofbits/algo#1822",
        "write a routed prefix of the provider in v6, or allow this lint if IPv4 is good enough";
    ULA_NPT "ula-npt" Note
        "machines of both families use IPv6 for the internet",
        "RFC 6724, 2.1 and 6 (rule 5)",
        "write the routed prefix itself in v6, and routed in v6_mode";
    ULA_ONLY "ula-only" Warning
        "IPv6 leaves the lab",
        "RFC 4193, 4.1",
        "write npt, or nat66, or a routed prefix of the provider in v6";
    ULA_ROUTED "ula-routed" Warning
        "the other side of a routed network has a route back",
        "RFC 4193, 4.3: such prefixes are not routed on the internet",
        "write npt, nat66 or ula-only in v6_mode; allow this lint if the site routes the prefix to this host";
    GUA_NOT_ROUTED "gua-not-routed" Warning
        "a global prefix leaves the lab as it is",
        "RFC 6296, 1: translation is for prefixes that are not routed",
        "write routed in v6_mode, or leave v6 out for a unique local network";
    V6_OUTSIDE_OVERLAP "v6-outside-overlap" Error
        "the addresses that translation shows outside are not the lab's own",
        "RFC 6296, 2",
        "write a prefix or address that is routed to this host and not used in the lab";
    V6_OUTSIDE_SPECIAL "v6-outside-special" Error
        "the addresses that translation shows outside are global ones, where the host is the router",
        "RFC 6890 and IANA's registries of special-purpose addresses",
        "write a prefix or address that is routed to this host";
    V6_OUTSIDE_ULA "v6-outside-ula" Warning
        "the addresses that translation shows outside are not unique local ones",
        "RFC 4193, 4.3: such prefixes are not routed on the internet",
        "write a global prefix or address; allow this lint if the site translates again";
}

// About allowing.
lints! {
    ALLOW_UNKNOWN "allow-unknown" Warning
        "every lint that is allowed exists",
        "netplan::LINTS",
        "write the name of a lint, or remove the entry";
    ALLOW_NO_REASON "allow-no-reason" Error
        "every lint that is allowed has a reason",
        "netplan::Allow",
        "write why it may stay; without that it is not allowed";
    ALLOW_UNUSED "allow-unused" Warning
        "every lint that is allowed was found, and is allowed once",
        "netplan::Allow",
        "remove the entry";
}
