//! The cases of the table: for each a trust store, what the peer sends, and what it is asked for.

use super::der::{
    AKI, ANY_USAGE, BASIC, CLIENT, Draft, EXTENDED_USAGE, Extension, KEY_USAGE, Key, Name,
    PRINTABLE, SERVER, SKI, UTF8, aki, basic, dns, extended_usage, ip, key_usage, permitted, san,
    ski, unknown,
};

/// 2027-01-15 08:00:00, the moment of all tests, is within; so are a year before and after.
const START: &str = "260115080000Z";
const END: &str = "280115080000Z";
const HOST: &str = "etcd-0.lab";
const DIGITAL_SIGNATURE: u8 = 0x80;
const KEY_ENCIPHERMENT: u8 = 0x20;
/// keyCertSign and cRLSign.
const SIGN: u8 = 0x06;

/// What a verifier is asked.
#[derive(Clone, Copy)]
pub(super) enum Ask {
    /// Whether a client may take it for a server of this name or address.
    Server(&'static str),
    /// Whether a server may take it for a client.
    Client,
}

/// One row of the table.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) roots: Vec<Vec<u8>>,
    pub(super) sent: Vec<Vec<u8>>,
    pub(super) leaf: Vec<u8>,
    pub(super) ask: Ask,
}

fn draft(issuer: &Name, subject: &Name, extensions: Vec<Extension>) -> Draft {
    Draft {
        serial: vec![0x11, 0x22],
        issuer: issuer.clone(),
        subject: subject.clone(),
        not_before: START.to_owned(),
        not_after: END.to_owned(),
        extensions,
    }
}

/// An authority as it should be, and its key.
struct Root {
    key: Key,
    name: Name,
}

impl Root {
    fn new() -> Self {
        Self {
            key: Key::new(),
            name: Name::new("lab-ca"),
        }
    }

    fn draft(&self) -> Draft {
        let extensions = vec![
            basic(true, None),
            key_usage(DIGITAL_SIGNATURE | SIGN),
            ski(&self.key.id()),
        ];
        draft(&self.name, &self.name, extensions)
    }

    fn certificate(&self) -> Vec<u8> {
        self.signed(&self.draft())
    }

    fn signed(&self, draft: &Draft) -> Vec<u8> {
        draft.sign(&self.key, &self.key)
    }

    /// A leaf as it should be, of a key.
    fn leaf(&self, key: &Key) -> Draft {
        let extensions = vec![
            basic(false, None),
            key_usage(DIGITAL_SIGNATURE),
            extended_usage(&[SERVER, CLIENT]),
            san(&[dns(HOST), ip(&[10, 0, 0, 2])]),
            ski(&key.id()),
            aki(&self.key.id()),
        ];
        draft(&self.name, &Name::new("etcd-0"), extensions)
    }
}

/// A case in which only the leaf is unusual.
fn leaf(name: &'static str, ask: Ask, change: impl FnOnce(Draft) -> Draft) -> Case {
    let (root, key) = (Root::new(), Key::new());
    let leaf = change(root.leaf(&key)).sign(&key, &root.key);
    Case {
        name,
        roots: vec![root.certificate()],
        sent: Vec::new(),
        leaf,
        ask,
    }
}

/// A case in which only the authority is unusual.
fn root(name: &'static str, ask: Ask, change: impl FnOnce(Draft) -> Draft) -> Case {
    let (root, key) = (Root::new(), Key::new());
    Case {
        name,
        roots: vec![root.signed(&change(root.draft()))],
        sent: Vec::new(),
        leaf: root.leaf(&key).sign(&key, &root.key),
        ask,
    }
}

/// The name, the change and the question of every case of this group.
pub(super) fn names() -> Vec<Case> {
    let no_san = |draft: Draft| draft.without(&[0x55, 0x1d, 17]);
    let named = |names: Vec<Vec<u8>>| move |draft: Draft| draft.with(san(&names));
    vec![
        leaf("as it should be, server", Ask::Server(HOST), |leaf| leaf),
        leaf("as it should be, client", Ask::Client, |leaf| leaf),
        leaf("server, no SAN, CN=host", Ask::Server(HOST), |leaf| {
            let mut leaf = no_san(leaf);
            leaf.subject = Name::new(HOST);
            leaf
        }),
        leaf("client, no SAN", Ask::Client, no_san),
        leaf(
            "IP written as dNSName, asked by IP",
            Ask::Server("10.0.0.9"),
            named(vec![dns("10.0.0.9"), dns(HOST)]),
        ),
        leaf(
            "IP written as dNSName, asked by its true DNS name",
            Ask::Server(HOST),
            named(vec![dns("10.0.0.9"), dns(HOST)]),
        ),
        leaf(
            "SAN with trailing dot",
            Ask::Server(HOST),
            named(vec![dns("etcd-0.lab.")]),
        ),
        leaf(
            "*.lab asked for etcd-0.lab",
            Ask::Server(HOST),
            named(vec![dns("*.lab")]),
        ),
        leaf(
            "*.lab.test asked for etcd-0.lab.test",
            Ask::Server("etcd-0.lab.test"),
            named(vec![dns("*.lab.test")]),
        ),
        leaf(
            "SAN with underscore",
            Ask::Server("etcd_0.lab"),
            named(vec![dns("etcd_0.lab")]),
        ),
        leaf("CN of 65 chars", Ask::Server(HOST), |mut leaf| {
            leaf.subject = Name::new(&"n".repeat(65));
            leaf
        }),
        leaf("empty subject, critical SAN", Ask::Server(HOST), |leaf| {
            let mut leaf = leaf.with(san(&[dns(HOST)]).critical());
            leaf.subject = Name::empty();
            leaf
        }),
        leaf(
            "IP SAN of 5 bytes beside the name",
            Ask::Server(HOST),
            named(vec![dns(HOST), ip(&[10, 0, 0, 2, 0])]),
        ),
    ]
}

pub(super) fn extensions() -> Vec<Case> {
    let server = Ask::Server(HOST);
    vec![
        leaf("EKU server only, used as client", Ask::Client, |leaf| {
            leaf.with(extended_usage(&[SERVER]))
        }),
        leaf("no EKU at all", Ask::Client, |leaf| {
            leaf.without(EXTENDED_USAGE)
        }),
        leaf("EKU any, used as client", Ask::Client, |leaf| {
            leaf.with(extended_usage(&[ANY_USAGE]))
        }),
        leaf("KU keyEncipherment only, ECDSA key", server, |leaf| {
            leaf.with(key_usage(KEY_ENCIPHERMENT))
        }),
        leaf("leaf without BC and SKI", server, |leaf| {
            leaf.without(BASIC).without(SKI)
        }),
        leaf("leaf without AKI", server, |leaf| leaf.without(AKI)),
        leaf("leaf with CA:TRUE", server, |leaf| {
            leaf.with(basic(true, None))
        }),
        leaf("unknown critical extension", server, |leaf| {
            leaf.with(unknown())
        }),
        leaf("SKI marked critical", server, |leaf| {
            leaf.with(ski(&[7; 20]).critical())
        }),
        leaf("the same extension twice", server, |leaf| {
            leaf.and(ski(&[7; 20]))
        }),
    ]
}

pub(super) fn serials_and_times() -> Vec<Case> {
    let serial = |name, serial: Vec<u8>| {
        leaf(name, Ask::Server(HOST), move |mut leaf| {
            leaf.serial = serial;
            leaf
        })
    };
    let life = |name, start: &'static str, end: &'static str| {
        leaf(name, Ask::Server(HOST), move |mut leaf| {
            leaf.not_before = start.to_owned();
            leaf.not_after = end.to_owned();
            leaf
        })
    };
    vec![
        serial("serial 0", vec![0]),
        serial("serial of 20 bytes", vec![0x11; 20]),
        serial("serial of 21 octets", [vec![0], vec![0xff; 20]].concat()),
        serial("serial negative", vec![0x80, 1]),
        life("validity 1975..4096", "750101000000Z", "40960101000000Z"),
        life("leaf outlives CA", START, "290115080000Z"),
        life("notBefore 1 s ahead", "270115080001Z", END),
        life("notBefore this second", "270115080000Z", END),
        life("notAfter this second", START, "270115080000Z"),
        life("1 s after notAfter", START, "270115075959Z"),
    ]
}

pub(super) fn authorities() -> Vec<Case> {
    let server = Ask::Server(HOST);
    vec![
        root("root without basicConstraints", server, |root| {
            root.without(BASIC)
        }),
        root("root KU without keyCertSign", server, |root| {
            root.with(key_usage(DIGITAL_SIGNATURE))
        }),
        root("root without KU", server, |root| root.without(KEY_USAGE)),
        root("root expired", server, |mut root| {
            root.not_after = "270114080000Z".to_owned();
            root
        }),
        root("root EKU=server, leaf as client", Ask::Client, |root| {
            root.with(extended_usage(&[SERVER]))
        }),
        path_length(),
        string_types(),
    ]
}

/// A root that allows no intermediate, and one.
fn path_length() -> Case {
    let (root, key) = (Root::new(), Key::new());
    let middle = Root {
        key: Key::new(),
        name: Name::new("lab-intermediate"),
    };
    let mut draft = middle.draft().and(aki(&root.key.id()));
    draft.issuer = root.name.clone();
    Case {
        name: "root pathlen 0, one intermediate",
        roots: vec![root.signed(&root.draft().with(basic(true, Some(0))))],
        sent: vec![draft.sign(&middle.key, &root.key)],
        leaf: middle.leaf(&key).sign(&key, &middle.key),
        ask: Ask::Server(HOST),
    }
}

fn string_types() -> Case {
    let (mut root, key) = (Root::new(), Key::new());
    root.name = Name::of("lab-ca", PRINTABLE);
    let certificate = root.certificate();
    root.name = Name::of("lab-ca", UTF8);
    Case {
        name: "issuer UTF8String, CA subject PrintableString",
        roots: vec![certificate],
        sent: Vec::new(),
        leaf: root.leaf(&key).sign(&key, &root.key),
        ask: Ask::Server(HOST),
    }
}

pub(super) fn constraints() -> Vec<Case> {
    let ten = || ip(&[10, 0, 0, 0, 255, 0, 0, 0]);
    let constrained = |name, subtrees: Vec<Vec<u8>>, names: Option<Vec<Vec<u8>>>, ask| {
        let (root, key) = (Root::new(), Key::new());
        let leaf = match names {
            Some(names) => root.leaf(&key).with(san(&names)),
            None => root.leaf(&key).without(&[0x55, 0x1d, 17]),
        };
        Case {
            name,
            roots: vec![root.signed(&root.draft().with(permitted(&subtrees)))],
            sent: Vec::new(),
            leaf: leaf.sign(&key, &root.key),
            ask,
        }
    };
    let v6_loopback = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    vec![
        constrained(
            "DNS inside permitted subtree",
            vec![dns("lab")],
            Some(vec![dns(HOST)]),
            Ask::Server(HOST),
        ),
        constrained(
            "DNS outside permitted subtree",
            vec![dns("other")],
            Some(vec![dns(HOST)]),
            Ask::Server(HOST),
        ),
        constrained(
            "IP outside permitted subtree",
            vec![ten()],
            Some(vec![ip(&[192, 0, 2, 1])]),
            Ask::Server("192.0.2.1"),
        ),
        constrained(
            "127.0.0.1 with only 10/8 permitted",
            vec![ten()],
            Some(vec![ip(&[127, 0, 0, 1])]),
            Ask::Server("127.0.0.1"),
        ),
        constrained(
            "::1 with only 10/8 permitted",
            vec![ten()],
            Some(vec![ip(&v6_loopback)]),
            Ask::Server("::1"),
        ),
        constrained(
            "client leaf without SAN under a constrained CA",
            vec![dns("lab"), ten()],
            None,
            Ask::Client,
        ),
    ]
}

pub(super) fn rotations() -> Vec<Case> {
    let mut cases = vec![renewed()];
    for (name, with_aki, old_first) in [
        (
            "two CAs of one name, AKI in leaf, right one first",
            true,
            false,
        ),
        (
            "two CAs of one name, AKI in leaf, right one last",
            true,
            true,
        ),
        ("two CAs of one name, no AKI, right one first", false, false),
        ("two CAs of one name, no AKI, right one last", false, true),
    ] {
        let (old, new, key) = (Root::new(), Root::new(), Key::new());
        let mut roots = vec![new.certificate(), old.certificate()];
        if old_first {
            roots.reverse();
        }
        let leaf = new.leaf(&key);
        let leaf = if with_aki { leaf } else { leaf.without(AKI) };
        cases.push(Case {
            name,
            roots,
            sent: Vec::new(),
            leaf: leaf.sign(&key, &new.key),
            ask: Ask::Server(HOST),
        });
    }
    cases.extend([
        crossed(
            "cross-sign, both CAs the same name, no AKI on it",
            "lab-ca",
            true,
            false,
        ),
        crossed("cross-sign, both CAs the same name", "lab-ca", true, true),
        crossed("cross-sign, distinct names", "lab-ca g2", true, true),
        crossed(
            "cross-sign, distinct names, no AKI on it",
            "lab-ca g2",
            true,
            false,
        ),
        crossed(
            "cross-sign, cross certificate not sent",
            "lab-ca g2",
            false,
            true,
        ),
    ]);
    cases
}

/// The authority renewed with the same key and name and another method for its key identifier.
fn renewed() -> Case {
    let (root, key) = (Root::new(), Key::new());
    Case {
        name: "CA renewed, same key and name, other SKI method; old leaf",
        roots: vec![root.signed(&root.draft().with(ski(&[9; 20])))],
        sent: Vec::new(),
        leaf: root.leaf(&key).sign(&key, &root.key),
        ask: Ask::Server(HOST),
    }
}

/// Only the old authority is trusted; the new one's certificate is signed by the old one.
fn crossed(name: &'static str, new_name: &str, sent: bool, with_aki: bool) -> Case {
    let (old, key) = (Root::new(), Key::new());
    let new = Root {
        key: Key::new(),
        name: Name::new(new_name),
    };
    let mut cross = new.draft();
    cross.issuer = old.name.clone();
    if with_aki {
        cross = cross.and(aki(&old.key.id()));
    }
    let cross = cross.sign(&new.key, &old.key);
    Case {
        name,
        roots: vec![old.certificate()],
        sent: if sent { vec![cross] } else { Vec::new() },
        leaf: new.leaf(&key).sign(&key, &new.key),
        ask: Ask::Server(HOST),
    }
}
