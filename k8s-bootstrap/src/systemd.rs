//! Components as systemd units.

use crate::component::Component;
use host_exec::{File, systemd::UnitName};

/// Where units of the administrator lie; they win over the distribution's (systemd.unit(5)).
pub(crate) const UNIT_DIR: &str = "/etc/systemd/system";

/// The name of a component's unit.
pub fn unit_name(component: &Component) -> UnitName {
    format!("{}.service", component.name)
        .parse()
        .expect("component names are letters and '-'")
}

/// The unit file of a component.
pub fn unit_file(component: &Component) -> File {
    File::public(
        format!("{UNIT_DIR}/{}.service", component.name),
        render(component),
    )
}

fn render(component: &Component) -> String {
    let options = &component.options;
    let mut text = String::new();
    let mut line = |key: &str, value: &str| {
        text.push_str(key);
        if !value.is_empty() {
            text.push('=');
            text.push_str(value);
        }
        text.push('\n');
    };
    line("[Unit]", "");
    line("Description", component.description);
    for (key, value) in &options.unit {
        line(key, value);
    }
    // No limit on restarts: what it waits for may take any time.
    line("StartLimitIntervalSec", "0");
    line("\n[Service]", "");
    if options.oneshot {
        line("Type", "oneshot");
        line("RemainAfterExit", "yes");
        line("Restart", "on-failure");
    } else {
        // "exec" reports a program that cannot be started, and waits for nothing else.
        line("Type", "exec");
        line("Restart", "always");
    }
    line("RestartSec", "1");
    for (name, value) in &component.environment {
        line("Environment", &quote(&format!("{name}={value}")));
    }
    for (key, value) in &options.service {
        line(key, value);
    }
    let command: Vec<String> = std::iter::once(&component.program)
        .chain(&component.arguments)
        .map(|word| quote(&word.replace('$', "$$")))
        .collect();
    line("ExecStart", &command.join(" \\\n    "));
    line("\n[Install]", "");
    line("WantedBy", "multi-user.target");
    text
}

/// A word that systemd reads as it is: specifiers (`%`) and quotes (systemd.syntax(7)) taken care of.
fn quote(word: &str) -> String {
    let word = word.replace('%', "%%");
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._+-=:,*@%[]$".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word;
    }
    let escaped = word
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn words_reach_the_program_unchanged() {
        assert_eq!(quote("--a=b,c"), "--a=b,c");
        assert_eq!(quote("50%"), "50%%");
        assert_eq!(quote("a b\"c\\"), "\"a b\\\"c\\\\\"");
        assert_eq!(quote(""), "\"\"");
    }
}
