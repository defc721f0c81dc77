//! 4: files and settings of nodes.

use super::{
    check::{Benchmark, Check, Duty::Node},
    control_plane::STRONG,
    facts::Program::{Kubelet, Proxy},
    rule::{Files, Rule, Test},
};

const ROOT: &str = "root:root";
const UNIT: Files = Files::Definition(Kubelet);
const PROXY: Files = Files::At(&["/etc/kubernetes/kube-proxy.conf"]);
const KUBECONFIG: Files = Files::Named(Kubelet, "kubeconfig");
const AUTHORITY: Files = Files::NamedByKubelet("/authentication/x509/clientCAFile");
const CONFIG: Files = Files::Named(Kubelet, "config");

const fn kubelet(flag: &'static str, field: &'static str, test: Test) -> Rule {
    Rule::Setting(Kubelet, flag, field, test)
}

#[rustfmt::skip]
pub(super) const CHECKS: &[Check] = &[
    Check::automated("4.1.1", "unit of the kubelet: at most 600", Node, Rule::Mode(UNIT, 0o600)),
    Check::automated("4.1.2", "unit of the kubelet: root's", Node, Rule::Owner(UNIT, ROOT)),
    Check::judged("4.1.3", "kubeconfig of kube-proxy: at most 600", Node, Rule::Mode(PROXY, 0o600)),
    Check::judged("4.1.4", "kubeconfig of kube-proxy: root's", Node, Rule::Owner(PROXY, ROOT)),
    Check::automated("4.1.5", "kubeconfig of the kubelet: at most 600", Node, Rule::Mode(KUBECONFIG, 0o600)),
    Check::automated("4.1.6", "kubeconfig of the kubelet: root's", Node, Rule::Owner(KUBECONFIG, ROOT)),
    Check::judged("4.1.7", "authority of the kubelet's clients: at most 644", Node, Rule::Mode(AUTHORITY, 0o644)),
    Check::judged("4.1.8", "authority of the kubelet's clients: root's", Node, Rule::Owner(AUTHORITY, ROOT)),
    Check::automated("4.1.9", "configuration of the kubelet: at most 600", Node, Rule::Mode(CONFIG, 0o600)),
    Check::automated("4.1.10", "configuration of the kubelet: root's", Node, Rule::Owner(CONFIG, ROOT)),
    Check::automated("4.2.1", "the kubelet answers nobody without an identity", Node, kubelet("anonymous-auth", "/authentication/anonymous/enabled", Test::Is("false"))),
    Check::automated("4.2.2", "the kubelet does not allow everything", Node, kubelet("authorization-mode", "/authorization/mode", Test::Is("Webhook"))),
    Check::automated("4.2.3", "an authority for the kubelet's clients", Node, kubelet("client-ca-file", "/authentication/x509/clientCAFile", Test::Given)),
    Check::judged("4.2.4", "no port for reading only", Node, kubelet("read-only-port", "/readOnlyPort", Test::IsOrAbsent("0"))),
    Check::judged("4.2.5", "idle streams end", Node, kubelet("streaming-connection-idle-timeout", "/streamingConnectionIdleTimeout", Test::IsNot("0"))),
    Check::automated("4.2.6", "the kubelet keeps its chains of iptables", Node, kubelet("make-iptables-util-chains", "/makeIPTablesUtilChains", Test::IsOrAbsent("true"))),
    Check::judged("4.2.7", "the host's own name", Node, Rule::Flags(Kubelet, &[("hostname-override", Test::Absent)])),
    Check::judged("4.2.8", "a rate of events that loses none", Node, kubelet("event-qps", "/eventRecordQPS", Test::AtLeast(0))),
    Check::judged("4.2.9", "a signed certificate of the kubelet", Node, Rule::ServingCertificate),
    Check::automated("4.2.10", "the kubelet renews its client certificate", Node, kubelet("rotate-certificates", "/rotateCertificates", Test::IsOrAbsent("true"))),
    Check::judged("4.2.11", "the kubelet renews its serving certificate", Node, kubelet("feature-gates", "/featureGates/RotateKubeletServerCertificate", Test::IsNot("false"))),
    Check::judged("4.2.12", "strong ciphers of the kubelet", Node, kubelet("tls-cipher-suites", "/tlsCipherSuites", STRONG)),
    Check::judged("4.2.13", "a limit for processes of a pod", Node, kubelet("pod-max-pids", "/podPidsLimit", Test::AtLeast(1))),
    Check::judged("4.2.14", "the runtime's seccomp profile by default", Node, kubelet("seccomp-default", "/seccompDefault", Test::Is("true")))
        .of(Benchmark::V1_11, Benchmark::V1_12),
    Check::manual("4.2.15", "the kubelet's unit denies strange addresses", "IPAddressDeny= of the unit (systemd.resource-control(5)); here the machine's firewall does that")
        .of(Benchmark::V1_11, Benchmark::V1_11),
    Check::automated("4.3.1", "kube-proxy tells its metrics on the loopback", Node, Rule::Setting(Proxy, "metrics-bind-address", "/metricsBindAddress", Test::LoopbackOrAbsent)),
];
