//! Find, download or build programs of a given version, and make OCI images from static binaries
