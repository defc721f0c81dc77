//! The rules. Pure.

use super::{
    problem::{CertificateFinding, CertificateProblem, CertificateUse},
    read::{self, Read},
};
use crate::{ClusterSpec, MemberSpec};
use host_exec::File;
use rustls::pki_types::{ServerName, UnixTime};
use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::Duration,
};
use time::OffsetDateTime;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// The moment a certificate is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// By the caller's clock.
    pub here: OffsetDateTime,
    /// By the clock of the member's machine; `None` where it is not known.
    pub member: Option<OffsetDateTime>,
}

/// Certificates with which members could not speak to each other or to clients. Nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct BadCertificates(
    /// All of them, at least one, in the order of members and files.
    pub Vec<CertificateFinding>,
);

/// Checks the certificates of all members in `spec` as they would be at `now`. Call it before
/// [`apply`](crate::apply).
///
/// # Errors
///
/// Any finding; see [`CertificateProblem`]. A certificate that ends soon is *not* an error.
pub fn check(spec: &ClusterSpec, now: OffsetDateTime) -> Result<(), BadCertificates> {
    let clocks = Clocks {
        here: now,
        member: None,
    };
    let of_member = |member| findings(member, &member.certificates, clocks);
    let all: Vec<_> = spec.members().iter().flat_map(of_member).collect();
    if all.is_empty() {
        Ok(())
    } else {
        Err(BadCertificates(all))
    }
}

/// What is wrong with the six files of `member`, which are looked for in `files`: those that are to be written,
/// or those that were found (see [`observe`](super::observe)).
#[must_use]
pub fn findings(member: &MemberSpec, files: &[File], clocks: Clocks) -> Vec<CertificateFinding> {
    let mut judge = Judge::new(member, files, clocks);
    for side in [Side::Clients, Side::Peers] {
        judge.identity(side);
    }
    judge.found
}

/// What is wrong with the certificate that `member` presents at the port of this side, its own first, when judged with
/// the authorities in `member`.
pub(super) fn findings_of(
    member: &MemberSpec,
    side: Side,
    chain: &[Read],
    clocks: Clocks,
) -> Vec<CertificateFinding> {
    let mut judge = Judge::new(member, &member.certificates, clocks);
    let wanted = Identity::of(member, side);
    let authorities = judge.certificates(wanted.authorities);
    judge.chain(&wanted, authorities.as_deref(), chain);
    judge.found
}

/// Whom a certificate is shown to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Clients,
    Peers,
}

/// The address that the member's connections to its peers come from. Over the loopback that is always the first
/// one, whatever address they go to.
fn source_ip(peer_ip: IpAddr) -> IpAddr {
    match peer_ip {
        IpAddr::V4(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// A certificate, its key, and what is asked of both.
struct Identity<'a> {
    certificate: &'a Path,
    key: &'a Path,
    authorities: &'a Path,
    dialled: &'a [IpAddr],
    source: Option<IpAddr>,
}

impl<'a> Identity<'a> {
    fn of(member: &'a MemberSpec, side: Side) -> Self {
        let pki = &member.pki;
        match side {
            Side::Clients => Self {
                certificate: &pki.server_certificate,
                key: &pki.server_key,
                authorities: &pki.client_ca,
                dialled: &member.client_ips,
                source: None,
            },
            Side::Peers => Self {
                certificate: &pki.peer_certificate,
                key: &pki.peer_key,
                authorities: &pki.peer_ca,
                dialled: std::slice::from_ref(&member.peer_ip),
                source: Some(source_ip(member.peer_ip)),
            },
        }
    }
}

struct Judge<'a> {
    member: &'a MemberSpec,
    files: &'a [File],
    clocks: Clocks,
    found: Vec<CertificateFinding>,
}

impl<'a> Judge<'a> {
    fn new(member: &'a MemberSpec, files: &'a [File], clocks: Clocks) -> Self {
        Self {
            member,
            files,
            clocks,
            found: Vec::new(),
        }
    }

    fn say(&mut self, path: &Path, problem: CertificateProblem) {
        self.found.push(CertificateFinding {
            member: self.member.name.clone(),
            path: path.to_owned(),
            problem,
        });
    }

    fn file(&mut self, path: &Path) -> Option<File> {
        let file = self.files.iter().find(|file| file.path == path).cloned();
        if file.is_none() {
            self.say(path, CertificateProblem::Missing);
        }
        file
    }

    fn certificates(&mut self, path: &Path) -> Option<Vec<Read>> {
        let file = self.file(path)?;
        match read::certificates(file.contents.bytes()) {
            Ok(all) => Some(all),
            Err(problem) => {
                self.say(path, problem);
                None
            }
        }
    }

    fn identity(&mut self, side: Side) {
        let wanted = Identity::of(self.member, side);
        let authorities = self.certificates(wanted.authorities);
        let chain = self.certificates(wanted.certificate).unwrap_or_default();
        let key = self.file(wanted.key);
        self.chain(&wanted, authorities.as_deref(), &chain);
        if let Some(key) = key {
            self.key(&wanted, &key, chain.first());
        }
    }

    /// The certificate itself, which is the first of `chain`: who signed it, whom it names, when it lives.
    fn chain(&mut self, wanted: &Identity<'_>, authorities: Option<&[Read]>, chain: &[Read]) {
        let Some(leaf) = chain.first() else { return };
        if let Some(authorities) = authorities {
            self.trust(wanted, authorities, chain, leaf);
        }
        let problems = name_problems(wanted, leaf);
        for problem in problems.into_iter().chain(life_problem(leaf, self.clocks)) {
            self.say(wanted.certificate, problem);
        }
    }

    fn key(&mut self, wanted: &Identity<'_>, key: &File, leaf: Option<&Read>) {
        if key.mode.bits() & 0o077 != 0 {
            self.say(
                wanted.key,
                CertificateProblem::ReadableKey { mode: key.mode },
            );
        }
        let Some(leaf) = leaf else { return };
        if let Err(problem) = read::key(key.contents.bytes(), leaf, wanted.certificate) {
            self.say(wanted.key, problem);
        }
    }

    /// Whether an authority that lives signed it, for both sides of TLS.
    fn trust(&mut self, wanted: &Identity<'_>, authorities: &[Read], chain: &[Read], leaf: &Read) {
        let strangers = authorities.iter().filter(|found| !found.is_authority);
        for stranger in strangers
            .map(|found| found.subject.clone())
            .collect::<Vec<_>>()
        {
            self.say(
                wanted.authorities,
                CertificateProblem::NotAuthority { subject: stranger },
            );
        }
        let signers: Vec<&Read> = authorities
            .iter()
            .filter(|authority| is_signer(authority, chain, leaf))
            .collect();
        let Some(signer) = signers.first() else {
            let trusted = authorities.iter().map(|found| found.subject.clone());
            let problem = CertificateProblem::OtherAuthority {
                issuer: chain
                    .last()
                    .map_or_else(String::new, |last| last.issuer.clone()),
                trusted: trusted.collect(),
                authorities: wanted.authorities.to_owned(),
            };
            return self.say(wanted.certificate, problem);
        };
        let mut problems = Vec::new();
        for outcome in SIDES.map(|side| signed(signer, chain, leaf, side)) {
            if let Signed::But(problem) = outcome
                && !problems.contains(&problem)
            {
                problems.push(problem);
            }
        }
        for problem in problems {
            self.say(wanted.certificate, problem);
        }
        // Go, unlike webpki, wants the authority itself to live. One living signer is enough.
        let lives = signers
            .iter()
            .map(|signer| life_problem(signer, self.clocks));
        let lives: Vec<_> = lives.collect();
        if let (false, Some(Some(problem))) = (lives.contains(&None), lives.first()) {
            self.say(wanted.authorities, problem.clone());
        }
    }
}

const SIDES: [CertificateUse; 2] = [CertificateUse::Server, CertificateUse::Client];

/// Whether an authority signed a certificate. webpki looks at the use before it looks for a signer, so a
/// certificate that lacks one side is tried for the other; one that lacks both is said to lack them, and no more.
fn is_signer(authority: &Read, chain: &[Read], leaf: &Read) -> bool {
    let outcomes = SIDES.map(|side| signed(authority, chain, leaf, side));
    let lacks_use =
        |outcome: &Signed| matches!(outcome, Signed::But(CertificateProblem::LacksUse { .. }));
    outcomes.iter().all(lacks_use)
        || outcomes
            .iter()
            .any(|outcome| !lacks_use(outcome) && *outcome != Signed::No)
}

/// What a verifier says about one authority as the signer of a certificate.
#[derive(PartialEq, Eq)]
enum Signed {
    Yes,
    No,
    /// It signed it, and another rule is broken.
    But(CertificateProblem),
}

/// Asks webpki, at a moment of the certificate's own life: the life is judged apart, so that a certificate that
/// is both too old and of a wrong authority is called both.
fn signed(authority: &Read, chain: &[Read], leaf: &Read, side: CertificateUse) -> Signed {
    let refused = |error: webpki::Error| {
        Signed::But(CertificateProblem::Refused {
            reason: error.to_string(),
        })
    };
    let Ok(anchor) = anchor_from_trusted_cert(&authority.der).map(|anchor| [anchor]) else {
        return Signed::No;
    };
    let end = match EndEntityCert::try_from(&leaf.der) {
        Ok(end) => end,
        Err(error) => return refused(error),
    };
    let between: Vec<_> = chain
        .iter()
        .skip(1)
        .map(|found| found.der.clone())
        .collect();
    let usage = match side {
        CertificateUse::Server => KeyUsage::server_auth(),
        CertificateUse::Client => KeyUsage::client_auth(),
    };
    // The middle of the life: an intermediate may begin a little later and end a little earlier.
    let (first, last) = (
        leaf.not_before.unix_timestamp(),
        leaf.not_after.unix_timestamp(),
    );
    let seconds = u64::try_from(first.midpoint(last)).unwrap_or_default();
    let moment = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let verified = end.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &anchor,
        &between,
        moment,
        usage,
        None,
        None,
    );
    match verified {
        Ok(_) => Signed::Yes,
        Err(webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey) => {
            Signed::No
        }
        Err(webpki::Error::RequiredEkuNotFoundContext(_) | webpki::Error::EmptyEkuExtension) => {
            Signed::But(CertificateProblem::LacksUse { lacks: side })
        }
        Err(error) => refused(error),
    }
}

fn name_problems(wanted: &Identity<'_>, leaf: &Read) -> Vec<CertificateProblem> {
    let has = || leaf.names.clone();
    let dialled = wanted.dialled.iter().filter(|ip| !holds(leaf, **ip));
    let mut problems: Vec<_> = dialled
        .map(|ip| CertificateProblem::LacksAddress {
            ip: *ip,
            has: has(),
        })
        .collect();
    let source = wanted.source.filter(|ip| !wanted.dialled.contains(ip));
    if let Some(ip) = source.filter(|ip| !holds(leaf, *ip)) {
        problems.push(CertificateProblem::LacksSource { ip, has: has() });
    }
    problems
}

fn holds(leaf: &Read, ip: IpAddr) -> bool {
    let name = ServerName::IpAddress(ip.into());
    EndEntityCert::try_from(&leaf.der)
        .is_ok_and(|end| end.verify_is_valid_for_subject_name(&name).is_ok())
}

/// Whether a certificate lives by both clocks; the caller's is asked first.
fn life_problem(certificate: &Read, clocks: Clocks) -> Option<CertificateProblem> {
    let off = |member: OffsetDateTime| (member - clocks.here).whole_seconds();
    let members = clocks.member.map(|member| (member, Some(off(member))));
    let moments = [Some((clocks.here, None)), members];
    let Read {
        not_before,
        not_after,
        ..
    } = *certificate;
    moments
        .into_iter()
        .flatten()
        .find_map(|(now, clock_off_s)| {
            if now < not_before {
                Some(CertificateProblem::NotYetValid {
                    not_before,
                    now,
                    clock_off_s,
                })
            } else if now > not_after {
                Some(CertificateProblem::Expired {
                    not_after,
                    now,
                    clock_off_s,
                })
            } else {
                None
            }
        })
}
