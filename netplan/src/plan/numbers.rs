//! Host numbers: which address of a network one stands for, in each family.

use std::net::IpAddr;

use crate::net::{Family, Net, bits_of};

/// The host number of an address in its network, where it has one.
pub(crate) fn host_number(net: Net, address: IpAddr) -> Option<u32> {
    if !net.contains(address) {
        return None;
    }
    let offset = bits_of(address) - net.bits();
    match net.family() {
        Family::V4 => u32::try_from(offset).ok(),
        Family::V6 => unmirror(offset),
    }
}

/// How far an address with this number is from the first of its network.
pub(crate) fn host_offset(number: u32, family: Family) -> u128 {
    match family {
        Family::V4 => number.into(),
        Family::V6 => mirror(number.into()).into(),
    }
}

/// The number whose hexadecimal digits are the decimal digits of `number`: with it, `10.77.0.31`
/// and `fd5c::31` belong to one machine and look like it.
fn mirror(number: u64) -> u64 {
    if number < 10 {
        number
    } else {
        (mirror(number / 10) << 4) | (number % 10)
    }
}

/// The inverse of [`mirror`]; `None` for what it never gives.
fn unmirror(offset: u128) -> Option<u32> {
    let mut number: u32 = 0;
    for digit in (0..32).rev().map(|at| (offset >> (4 * at)) & 0xf) {
        let digit = u32::try_from(digit).ok().filter(|digit| *digit < 10)?;
        number = number.checked_mul(10)?.checked_add(digit)?;
    }
    Some(number)
}
