//! When a leaf is renewed.

use time::{Duration, OffsetDateTime};

use crate::x509::Certificate;

/// A leaf is renewed after two thirds of its life at the latest, as most tools of the field do.
const LATEST: (i32, i32) = (2, 3);
/// The renewals of leaves that were issued together are spread over this part of their life before that.
const SPREAD: i32 = 20;

impl Certificate {
    /// The moment from which on it is to be replaced, for a leaf: two thirds of its life, less up to a twentieth.
    /// How much less follows from its serial number, so the same certificate always gives the same moment, and those
    /// of many machines that were issued in one minute are not all replaced in one minute. Never after the moment
    /// from which on [`expiry`](crate::expiry) warns.
    #[must_use]
    pub fn renewal(&self) -> OffsetDateTime {
        let life = self.not_after() - self.not_before();
        let latest = life * LATEST.0 / LATEST.1;
        self.not_before() + latest - earlier(self.serial(), life / SPREAD)
    }
}

/// A part of `spread`, by the last two bytes of a serial number, which is random.
fn earlier(serial: &[u8], spread: Duration) -> Duration {
    let tail = serial.iter().rev().take(2);
    let number = tail.fold(0_i32, |number, byte| (number << 8) | i32::from(*byte));
    // Whole seconds: a life has no others.
    let part: Duration = spread * number / 0x1_0000_i32;
    Duration::seconds(part.whole_seconds())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_spread_renewals() {
        let day = Duration::days(1);
        assert_eq!(earlier(&[1, 2, 0, 0], day), Duration::ZERO);
        assert_eq!(earlier(&[1, 2, 0, 0x80], day), day / 2);
        assert_eq!(earlier(&[], day), Duration::ZERO);
        let most = earlier(&[0xff, 0xff], day);
        assert!(most < day && most > day - Duration::seconds(3), "{most}");
    }
}
