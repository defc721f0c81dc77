//! The Go module and the arguments from which a component is built; pure text.
//!
//! Programs of another module that needs `replace` lines cannot be installed with `go install PACKAGE@VERSION`
//! (Go modules reference, "go install"): a small module of our own names them as tools and carries the replacements.

use crate::{Architecture, Component, ProgramName, UnknownKubernetes, Version, catalogue};
use std::fmt::Write as _;

/// The oldest Go that reads `tool` lines (Go 1.24 release notes).
const OLDEST_GO_MINOR: u32 = 24;

/// The Go minor that the catalogue's newest releases ask for and are tested with.
const CURRENT_GO_MINOR: u32 = 26;

/// A staging module of Kubernetes: published as its own module, and required by `k8s.io/kubernetes` as `v0.0.0`.
struct Staging {
    name: &'static str,
    minors: std::ops::RangeInclusive<u32>,
}

const ALWAYS: std::ops::RangeInclusive<u32> = 0..=u32::MAX;

/// Read from the `go.mod` of `k8s.io/kubernetes` v1.28.3 to v1.37.2: 30 modules at first, 33 today.
#[rustfmt::skip]
const STAGING: [Staging; 34] = [
    staging("api", ALWAYS),
    staging("apiextensions-apiserver", ALWAYS),
    staging("apimachinery", ALWAYS),
    staging("apiserver", ALWAYS),
    staging("cli-runtime", ALWAYS),
    staging("client-go", ALWAYS),
    staging("cloud-provider", ALWAYS),
    staging("cluster-bootstrap", ALWAYS),
    staging("code-generator", ALWAYS),
    staging("component-base", ALWAYS),
    staging("component-helpers", ALWAYS),
    staging("controller-manager", ALWAYS),
    staging("cri-api", ALWAYS),
    staging("cri-client", 31..=u32::MAX),
    staging("cri-streaming", 36..=u32::MAX),
    staging("csi-translation-lib", ALWAYS),
    staging("dynamic-resource-allocation", ALWAYS),
    staging("endpointslice", ALWAYS),
    staging("externaljwt", 32..=u32::MAX),
    staging("kms", ALWAYS),
    staging("kube-aggregator", ALWAYS),
    staging("kube-controller-manager", ALWAYS),
    staging("kube-proxy", ALWAYS),
    staging("kube-scheduler", ALWAYS),
    staging("kubectl", ALWAYS),
    staging("kubelet", ALWAYS),
    staging("legacy-cloud-providers", 0..=30),
    staging("metrics", ALWAYS),
    staging("mount-utils", ALWAYS),
    staging("pod-security-admission", ALWAYS),
    staging("sample-apiserver", ALWAYS),
    staging("sample-cli-plugin", ALWAYS),
    staging("sample-controller", ALWAYS),
    staging("streaming", 36..=u32::MAX),
];

const fn staging(name: &'static str, minors: std::ops::RangeInclusive<u32>) -> Staging {
    Staging { name, minors }
}

/// The oldest Go minor (the 26 of 1.26) with which the component can be built.
///
/// # Errors
///
/// The Kubernetes minor is older than the catalogue. A newer one is taken to be built like the newest.
pub fn go_minor(component: Component, version: Version) -> Result<u32, UnknownKubernetes> {
    let asked_for = match component {
        Component::Kubernetes => catalogue::rules_of(version)?.go_minor,
        // As the `go.mod` of every etcd and CoreDNS of the catalogue says, 3.5.35 too.
        Component::Etcd | Component::Coredns => CURRENT_GO_MINOR,
    };
    Ok(asked_for.max(OLDEST_GO_MINOR))
}

/// The `go.mod` of the module that builds `programs` of one component. `go mod tidy` completes it.
///
/// # Errors
///
/// The Kubernetes minor is older than the catalogue. A newer one is taken to be built like the newest.
pub fn go_mod(
    component: Component,
    version: Version,
    programs: &[ProgramName],
) -> Result<String, UnknownKubernetes> {
    let go_minor = go_minor(component, version)?;
    let mut text = format!("module lab.local/{component}\n\ngo 1.{go_minor}\n");
    if component == Component::Kubernetes {
        let tested_with = catalogue::rules_of(version)?.go_minor;
        if tested_with < CURRENT_GO_MINOR {
            // Defaults of GODEBUG come from the main module, which is ours, not from that of Kubernetes.
            line(
                &mut text,
                format_args!("\ngodebug default=go1.{tested_with}"),
            );
        }
    }
    text.push('\n');
    for program in programs {
        line(&mut text, format_args!("tool {}", program.package()));
    }
    text.push('\n');
    for module in modules(component, programs) {
        line(
            &mut text,
            format_args!("require {module} {}", version.tag()),
        );
    }
    if component == Component::Kubernetes {
        text.push('\n');
        for name in staging_of(version.minor) {
            let (minor, patch) = (version.minor, version.patch);
            line(
                &mut text,
                format_args!("replace k8s.io/{name} => k8s.io/{name} v0.{minor}.{patch}"),
            );
        }
    }
    Ok(text)
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "{arguments}");
}

fn staging_of(minor: u32) -> impl Iterator<Item = &'static str> {
    STAGING
        .iter()
        .filter(move |module| module.minors.contains(&minor))
        .map(|module| module.name)
}

/// The modules that hold the packages of `programs`, each once.
fn modules(component: Component, programs: &[ProgramName]) -> Vec<String> {
    match component {
        Component::Kubernetes => vec!["k8s.io/kubernetes".to_owned()],
        // Each program of etcd and CoreDNS is the root package of its module.
        _ => programs.iter().map(|program| program.package()).collect(),
    }
}

/// The value of `-ldflags`: no symbol table, and the version where the component does not carry it in its source.
fn ldflags(component: Component, version: Version) -> String {
    let mut flags = "-s -w".to_owned();
    if component == Component::Kubernetes {
        // Without these the programs say v0.0.0-master, and every check of version skew misfires.
        for package in ["component-base/version", "client-go/pkg/version"] {
            let _ = write!(
                flags,
                " -X k8s.io/{package}.gitVersion={} -X k8s.io/{package}.gitMajor={} -X k8s.io/{package}.gitMinor={}",
                version.tag(),
                version.major,
                version.minor
            );
        }
    }
    flags
}

/// The arguments of `go` that build one program of the module in `module_dir` into the file `output`.
pub fn build_arguments(
    program: ProgramName,
    version: Version,
    module_dir: &str,
    output: &str,
) -> Vec<String> {
    let component = program.component();
    let mut arguments = vec!["build".to_owned(), "-C".to_owned(), module_dir.to_owned()];
    arguments.push("-trimpath".to_owned());
    if component == Component::Kubernetes {
        // Leaves out the SDKs of cloud providers that releases before 1.31 still link.
        arguments.extend(["-tags".to_owned(), "providerless".to_owned()]);
    }
    arguments.extend(["-ldflags".to_owned(), ldflags(component, version)]);
    arguments.extend(["-o".to_owned(), output.to_owned(), program.package()]);
    arguments
}

/// The environment of every `go` command: the user's own, and what must not vary.
pub fn go_environment(architecture: Architecture) -> [(&'static str, &'static str); 5] {
    [
        // A static program runs on any distribution and inside an image without a C library.
        ("CGO_ENABLED", "0"),
        ("GOOS", "linux"),
        ("GOARCH", architecture.as_str()),
        // A build must not fetch another Go behind the user's back.
        ("GOTOOLCHAIN", "local"),
        // A workspace file in a parent directory would replace our module.
        ("GOWORK", "off"),
    ]
}
