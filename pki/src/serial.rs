//! Serial numbers (RFC 5280 section 4.1.2.2), and the ledger that refuses to give one twice.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::random::{Random, RandomError};
use crate::x509::Certificate;

/// The longest serial number of RFC 5280 section 4.1.2.2.
const BYTES_MAX: usize = 20;

/// A positive serial number of at most 20 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SerialNumber(Vec<u8>);

/// A text or some bytes that are no serial number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no serial number; give 1 to 40 hex digits that are not all zero")]
pub struct SerialError {
    /// The number as given, in hex where it was bytes.
    pub text: String,
}

impl SerialNumber {
    /// A number from its bytes, the highest first; zero bytes in front do not count.
    ///
    /// # Errors
    /// Zero, or more than 20 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, SerialError> {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let bytes = &bytes[zeros..];
        if bytes.is_empty() || bytes.len() > BYTES_MAX {
            let text = crate::x509::hex(bytes);
            return Err(SerialError { text });
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The number of a certificate.
    ///
    /// # Errors
    /// A certificate of somebody else with a number that RFC 5280 does not allow.
    pub fn of(certificate: &Certificate) -> Result<Self, SerialError> {
        Self::new(certificate.serial())
    }

    /// The bytes, the highest first, none in front that is zero.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::x509::hex(&self.0))
    }
}

impl fmt::Debug for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SerialNumber({self})")
    }
}

impl FromStr for SerialNumber {
    type Err = SerialError;

    /// Reads hex digits, as [`Certificate::serial_hex`] and `openssl x509 -serial` write them; colons are skipped.
    fn from_str(text: &str) -> Result<Self, SerialError> {
        let bad = || SerialError { text: text.into() };
        let digits: String = text.chars().filter(|one| *one != ':').collect();
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) || digits.len() > 2 * BYTES_MAX + 2
        {
            return Err(bad());
        }
        let even = format!("{}{digits}", if digits.len() % 2 == 1 { "0" } else { "" });
        let byte = |at| u8::from_str_radix(&even[at..at + 2], 16).map_err(|_| bad());
        let bytes: Vec<u8> = (0..even.len())
            .step_by(2)
            .map(byte)
            .collect::<Result<_, _>>()?;
        Self::new(&bytes).map_err(|_| bad())
    }
}

/// Draws 127 bits, which fit sixteen bytes with the sign bit clear.
pub(crate) fn draw(random: &dyn Random) -> Result<[u8; 16], RandomError> {
    let mut serial = [0; 16];
    random.fill(&mut serial)?;
    serial[0] &= 0x7f;
    if serial == [0; 16] {
        return Err(RandomError);
    }
    Ok(serial)
}

/// The numbers that an authority has given. Verifiers and revocation lists tell certificates apart by authority and number,
/// so none is given twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SerialLedger {
    given: BTreeSet<SerialNumber>,
}

impl SerialLedger {
    /// Takes a number, unless it was given before.
    pub(crate) fn claim(&mut self, number: SerialNumber) -> bool {
        self.given.insert(number)
    }

    /// Whether a number was given.
    #[must_use]
    pub fn contains(&self, number: &SerialNumber) -> bool {
        self.given.contains(number)
    }
}

impl FromIterator<SerialNumber> for SerialLedger {
    fn from_iter<T: IntoIterator<Item = SerialNumber>>(given: T) -> Self {
        let given = given.into_iter().collect();
        Self { given }
    }
}
