//! Checked texts that end in unit files, configuration files and manifests.

use std::{fmt, path::Path, str::FromStr};

/// An absolute path on a node, of letters, digits and `/._+-` only.
///
/// It is written into unit files, TOML and YAML, where any other byte could mean something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodePath(String);

/// Why a text is not a [`NodePath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path {0:?} must be absolute, without '..', and of letters, digits and '/._+-' only")]
pub struct InvalidNodePath(String);

impl NodePath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as a path.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// A file or directory below this one, named by the crate itself.
    pub(crate) fn join(&self, name: &str) -> String {
        format!("{}/{name}", self.0.trim_end_matches('/'))
    }

    /// The directory that holds it; `/` holds itself.
    pub(crate) fn parent(&self) -> &str {
        self.as_path()
            .parent()
            .and_then(Path::to_str)
            .unwrap_or("/")
    }
}

impl FromStr for NodePath {
    type Err = InvalidNodePath;

    fn from_str(text: &str) -> Result<Self, InvalidNodePath> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"/._+-".contains(&b);
        let good = text.starts_with('/')
            && text.bytes().all(legal)
            && text.split('/').all(|part| part != "..");
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidNodePath(text.to_owned()))
        }
    }
}

impl fmt::Display for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a container image, such as `registry.k8s.io/pause:3.10.2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName(String);

/// Why a text is not an [`ImageName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "image name {0:?} must begin with a letter or digit and hold only letters, digits and '/._-:@'"
)]
pub struct InvalidImageName(String);

impl ImageName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ImageName {
    type Err = InvalidImageName;

    fn from_str(text: &str) -> Result<Self, InvalidImageName> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"/._-:@".contains(&b);
        let begins = text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric());
        if begins && text.len() <= 255 && text.bytes().all(legal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidImageName(text.to_owned()))
        }
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a network interface: 1 to 15 letters, digits and `._-` (Linux, `dev_valid_name`, and stricter).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(String);

/// Why a text is not an [`InterfaceName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "interface name {0:?} must be 1 to 15 letters, digits and '._-', and not begin with one of these"
)]
pub struct InvalidInterfaceName(String);

impl InterfaceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InterfaceName {
    type Err = InvalidInterfaceName;

    fn from_str(text: &str) -> Result<Self, InvalidInterfaceName> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let begins = text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric());
        if begins && text.len() <= 15 && text.bytes().all(legal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidInterfaceName(text.to_owned()))
        }
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_file_format_could_misread_is_a_name() {
        assert_eq!(
            "/opt/lab/bin".parse::<NodePath>().unwrap().join("kubelet"),
            "/opt/lab/bin/kubelet"
        );
        for bad in [
            "", "opt", "/a b", "/a\"", "/a/../b", "/a\n", "/a%i", "/$HOME",
        ] {
            assert!(bad.parse::<NodePath>().is_err(), "{bad:?}");
        }
        assert!("registry.k8s.io/pause:3.10".parse::<ImageName>().is_ok());
        for bad in ["", "-x", "a b", "a\"b", "a\nb"] {
            assert!(bad.parse::<ImageName>().is_err(), "{bad:?}");
        }
        assert!("eth1".parse::<InterfaceName>().is_ok());
        for bad in ["", ".", "-x", "a b", "a/b", "sixteen-letters-"] {
            assert!(bad.parse::<InterfaceName>().is_err(), "{bad:?}");
        }
    }
}
