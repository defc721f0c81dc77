//! Stable hashes: the same value on every machine and in every version of this crate.

/// FNV-1a over the parts, each closed by a zero byte, with splitmix64's finish so that every
/// output bit depends on every input bit. Not cryptographic, and nothing here needs that.
pub(crate) fn stable_hash(parts: &[&[u8]]) -> u64 {
    mix(parts
        .iter()
        .fold(FNV_OFFSET, |hash, part| fnv(fnv(hash, part), &[0])))
}

/// The checksum of a text: plain FNV-1a, 64 bits.
pub(crate) fn checksum(text: &str) -> u64 {
    fnv(FNV_OFFSET, text.as_bytes())
}

/// splitmix64's finish: a bijection, so a uniform seed stays uniform.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
