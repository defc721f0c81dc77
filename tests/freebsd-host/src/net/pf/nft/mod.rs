//! The same rules for nftables, so that real packets meet them.
//!
//! What pf does and nftables does not is written out:
//!
//! - *The last rule that matches decides.* A rule that matches leaves its verdict in the packet's mark; a `quick` one,
//!   or the end, goes to the chain that looks at it.
//! - *States have a direction.* A state that was made on the way in lets the flow in again and its answers out, and
//!   nothing else, on any interface. The kernel's one entry per flow has a bit in its mark for either way.
//! - *Filters see translated packets.* On the way in translation comes first here too. On the way out which one will
//!   apply is found before the filter, and rules about sources are asked about the source that it gives.
//! - *A rule that keeps state sees only the first packet of a TCP connection* (`flags S/SA`).

mod filter;
mod hosts;
mod marks;
mod translation;

use super::flat::Flat;
use crate::net::kernel::kernel_name;
use marks::{GENERATION, IN_STATE, OUT_STATE};
use netplan::InterfaceName;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// What is known of the host at this moment.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The addresses of each interface, in their order.
    pub(crate) addresses: BTreeMap<String, Vec<IpAddr>>,
    /// Groups of interfaces.
    pub(crate) groups: BTreeSet<String>,
}

/// Numbers of tags, which stay as long as states may have them.
pub(crate) type Tags = BTreeMap<String, u8>;

/// A rule that this translation has no words for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inexpressible(pub(crate) String);

type Told<T = ()> = Result<T, Inexpressible>;

/// The text for nft(8) that puts these rules in the place of earlier ones. States of another `generation` are none.
pub(crate) fn table(flat: &Flat, facts: &Facts, tags: &mut Tags, generation: u8) -> Told<String> {
    let mut writer = Writer {
        flat,
        facts,
        tags,
        sets: String::new(),
        set_names: BTreeMap::new(),
        translations: Vec::new(),
    };
    let arriving = writer.arriving()?;
    let (leaving, applied) = writer.leaving()?;
    let filters = writer.filters()?;
    let frame = writer.frame(u32::from(generation) << GENERATION);
    let sets = &writer.sets;
    Ok(format!(
        "table inet pf\ndelete table inet pf\ntable inet pf {{\n\
         {sets}{filters}{arriving}{leaving}{applied}{frame}}}\n"
    ))
}

/// Marks what is not the first packet of a TCP connection ([`marks::LATER`]).
const NOTE_LATER: &str =
    "meta l4proto tcp tcp flags & (syn | ack) != syn meta mark set meta mark or 0x10";

/// The text that removes them.
pub(crate) const NO_TABLE: &str = "table inet pf\ndelete table inet pf\n";

struct Writer<'a> {
    flat: &'a Flat<'a>,
    facts: &'a Facts,
    tags: &'a mut Tags,
    /// Tables, as sets.
    sets: String,
    set_names: BTreeMap<(usize, String, bool), String>,
    /// What translations on the way out give, by their numbers from 1.
    translations: Vec<translation::Given>,
}

impl Writer<'_> {
    /// The number of a tag, in its place in a packet's mark.
    fn tag(&mut self, name: &str) -> Told<u32> {
        let next = self.tags.len() + 1;
        let number = match self.tags.get(name) {
            Some(number) => *number,
            None => {
                let number = u8::try_from(next)
                    .map_err(|_| Inexpressible("more than 255 tags".to_owned()))?;
                self.tags.insert(name.to_owned(), number);
                number
            }
        };
        Ok(u32::from(number) << marks::TAG)
    }

    /// `{ "a", "b" }`, for iifname and oifname.
    fn interfaces(&self, names: &[InterfaceName]) -> Told<String> {
        let names = names.iter().map(|name| self.interface(name));
        Ok(format!(
            "{{ {} }}",
            names.collect::<Told<Vec<_>>>()?.join(", ")
        ))
    }

    fn interface(&self, name: &InterfaceName) -> Told<String> {
        if self.facts.groups.contains(name.as_str()) {
            let text = format!("{name} is a group of interfaces, and only single ones can be told");
            return Err(Inexpressible(text));
        }
        Ok(format!("\"{}\"", kernel_name(name.as_str())))
    }

    /// The chains that packets meet, around those of the rules.
    fn frame(&self, generation: u32) -> String {
        let forget =
            format!("ct mark and 0xff000000 != {generation:#x} ct mark set {generation:#x}");
        let (tags_in, tags_out) = (self.tags_of_state(IN_STATE), self.tags_of_state(OUT_STATE));
        let skip_in = self.skip("iifname");
        format!(
            r#"  chain known_in_forth {{
{tags_in}    accept
  }}
  chain known_in_back {{
{tags_out}    accept
  }}
  chain in {{
    type filter hook prerouting priority -90; policy accept;
{skip_in}    meta mark set 0
    {forget}
    ct direction original ct mark and {IN_STATE:#x} != 0 goto known_in_forth
    ct direction reply ct mark and {OUT_STATE:#x} != 0 goto known_in_back
    {NOTE_LATER}
    jump filter_in
    goto decide_in
  }}
{}"#,
            self.frame_out(&forget)
        )
    }

    /// Forwarded packets keep the tag that they got on the way in; those of the host itself have none.
    fn frame_out(&self, forget: &str) -> String {
        let skip_out = self.skip("oifname");
        let (tag_mask, refusal) = (marks::TAG_MASK, marks::REFUSAL);
        format!(
            r#"  chain out {{
{skip_out}    {forget}
    ct direction original ct mark and {OUT_STATE:#x} != 0 accept
    ct direction reply ct mark and {IN_STATE:#x} != 0 accept
    meta mark set meta mark and {tag_mask:#x}
    {NOTE_LATER}
    jump translate_out
    jump filter_out
    goto decide_out
  }}
  chain forward {{
    type filter hook forward priority 0; policy accept;
    goto out
  }}
  chain output {{
    type filter hook output priority 0; policy accept;
    meta mark and {refusal:#x} != 0 accept
    meta mark set 0
    goto out
  }}
"#
        )
    }

    /// Packets that nobody looks at.
    fn skip(&self, word: &str) -> String {
        let names = self.flat.skipped.iter().map(|name| kernel_name(name));
        let lines = names.map(|name| format!("    {word} \"{name}\" accept\n"));
        lines.collect()
    }

    /// A packet of a state gets the tag of the state.
    fn tags_of_state(&self, state: u32) -> String {
        let shift = if state == IN_STATE {
            0
        } else {
            marks::OUT_TAG - marks::TAG
        };
        let numbers = self
            .tags
            .values()
            .map(|number| u32::from(*number) << marks::TAG);
        let line = |tag: u32| {
            let (mask, kept) = (marks::TAG_MASK << shift, tag << shift);
            format!("    ct mark and {mask:#x} == {kept:#x} meta mark set {tag:#x}\n")
        };
        numbers.map(line).collect()
    }
}
