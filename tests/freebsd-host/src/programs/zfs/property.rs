//! Properties (zfsprops(7)): which there are, and what they may be.

use super::{Failed, no, state::Kind};

/// What a property may be.
enum Values {
    /// One of these words.
    Words(&'static [&'static str]),
    /// A size in bytes, or `none`.
    Size,
    /// A path, `none` or `legacy`.
    Path,
    /// A power of 2 in these limits, settable only at creation.
    BlockSize,
    /// Never set.
    ReadOnly,
}

use Values::{BlockSize, Path, ReadOnly, Size, Words};

const ON_OFF: Values = Words(&["on", "off"]);

/// Name, another name, values, kinds of datasets that have it.
const PROPERTIES: [(&str, &str, Values, &str); 37] = [
    ("atime", "", ON_OFF, "f"),
    ("available", "avail", ReadOnly, "fv"),
    ("canmount", "", Words(&["on", "off", "noauto"]), "f"),
    (
        "checksum",
        "",
        Words(&[
            "on",
            "off",
            "fletcher2",
            "fletcher4",
            "sha256",
            "noparity",
            "sha512",
            "skein",
            "edonr",
            "blake3",
        ]),
        "fv",
    ),
    ("clones", "", ReadOnly, "s"),
    (
        "compression",
        "compress",
        Words(&["on", "off", "lzjb", "gzip", "zle", "lz4", "zstd"]),
        "fv",
    ),
    ("compressratio", "ratio", ReadOnly, "fvs"),
    ("copies", "", Words(&["1", "2", "3"]), "fv"),
    ("creation", "", ReadOnly, "fvs"),
    (
        "dedup",
        "",
        Words(&[
            "on", "off", "verify", "sha256", "sha512", "skein", "edonr", "blake3",
        ]),
        "fv",
    ),
    ("devices", "", ON_OFF, "f"),
    ("exec", "", ON_OFF, "f"),
    ("guid", "", ReadOnly, "fvs"),
    ("logbias", "", Words(&["latency", "throughput"]), "fv"),
    ("logicalused", "lused", ReadOnly, "fv"),
    ("mounted", "", ReadOnly, "f"),
    ("mountpoint", "", Path, "f"),
    ("name", "", ReadOnly, "fvs"),
    ("origin", "", ReadOnly, "fv"),
    (
        "primarycache",
        "",
        Words(&["all", "none", "metadata"]),
        "fv",
    ),
    ("quota", "", Size, "f"),
    ("readonly", "rdonly", ON_OFF, "fv"),
    ("recordsize", "recsize", BlockSize, "f"),
    ("referenced", "refer", ReadOnly, "fvs"),
    ("refquota", "", Size, "f"),
    ("refreservation", "refreserv", Size, "fv"),
    ("reservation", "reserv", Size, "fv"),
    (
        "secondarycache",
        "",
        Words(&["all", "none", "metadata"]),
        "fv",
    ),
    ("setuid", "", ON_OFF, "f"),
    ("snapdir", "", Words(&["hidden", "visible"]), "f"),
    ("sync", "", Words(&["standard", "always", "disabled"]), "fv"),
    ("type", "", ReadOnly, "fvs"),
    ("used", "", ReadOnly, "fvs"),
    ("userrefs", "", ReadOnly, "s"),
    ("volblocksize", "volblock", BlockSize, "v"),
    (
        "volmode",
        "",
        Words(&["default", "full", "geom", "dev", "none"]),
        "fv",
    ),
    ("volsize", "", Size, "vs"),
];

/// What is meant by the name of a property; none if there is none. A user's own has a colon.
pub(super) fn canonical(name: &str) -> Option<String> {
    if name.contains(':') {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ":_.-".contains(c);
        return (name.len() < 256 && name.chars().all(legal)).then(|| name.to_owned());
    }
    let known = PROPERTIES
        .iter()
        .find(|(full, short, ..)| *full == name || !short.is_empty() && *short == name);
    known.map(|(full, ..)| (*full).to_owned())
}

/// Whether a dataset of this kind has a property.
pub(super) fn applies(name: &str, kind: Kind) -> bool {
    let letter = match kind {
        Kind::Filesystem => 'f',
        Kind::Volume => 'v',
        Kind::Snapshot => 's',
    };
    let known = PROPERTIES.iter().find(|(full, ..)| *full == name);
    known.is_none_or(|(.., kinds)| kinds.contains(letter))
}

/// One `property=value` of a command that makes (`creating`) or changes a dataset.
///
/// # Errors
///
/// The words that zfs(8) puts behind `cannot ...: `.
pub(super) fn assignment(
    word: &str,
    kind: Kind,
    creating: bool,
) -> Result<(String, String), String> {
    let (name, value) = word
        .split_once('=')
        .ok_or_else(|| format!("missing '=' for property=value argument '{word}'"))?;
    let name = canonical(name).ok_or_else(|| format!("invalid property '{name}'"))?;
    if name.contains(':') {
        let fits = value.len() < 8192;
        return fits
            .then(|| (name.clone(), value.to_owned()))
            .ok_or(format!("property value of '{name}' is too long"));
    }
    let known = PROPERTIES.iter().find(|(full, ..)| *full == name);
    let Some((.., values, _)) = known else {
        return Err(format!("invalid property '{name}'"));
    };
    match values {
        ReadOnly => return Err(format!("'{name}' is readonly")),
        BlockSize if !creating && name == "volblocksize" => {
            return Err(format!("'{name}' is readonly"));
        }
        _ => {}
    }
    if !applies(&name, kind) || kind == Kind::Snapshot {
        return Err(format!("'{name}' does not apply to datasets of this type"));
    }
    judge(&name, value, values)?;
    Ok((name, value.to_owned()))
}

fn judge(name: &str, value: &str, values: &Values) -> Result<(), String> {
    match values {
        Words(words) => {
            // zstd-19 and gzip-9 are spelled with a level.
            let base = if name == "compression" {
                level(value)
            } else {
                value
            };
            let known = words.contains(&base);
            known
                .then_some(())
                .ok_or_else(|| format!("'{name}' must be one of '{}'", words.join(" | ")))
        }
        Size if value == "none" && name != "volsize" => Ok(()),
        Size => size(value).map(drop),
        Path => {
            let known = value.starts_with('/') || ["none", "legacy"].contains(&value);
            known
                .then_some(())
                .ok_or_else(|| format!("'{name}' must be an absolute path, 'none', or 'legacy'"))
        }
        BlockSize => {
            let bytes = size(value)?;
            let fits = bytes.is_power_of_two() && (512..=16 << 20).contains(&bytes);
            fits.then_some(())
                .ok_or_else(|| format!("'{name}' must be power of 2 from 512B to 16M"))
        }
        ReadOnly => Err(format!("'{name}' is readonly")),
    }
}

fn level(value: &str) -> &str {
    match value.split_once('-') {
        Some((base @ ("gzip" | "zstd"), level))
            if level
                .parse::<u8>()
                .is_ok_and(|level| (1..=19).contains(&level)) =>
        {
            base
        }
        _ => value,
    }
}

/// A number of bytes, such as `16K` or `1.5G`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("bad numeric value '{text}'");
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let suffix = suffix.to_ascii_uppercase();
    let unit = suffix.trim_end_matches('B').trim_end_matches('I');
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        "P" => 50,
        _ => return Err(format!("invalid numeric suffix '{unit}'")),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().map_err(|_| bad())?;
    let mut bytes = whole
        .checked_mul(1 << shift)
        .ok_or("numeric value is too large")?;
    if !part.is_empty() {
        let digits: u64 = part
            .get(..part.len().min(6))
            .and_then(|part| part.parse().ok())
            .ok_or_else(bad)?;
        bytes += (digits << shift) / 10_u64.pow(u32::try_from(part.len().min(6)).unwrap_or(0));
    }
    Ok(bytes)
}

/// A number of bytes for people: three digits and a unit.
pub(super) fn for_people(bytes: u64) -> String {
    let mut unit = 0;
    let mut scale: u64 = 1;
    while bytes / scale >= 1024 && unit < 5 {
        scale *= 1024;
        unit += 1;
    }
    let suffix = ["B", "K", "M", "G", "T", "P"][unit];
    let hundredths = u128::from(bytes) * 100 / u128::from(scale);
    match (hundredths, bytes % scale) {
        (_, 0) => format!("{}{suffix}", bytes / scale),
        (0..1000, _) => format!("{}.{:02}{suffix}", hundredths / 100, hundredths % 100),
        (1000..10000, _) => format!("{}.{}{suffix}", hundredths / 100, hundredths % 100 / 10),
        _ => format!("{}{suffix}", hundredths / 100),
    }
}

/// The words of [`Failed`] for what is wrong with a property of a dataset.
pub(super) fn refused(doing: &str, name: &str, problem: String) -> Failed {
    no(format!("cannot {doing} '{name}': {problem}"))
}
