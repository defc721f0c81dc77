//! The entries of the root directory, with long names (VFAT).

use super::{
    DiskLabel, FileName,
    layout::{ENTRY_BYTES, Extent},
};

const ENTRY: usize = ENTRY_BYTES as usize;

/// The 8.3 name of an entry.
type ShortName = [u8; 11];

/// How many characters of a name one entry has.
const NAME_PART: usize = 13;

/// Where in an entry they are, in UTF-16.
const CHARACTERS: [usize; NAME_PART] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

const LABEL_ATTRIBUTE: u8 = 0x08;
const LONG_NAME_ATTRIBUTE: u8 = 0x0f;

/// "To be backed up", the attribute of an ordinary file. Not "read only": its mode would lose more than the owner's
/// `w` then.
const FILE_ATTRIBUTE: u8 = 0x20;

/// Marks the part of a long name that is the last of it and the first on the disk.
const LAST_PART: u8 = 0x40;

/// 1980-01-01, the first day of FAT: bits 0 to 4 day, 5 to 8 month.
const FIRST_DAY: [u8; 2] = [0x21, 0];

/// How many entries a directory with these names has, that of the label included.
pub(super) fn slots<'a>(names: impl Iterator<Item = &'a FileName>) -> u64 {
    1 + names.map(|name| 1 + parts(name) as u64).sum::<u64>()
}

fn parts(name: &FileName) -> usize {
    name.as_str().len().div_ceil(NAME_PART)
}

/// The directory, without what fills up its last cluster.
pub(super) fn root<'a>(
    label: &DiskLabel,
    files: impl Iterator<Item = (&'a FileName, Extent)>,
) -> Vec<u8> {
    let mut bytes = entry(label.field(), LABEL_ATTRIBUTE, None).to_vec();
    for (number, (name, extent)) in files.enumerate() {
        let short = short_name(number);
        let parts = parts(name);
        for part in (0..parts).rev() {
            let last = if part + 1 == parts { LAST_PART } else { 0 };
            bytes.extend(long_entry(name, part, last, &short));
        }
        bytes.extend(entry(&short, FILE_ATTRIBUTE, Some(extent)));
    }
    bytes
}

/// A name that nobody asks for. A [`FileName`] has no `~`, so it is never that of another file.
fn short_name(number: usize) -> ShortName {
    let mut name = *b"F~         ";
    let digits = format!("{number:06}");
    name[2..8].copy_from_slice(&digits.as_bytes()[..6]);
    name
}

fn entry(name: &ShortName, attribute: u8, extent: Option<Extent>) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    put(0, name);
    put(11, &[attribute]);
    // When it was made, last read and last written.
    for at in [16, 18, 24] {
        put(at, &FIRST_DAY);
    }
    if let Some(extent) = extent {
        let first = extent.first.to_le_bytes();
        put(20, &first[2..]);
        put(26, &first[..2]);
        put(28, &extent.bytes.to_le_bytes());
    }
    bytes
}

/// One part of a long name, counted from 0. After its end comes a zero, and then 0xffff.
fn long_entry(name: &FileName, part: usize, last: u8, short: &ShortName) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    // A name of 100 characters has 8 parts.
    bytes[0] = u8::try_from(part + 1).unwrap_or(u8::MAX) | last;
    bytes[11] = LONG_NAME_ATTRIBUTE;
    bytes[13] = checksum(short);
    let rest = &name.as_str().as_bytes()[part * NAME_PART..];
    for (index, at) in CHARACTERS.into_iter().enumerate() {
        let character = match rest.get(index) {
            Some(byte) => u16::from(*byte),
            None if index == rest.len() => 0,
            None => u16::MAX,
        };
        bytes[at..at + 2].copy_from_slice(&character.to_le_bytes());
    }
    bytes
}

/// Ties the parts of a long name to the short one that follows them.
fn checksum(short: &ShortName) -> u8 {
    short
        .iter()
        .fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::{root, slots};
    use crate::files_disk::{DiskLabel, FileName};

    #[test]
    fn as_many_entries_as_were_counted() {
        for length in [1, 12, 13, 14, 26, 27, 100] {
            let name: FileName = "a".repeat(length).parse().unwrap();
            let extent = super::Extent {
                first: 3,
                clusters: 1,
                bytes: 1,
            };
            let bytes = root(&DiskLabel::PROGRAMS, [(&name, extent)].into_iter());
            assert_eq!(bytes.len() as u64, slots([&name].into_iter()) * 32);
        }
    }
}
