//! `lab certs export` and `lab certs sign`: certificates for people and programs beside the cluster.

use crate::{
    args::{CertificateUsage, ExportArgs, Format, Global, SignArgs},
    exit::Exit,
    screen, wanted,
};
use anyhow::Context as _;
use pki::{AltNames, Life, NamePolicy, OsRandom, Passphrase, Purpose, SigningPolicy, Subject};
use serde_json::json;
use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
};

/// What holds a key is its owner's from the first byte.
const SECRET: u32 = 0o600;

/// `lab certs export`.
pub(crate) fn export(global: &Global, args: &ExportArgs) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let passphrase = Passphrase::from_file(&args.passphrase_file)?;
    let bytes = lab.store().pkcs12(&args.item, &passphrase, &OsRandom)?;
    let (item, path) = (&args.item, &args.pkcs12);
    if !global.dry_run {
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(SECRET).open(path);
        let mut file = opened.with_context(|| {
            format!(
                "cannot make {}; give a file that is not there",
                path.display()
            )
        })?;
        let written = file.write_all(&bytes).and_then(|()| file.sync_all());
        if written.is_err() {
            // Half a file is of no use, and would be in the way of the next try.
            fs::remove_file(path).ok();
        }
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    match global.output {
        Format::Json => {
            let result = json!({ "item": item, "file": path, "changed": !global.dry_run });
            screen::print_json(&json!({ "result": result }))?;
        }
        Format::Text if global.dry_run => {
            screen::print(&format!("{item} would be written to {}\n", path.display()))?;
        }
        Format::Text => screen::print(&format!(
            "{} has {item}, its key and its authority, under the pass phrase of {}\n",
            path.display(),
            args.passphrase_file.display()
        ))?,
    }
    Ok(Exit::DONE)
}

/// `lab certs sign`.
pub(crate) fn sign(global: &Global, args: &SignArgs) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let path = &args.request;
    let request =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let policy = policy(args)?;
    if global.dry_run {
        let (subject, authority) = (&policy.subject, args.authority.name());
        let days = args.days;
        screen::print(&format!(
            "{subject} would be signed by ca/{authority} for {days} days, if the request asks for no more\n"
        ))?;
        return Ok(Exit::DONE);
    }
    let store = lab.store();
    let signed = store.sign_request(args.authority, &request, &policy, lab.now, &OsRandom)?;
    match global.output {
        Format::Json => screen::print_json(&json!({ "result": { "certificate": signed } }))?,
        Format::Text => screen::print(&signed)?,
    }
    Ok(Exit::DONE)
}

fn policy(args: &SignArgs) -> anyhow::Result<SigningPolicy> {
    let groups: Vec<&str> = args.organization.iter().map(String::as_str).collect();
    Ok(SigningPolicy {
        subject: Subject::new(&args.common_name, &groups)?,
        purpose: match args.usage {
            CertificateUsage::Client => Purpose::Client,
            CertificateUsage::Server => Purpose::Server,
            CertificateUsage::Both => Purpose::ServerAndClient,
        },
        names: NamePolicy::Among(AltNames::new(args.dns.clone(), args.ip.clone())?),
        life: Life::days(args.days)?,
    })
}
