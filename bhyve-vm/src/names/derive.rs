//! Names that follow from others, so that the same lab gets the same ones again without a register.

use super::{MacAddress, TapName, Uuid, VmName};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The derived names of one VM of one lab.
///
/// They are digests, so a change of one VM changes no other's. Derive them once and store them in the specification:
/// a guest keeps its identity even if the rule should change. Two labs of a host can meet by chance
/// ([`refuse_shared`](crate::refuse_shared) says so within one); [`Derived::tap`] steps aside for what is taken.
///
/// ```
/// use bhyve_vm::Derived;
/// use std::collections::BTreeSet;
///
/// let etcd_0 = Derived::new("demo", &"etcd-0".parse()?);
/// assert_eq!(etcd_0.uuid().to_string(), "9dd1c45c-84b0-8b2b-a51d-3dd6301f9a04");
/// assert_eq!(etcd_0.mac(0).to_string(), "58:9c:fc:5c:43:4a");
/// let tap = etcd_0.tap(0, &BTreeSet::new()).ok_or("no number left")?;
/// assert_eq!(tap.to_string(), "tap18181");
/// // The number is taken, so the next one is.
/// assert_eq!(etcd_0.tap(0, &BTreeSet::from([tap])), Some("tap18182".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    lab: String,
    vm: VmName,
}

impl Derived {
    /// Derives for VM `vm` of the lab `lab`, a text of the caller's choice.
    pub fn new(lab: &str, vm: &VmName) -> Self {
        Self {
            lab: lab.to_owned(),
            vm: vm.clone(),
        }
    }

    /// The digest of lab, VM, kind and index. The length before each part keeps `a`, `bc` apart from `ab`, `c`.
    fn digest(&self, kind: &str, index: usize) -> [u8; 32] {
        let mut hash = Sha256::new();
        for part in [
            self.lab.as_str(),
            self.vm.as_str(),
            kind,
            &index.to_string(),
        ] {
            hash.update(part.len().to_string());
            hash.update([0]);
            hash.update(part);
        }
        hash.finalize().into()
    }

    /// The identity: version 8, "vendor-specific use cases" (RFC 9562, 5.8).
    pub fn uuid(&self) -> Uuid {
        let mut bytes = self.digest("uuid", 0);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex: String = bytes[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Uuid(format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        ))
    }

    /// The address of network card `index`, with the first half that FreeBSD keeps for bhyve (58:9c:fc).
    pub fn mac(&self, index: usize) -> MacAddress {
        let bytes = self.digest("mac", index);
        MacAddress(format!(
            "58:9c:fc:{:02x}:{:02x}:{:02x}",
            bytes[0], bytes[1], bytes[2]
        ))
    }

    /// The tap of network card `index`: `tap10000` to `tap99999`, the first that is not in `taken` from the derived
    /// one on. `None` if all of them are.
    ///
    /// Below 10000 are the numbers that people and other tools give.
    pub fn tap(&self, index: usize, taken: &BTreeSet<TapName>) -> Option<TapName> {
        let bytes = self.digest("tap", index);
        let wish = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) % TAPS;
        (0..TAPS)
            .map(|step| TapName(format!("tap{}", 10_000 + (wish + step) % TAPS)))
            .find(|tap| !taken.contains(tap))
    }
}

/// The numbers of five digits without a leading zero.
const TAPS: u32 = 90_000;
