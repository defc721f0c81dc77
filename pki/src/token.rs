//! Bootstrap tokens, with which a new kubelet asks for its certificate.

use std::fmt;

use zeroize::Zeroizing;

use crate::random::{Random, RandomError};

const ID_LENGTH: usize = 6;
const SECRET_LENGTH: usize = 16;
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// Draws of a byte before a source is called broken: a fair one fails 1 in 64 each, so this many
/// failures in a row do not happen.
const DRAWS_MAX: usize = 64;

/// A text that is no bootstrap token; it is not repeated, since it may be one with a typing error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a bootstrap token is 6, a dot, and 16 characters of a-z and 0-9")]
pub struct TokenError;

/// A bootstrap token `ID.SECRET` (kubernetes.io, "Authenticating with Bootstrap Tokens").
///
/// The first part is public: it names the secret object. `Debug` shows it alone.
#[derive(Clone)]
pub struct BootstrapToken {
    text: Zeroizing<String>,
}

impl BootstrapToken {
    /// Checks the form of a token.
    ///
    /// # Errors
    /// Another form than 6, a dot, 16 characters.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let (id, secret) = text.split_once('.').ok_or(TokenError)?;
        let plain = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|byte| ALPHABET.contains(&byte))
        };
        if !plain(id, ID_LENGTH) || !plain(secret, SECRET_LENGTH) {
            return Err(TokenError);
        }
        Ok(Self {
            text: Zeroizing::new(text.to_owned()),
        })
    }

    /// Draws a token.
    ///
    /// # Errors
    /// When the source fails, or gives the same few bytes over and over.
    pub fn draw(random: &dyn Random) -> Result<Self, RandomError> {
        let mut text = Zeroizing::new(String::with_capacity(ID_LENGTH + 1 + SECRET_LENGTH));
        for _ in 0..ID_LENGTH {
            text.push(draw_character(random)?);
        }
        text.push('.');
        for _ in 0..SECRET_LENGTH {
            text.push(draw_character(random)?);
        }
        Ok(Self { text })
    }

    /// The public part, which names the secret `bootstrap-token-ID`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.text[..ID_LENGTH]
    }

    /// The secret part, for the secret's field `token-secret`.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.text[ID_LENGTH + 1..]
    }

    /// The whole token, for a kubeconfig.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

/// Bytes of 252 and more are drawn again: they would favour the first letters.
fn draw_character(random: &dyn Random) -> Result<char, RandomError> {
    for _ in 0..DRAWS_MAX {
        let mut byte = [0];
        random.fill(&mut byte)?;
        if byte[0] < 252 {
            return Ok(ALPHABET[usize::from(byte[0]) % ALPHABET.len()].into());
        }
    }
    Err(RandomError)
}

impl fmt::Debug for BootstrapToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootstrapToken({}..)", self.id())
    }
}
