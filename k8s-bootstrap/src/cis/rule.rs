//! What makes a check hold: pure judgements over what was found on a machine.

use super::{
    Verdict,
    facts::{FileFacts, MachineFacts, Process, Program},
};
use crate::kubeadm::MANIFESTS;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A demand on the value of a flag or a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Test {
    /// It is there.
    Given,
    /// It is not.
    Absent,
    /// It is there and this.
    Is(&'static str),
    /// It is this, or left at its default.
    IsOrAbsent(&'static str),
    /// It is anything but this.
    IsNot(&'static str),
    /// It is a list with this in it.
    Has(&'static str),
    /// It is no list with this in it.
    Lacks(&'static str),
    /// It is a number, and no smaller than this.
    AtLeast(i64),
    /// It is a list, and all of it is among these.
    Among(&'static [&'static str]),
    /// It is an address of the loopback, with or without a port, or left at its default, which is one.
    LoopbackOrAbsent,
}

impl Test {
    fn holds(self, value: Option<&str>) -> bool {
        let list = || value.into_iter().flat_map(|text| text.split(','));
        match self {
            Self::Given => value.is_some_and(|text| !text.is_empty()),
            Self::Absent => value.is_none(),
            Self::Is(wanted) => value == Some(wanted),
            Self::IsOrAbsent(wanted) => value.is_none_or(|text| text == wanted),
            Self::IsNot(other) => value != Some(other),
            Self::Has(item) => list().any(|one| one == item),
            Self::Lacks(item) => !list().any(|one| one == item),
            Self::AtLeast(least) => value
                .and_then(|text| text.parse::<i64>().ok())
                .is_some_and(|number| number >= least),
            Self::Among(good) => value.is_some() && list().all(|one| good.contains(&one)),
            Self::LoopbackOrAbsent => value.is_none_or(|text| {
                text.is_empty() || text.starts_with("127.0.0.1") || text.starts_with("[::1]")
            }),
        }
    }
}

/// Which files.
#[derive(Debug, Clone, Copy)]
pub(super) enum Files {
    /// Those of these that are there.
    At(&'static [&'static str]),
    /// Those below a directory whose names end so, and with an empty end the directory too.
    Below(&'static str, &'static str),
    /// What has a program run: the manifest of its static pod, or its unit.
    Definition(Program),
    /// The one that a flag of a program names.
    Named(Program, &'static str),
    /// The one that a field of the kubelet's configuration names (a JSON pointer).
    NamedByKubelet(&'static str),
}

/// What makes a check hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// Each of these flags of a program.
    Flags(Program, &'static [(&'static str, Test)]),
    /// A flag of a program, or where it is not given a field (a JSON pointer) of the file that `--config` names.
    Setting(Program, &'static str, &'static str, Test),
    /// No file has more permissions than these bits.
    Mode(Files, u32),
    /// Every file belongs to this user and group.
    Owner(Files, &'static str),
    /// Who has no identity gets no further than health.
    Anonymous,
    /// Secrets are encrypted by a strong provider before all others.
    Encryption,
    /// The kubelet serves with a certificate that somebody signed.
    ServingCertificate,
    /// Pods are held to a level of Pod Security by default.
    PodSecurity,
    /// A person has to look at this.
    Manual(&'static str),
}

/// What somebody without an identity may always see.
const HEALTH: [&str; 3] = ["/healthz", "/livez", "/readyz"];
/// The providers that the benchmark takes (1.2.28).
const PROVIDERS: [&str; 3] = ["aescbc", "kms", "secretbox"];

type Judgement = (Verdict, String);

fn held(holds: bool, evidence: String) -> Judgement {
    (if holds { Verdict::Pass } else { Verdict::Fail }, evidence)
}

fn not_running(program: Program) -> Judgement {
    (Verdict::Fail, format!("no {program} runs"))
}

impl Rule {
    /// The program that has to run for the rule to say anything.
    pub(super) fn program(&self) -> Option<Program> {
        match *self {
            Self::Flags(program, _) | Self::Setting(program, ..) => Some(program),
            Self::Mode(Files::Named(program, _), _) | Self::Owner(Files::Named(program, _), _) => {
                Some(program)
            }
            Self::Anonymous => Some(Program::ApiServer),
            _ => None,
        }
    }

    pub(super) fn judge(&self, facts: &MachineFacts) -> Judgement {
        match *self {
            Self::Flags(program, tests) => flags(facts, program, tests),
            Self::Setting(program, flag, field, test) => setting(facts, program, flag, field, test),
            Self::Mode(files, most) => judge_files(facts, files, |file| file.mode & !most == 0),
            Self::Owner(files, owner) => judge_files(facts, files, |file| file.owner == owner),
            Self::Anonymous => anonymous(facts),
            Self::Encryption => encryption(facts),
            Self::ServingCertificate => serving_certificate(facts),
            Self::PodSecurity => pod_security(facts),
            Self::Manual(look) => (Verdict::Manual, look.to_owned()),
        }
    }
}

fn shown(process: &Process, flag: &str) -> String {
    match process.flag(flag) {
        Some(value) => format!("{} --{flag}={value}", process.program),
        None => format!("{} has no --{flag}", process.program),
    }
}

fn flags(facts: &MachineFacts, program: Program, tests: &[(&str, Test)]) -> Judgement {
    let Some(process) = facts.processes.get(&program) else {
        return not_running(program);
    };
    let holds = tests
        .iter()
        .all(|(flag, test)| test.holds(process.flag(flag).as_deref()));
    let evidence: Vec<String> = tests.iter().map(|(flag, _)| shown(process, flag)).collect();
    held(holds, evidence.join("; "))
}

/// A field as the flag of the same meaning would have it.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(items.iter().filter_map(text).collect::<Vec<_>>().join(",")),
        other => Some(other.to_string()),
    }
}

fn setting(
    facts: &MachineFacts,
    program: Program,
    flag: &str,
    field: &str,
    test: Test,
) -> Judgement {
    let Some(process) = facts.processes.get(&program) else {
        return not_running(program);
    };
    if let Some(value) = process.flag(flag) {
        return held(test.holds(Some(&value)), shown(process, flag));
    }
    let path = process.flag("config").unwrap_or_default();
    let Some(document) = process.documents.get("config") else {
        let evidence = format!("{}; its configuration is not there", shown(process, flag));
        return held(test.holds(None), evidence);
    };
    let value = document.pointer(field).and_then(text);
    let name = field.trim_start_matches('/').replace('/', ".");
    let evidence = match &value {
        Some(value) => format!("{path} has {name}: {value}"),
        None => format!("{path} has no {name}"),
    };
    held(test.holds(value.as_deref()), evidence)
}

/// The files, or why there are none: what does not exist has no mode that could be wrong, but a program without a
/// definition has not been understood.
fn select(facts: &MachineFacts, files: Files) -> Result<Vec<(&Path, &FileFacts)>, Judgement> {
    let known = |path: PathBuf| facts.files.get_key_value(&path);
    let one = |path: Option<String>, what: String| match path.and_then(|path| known(path.into())) {
        Some(found) => Ok(vec![found]),
        None => Err((Verdict::Fail, format!("{what} is not there"))),
    };
    let found = match files {
        Files::At(paths) => paths.iter().filter_map(|path| known(path.into())).collect(),
        Files::Below(dir, end) => {
            let below = facts.files.iter().filter(|(path, file)| {
                path.starts_with(dir)
                    && path.to_string_lossy().ends_with(end)
                    && (end.is_empty() || !file.is_directory)
            });
            below.collect()
        }
        Files::Definition(program) => {
            let manifest = format!("{MANIFESTS}/{program}.yaml");
            let unit = format!("/etc/systemd/system/{program}.service");
            let found: Vec<_> = [manifest, unit]
                .into_iter()
                .filter_map(|path| known(path.into()))
                .collect();
            if found.is_empty() {
                let evidence = format!("{program} has neither a manifest nor a unit");
                return Err((Verdict::Fail, evidence));
            }
            found
        }
        Files::Named(program, flag) => match facts.processes.get(&program) {
            None => return Err(not_running(program)),
            Some(process) => one(
                process.flag(flag),
                format!("the file of {program} --{flag}"),
            )?,
        },
        Files::NamedByKubelet(field) => {
            let kubelet = facts.processes.get(&Program::Kubelet);
            let config = kubelet.and_then(|process| process.documents.get("config"));
            let path = config
                .and_then(|config| config.pointer(field))
                .and_then(text);
            one(path, format!("the file of the kubelet's {field}"))?
        }
    };
    if found.is_empty() {
        let what = match files {
            Files::At(paths) => paths.join(", "),
            Files::Below(dir, end) => format!("{dir}/*{end}"),
            _ => String::new(),
        };
        return Err((Verdict::NotApplicable, format!("there is no {what}")));
    }
    Ok(found
        .into_iter()
        .map(|(path, file)| (path.as_path(), file))
        .collect())
}

/// How many files an evidence names before it counts them.
const NAMED_FILES: usize = 2;

fn judge_files(facts: &MachineFacts, files: Files, good: impl Fn(&FileFacts) -> bool) -> Judgement {
    let found = match select(facts, files) {
        Ok(found) => found,
        Err(judgement) => return judgement,
    };
    let show = |(path, file): &(&Path, &FileFacts)| {
        format!("{} {:o} {}", path.display(), file.mode, file.owner)
    };
    let bad: Vec<String> = found
        .iter()
        .filter(|(_, file)| !good(file))
        .map(show)
        .collect();
    if !bad.is_empty() {
        return (Verdict::Fail, bad.join("; "));
    }
    let evidence = match (files, found.len()) {
        (Files::Below(dir, end), count) if count > NAMED_FILES => {
            format!("all {count} of {dir}/*{end}, such as {}", show(&found[0]))
        }
        _ => found.iter().map(show).collect::<Vec<_>>().join("; "),
    };
    (Verdict::Pass, evidence)
}

fn anonymous(facts: &MachineFacts) -> Judgement {
    let program = Program::ApiServer;
    let Some(process) = facts.processes.get(&program) else {
        return not_running(program);
    };
    let flag = "anonymous-auth";
    let Some(config) = process.documents.get("authentication-config") else {
        let off = process.flag(flag).as_deref() == Some("false");
        return held(off, shown(process, flag));
    };
    let anonymous = &config["anonymous"];
    if anonymous["enabled"] == false {
        return (
            Verdict::Pass,
            "the authentication configuration turns it off".to_owned(),
        );
    }
    let conditions = anonymous["conditions"].as_array().into_iter().flatten();
    let paths: Vec<&str> = conditions.filter_map(|one| one["path"].as_str()).collect();
    let health_only = !paths.is_empty() && paths.iter().all(|path| HEALTH.contains(path));
    let evidence = match paths.as_slice() {
        [] => "the authentication configuration has no conditions".to_owned(),
        paths => format!(
            "the authentication configuration lets them see {}",
            paths.join(" ")
        ),
    };
    held(health_only, evidence)
}

fn encryption(facts: &MachineFacts) -> Judgement {
    let program = Program::ApiServer;
    let Some(process) = facts.processes.get(&program) else {
        return not_running(program);
    };
    let Some(providers) = &process.encryption_providers else {
        return (Verdict::Fail, shown(process, "encryption-provider-config"));
    };
    let first = providers.first().map(String::as_str);
    let strong = first.is_some_and(|first| PROVIDERS.contains(&first));
    held(strong, format!("providers: {}", providers.join(", ")))
}

fn serving_certificate(facts: &MachineFacts) -> Judgement {
    let Some(process) = facts.processes.get(&Program::Kubelet) else {
        return not_running(Program::Kubelet);
    };
    let config = process.documents.get("config");
    let field = |name: &str| config.and_then(|config| config.get(name)).and_then(text);
    if field("serverTLSBootstrap").as_deref() == Some("true") {
        let evidence = "serverTLSBootstrap: true, signed by the cluster".to_owned();
        return (Verdict::Pass, evidence);
    }
    let pair = [
        ("tls-cert-file", "tlsCertFile"),
        ("tls-private-key-file", "tlsPrivateKeyFile"),
    ];
    let found = pair.map(|(flag, name)| process.flag(flag).or_else(|| field(name)));
    match found {
        [Some(certificate), Some(key)] => (Verdict::Pass, format!("{certificate}, {key}")),
        _ => (
            Verdict::Fail,
            "neither serverTLSBootstrap nor tlsCertFile and tlsPrivateKeyFile".to_owned(),
        ),
    }
}

fn pod_security(facts: &MachineFacts) -> Judgement {
    let program = Program::ApiServer;
    let Some(process) = facts.processes.get(&program) else {
        return not_running(program);
    };
    let Some(config) = process.documents.get("admission-control-config-file") else {
        return (
            Verdict::Fail,
            shown(process, "admission-control-config-file"),
        );
    };
    let plugins = config["plugins"].as_array().into_iter().flatten();
    let mut of_pods = plugins.filter(|plugin| plugin["name"] == "PodSecurity");
    let level = of_pods.find_map(|plugin| plugin["configuration"]["defaults"]["enforce"].as_str());
    let holds = level.is_some_and(|level| matches!(level, "baseline" | "restricted"));
    let level = level.unwrap_or("nothing");
    held(holds, format!("Pod Security enforces {level} by default"))
}

#[cfg(test)]
mod tests {
    use super::Test;

    #[test]
    fn tests_hold_as_the_benchmark_means_them() {
        for (test, value, holds) in [
            (Test::Given, Some("x"), true),
            (Test::Given, Some(""), false),
            (Test::Given, None, false),
            (Test::Absent, None, true),
            (Test::Absent, Some("x"), false),
            (Test::Is("false"), Some("false"), true),
            (Test::Is("false"), None, false),
            (Test::IsOrAbsent("true"), None, true),
            (Test::IsOrAbsent("true"), Some("false"), false),
            (Test::IsNot("0"), None, true),
            (Test::IsNot("0"), Some("0"), false),
            (Test::Has("RBAC"), Some("Node,RBAC"), true),
            (Test::Has("RBAC"), Some("Node,RBACs"), false),
            (Test::Has("RBAC"), None, false),
            (Test::Lacks("AlwaysAdmit"), None, true),
            (Test::Lacks("AlwaysAdmit"), Some("A,AlwaysAdmit"), false),
            (Test::AtLeast(30), Some("30"), true),
            (Test::AtLeast(30), Some("29"), false),
            (Test::AtLeast(30), Some("many"), false),
            (Test::AtLeast(30), None, false),
            (Test::Among(&["a", "b"]), Some("b,a"), true),
            (Test::Among(&["a", "b"]), Some("a,c"), false),
            (Test::Among(&["a", "b"]), None, false),
            (Test::LoopbackOrAbsent, Some("127.0.0.1:10249"), true),
            (Test::LoopbackOrAbsent, Some("0.0.0.0:10249"), false),
            (Test::LoopbackOrAbsent, None, true),
        ] {
            assert_eq!(test.holds(value), holds, "{test:?} {value:?}");
        }
    }
}
