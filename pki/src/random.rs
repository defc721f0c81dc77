//! Where unpredictable bytes come from: a parameter, so that a caller decides.

/// A source of unpredictable bytes for serial numbers and bootstrap tokens.
///
/// Private keys do not come from here: `ring` draws them from the operating system and takes no
/// other source (its `SecureRandom` is sealed).
pub trait Random {
    /// Fills the whole buffer.
    ///
    /// # Errors
    /// When the source cannot give bytes; the buffer's content is then of no use.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError>;
}

/// The source of unpredictable bytes failed or gave bytes that cannot be random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the source of random bytes gave none that can be used")]
pub struct RandomError;

/// The operating system's generator (`getrandom(2)` and its like), by way of `ring`.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
        use ring::rand::SecureRandom as _;
        ring::rand::SystemRandom::new()
            .fill(buffer)
            .map_err(|_| RandomError)
    }
}
