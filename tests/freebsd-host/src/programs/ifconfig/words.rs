//! The words behind the name of an interface.

use crate::net::{
    interfaces::Nd6,
    said::{Answer, Said},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One thing that is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Destroy,
    Rename(String),
    Describe(Option<String>),
    Group(String, bool),
    Up(bool),
    Member(String, bool),
    Address(Address),
    Nd6(Nd6, bool),
    Ether(String),
    Mtu(u32),
}

/// An address that is to come or to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) address: IpAddr,
    /// Behind the percent sign.
    pub(super) scope: Option<String>,
    pub(super) prefix_len: u8,
    pub(super) how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// In the place of the first of its family (IPv4 only; of IPv6 all addresses are aliases).
    Replace,
    Alias,
    Remove,
}

/// Reads them.
///
/// # Errors
///
/// As the real program says it: a word that it does not know is an address to it, and a bad one.
pub(super) fn changes(words: &[&str]) -> Answer<Vec<Change>> {
    let mut reader = Reader {
        words: words.iter(),
        is_v6: false,
        changes: Vec::new(),
        address: None,
        length: None,
        how: How::Replace,
    };
    while let Some(word) = reader.words.next() {
        reader.read(word)?;
    }
    reader.finish()
}

struct Reader<'a> {
    words: std::slice::Iter<'a, &'a str>,
    is_v6: bool,
    changes: Vec<Change>,
    address: Option<&'a str>,
    length: Option<u8>,
    how: How,
}

impl<'a> Reader<'a> {
    fn read(&mut self, word: &'a str) -> Answer<()> {
        if let Some((flag, on)) = nd6(word) {
            self.changes.push(Change::Nd6(flag, on));
            return Ok(());
        }
        let change = match word {
            "inet" => return self.family(false),
            "inet6" => return self.family(true),
            "alias" | "add" => return self.how(How::Alias),
            "-alias" | "delete" | "remove" => return self.how(How::Remove),
            "prefixlen" => return self.length(Reader::prefix_length),
            "netmask" => return self.length(Reader::mask),
            "destroy" | "unplumb" => Change::Destroy,
            "name" => Change::Rename(self.value(word)?.to_owned()),
            "description" | "descr" => Change::Describe(Some(self.value(word)?.to_owned())),
            "-description" | "-descr" => Change::Describe(None),
            "group" => Change::Group(self.group()?, true),
            "-group" => Change::Group(self.group()?, false),
            "up" => Change::Up(true),
            "down" => Change::Up(false),
            "addm" => Change::Member(self.value(word)?.to_owned(), true),
            "deletem" => Change::Member(self.value(word)?.to_owned(), false),
            "ether" | "link" | "lladdr" => Change::Ether(self.ether()?),
            "mtu" => Change::Mtu(self.mtu()?),
            address => return self.address(address),
        };
        self.changes.push(change);
        Ok(())
    }

    fn family(&mut self, is_v6: bool) -> Answer<()> {
        self.is_v6 = is_v6;
        Ok(())
    }

    fn how(&mut self, how: How) -> Answer<()> {
        self.how = how;
        Ok(())
    }

    fn value(&mut self, word: &str) -> Answer<&'a str> {
        let value = self.words.next().copied();
        value.ok_or_else(|| Said::refused(format!("ifconfig: '{word}' requires argument")))
    }

    fn address(&mut self, word: &'a str) -> Answer<()> {
        if self.address.is_some() {
            return Err(bad(word));
        }
        self.address = Some(word);
        Ok(())
    }

    fn length(&mut self, read: fn(&str) -> Option<u8>) -> Answer<()> {
        let text = self.value("prefixlen")?;
        self.length = Some(read(text).ok_or_else(|| bad(text))?);
        Ok(())
    }

    fn prefix_length(text: &str) -> Option<u8> {
        text.parse().ok().filter(|length| *length <= 128)
    }

    /// `255.255.255.0` or `0xffffff00`.
    fn mask(text: &str) -> Option<u8> {
        let bits = match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => text.parse::<Ipv4Addr>().ok()?.to_bits(),
        };
        let ones = bits.leading_ones();
        (bits.count_ones() == ones).then_some(u8::try_from(ones).ok()?)
    }

    fn group(&mut self) -> Answer<String> {
        let name = self.value("group")?;
        if name.ends_with(|last: char| last.is_ascii_digit()) {
            let line = "ifconfig: setifgroup: group names may not end in a digit";
            return Err(Said::refused(line));
        }
        if name.is_empty() || name.len() > 15 {
            return Err(Said::refused("ifconfig: setifgroup: group name too long"));
        }
        Ok(name.to_owned())
    }

    fn ether(&mut self) -> Answer<String> {
        let text = self.value("ether")?;
        let octets: Vec<&str> = text.split(':').collect();
        let is_octet =
            |octet: &&str| (1..=2).contains(&octet.len()) && u8::from_str_radix(octet, 16).is_ok();
        if octets.len() != 6 || !octets.iter().all(is_octet) {
            return Err(bad(text));
        }
        let octets = octets.iter().map(|octet| format!("{octet:0>2}"));
        Ok(octets.collect::<Vec<_>>().join(":").to_lowercase())
    }

    fn mtu(&mut self) -> Answer<u32> {
        let text = self.value("mtu")?;
        text.parse().map_err(|_| bad(text))
    }

    fn finish(mut self) -> Answer<Vec<Change>> {
        if let Some(text) = self.address {
            let address = self.whole_address(text)?;
            self.changes.push(Change::Address(address));
        } else if self.how != How::Replace || self.length.is_some() {
            return Err(Said::refused("ifconfig: address must be specified"));
        }
        Ok(self.changes)
    }

    fn whole_address(&self, text: &str) -> Answer<Address> {
        let (bare, length) = match text.split_once('/') {
            Some((bare, length)) => {
                let length = Self::prefix_length(length).ok_or_else(|| bad(text))?;
                (bare, Some(length))
            }
            None => (text, self.length),
        };
        if self.is_v6 {
            let (bare, scope) = match bare.split_once('%') {
                Some((bare, scope)) => (bare, Some(scope.to_owned())),
                None => (bare, None),
            };
            let address: Ipv6Addr = bare.parse().map_err(|_| bad(bare))?;
            return Ok(Address {
                address: address.into(),
                scope,
                prefix_len: length.unwrap_or(64),
                how: if self.how == How::Replace {
                    How::Alias
                } else {
                    self.how
                },
            });
        }
        let address: Ipv4Addr = bare.parse().map_err(|_| bad(bare))?;
        let prefix_len = length.unwrap_or_else(|| class_length(address));
        if prefix_len > 32 {
            return Err(bad(text));
        }
        Ok(Address {
            address: address.into(),
            scope: None,
            prefix_len,
            how: self.how,
        })
    }
}

/// The length of a network of the class that an address is in.
fn class_length(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..=127 => 8,
        128..=191 => 16,
        _ => 24,
    }
}

fn nd6(word: &str) -> Option<(Nd6, bool)> {
    let (word, on) = match word.strip_prefix('-') {
        Some(word) => (word, false),
        None => (word, true),
    };
    let flag = match word {
        "nud" => Nd6::PerformNud,
        "accept_rtadv" => Nd6::AcceptRtadv,
        "ifdisabled" => Nd6::IfDisabled,
        "auto_linklocal" => Nd6::AutoLinkLocal,
        "no_radr" => Nd6::NoRadr,
        _ => return None,
    };
    Some((flag, on))
}

fn bad(word: &str) -> Said {
    Said::refused(format!("ifconfig: {word}: bad value"))
}
