//! The FreeBSD host, and the guests behind it.

use super::keys::KeyFiles;
use crate::{BhyveSpec, Blueprint, Lab, blueprint::host_name};
use host_exec::{
    ControlDirectory, HostName, InvalidControlDirectory, InvalidSshDestination, SshDestination,
    SshHost,
};
use netplan::Machine;

/// The FreeBSD host cannot even be tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// Nobody said which.
    #[error(
        "a lab of bhyve VMs needs a FreeBSD host; give --host ssh://root@HOST, or set bhyve.host in lab.toml"
    )]
    None,
    /// The directory of the sockets for its connection.
    #[error(transparent)]
    Control(#[from] InvalidControlDirectory),
    /// The address of a guest.
    #[error(transparent)]
    Guest(#[from] InvalidSshDestination),
}

/// What a host is called whose own name is no host name by our rules, such as an address.
const NAMELESS: &str = "freebsd";
/// No configuration at all: a guest is none of the machines that the user wrote about.
const NO_CONFIGURATION: &str = "/dev/null";

impl Lab {
    /// The FreeBSD host. Nothing is asked or opened.
    ///
    /// # Errors
    ///
    /// None is named.
    pub fn freebsd_host(&self, bhyve: &BhyveSpec) -> Result<SshHost, HostError> {
        let destination = bhyve.host.clone().ok_or(HostError::None)?;
        let label = destination.host().split('.').next().unwrap_or_default();
        let name: HostName = match label.parse::<HostName>() {
            Ok(name) if !label.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => NAMELESS.parse().expect("a literal that is a host name"),
        };
        let host = SshHost::new(name, destination, self.control_directory()?);
        Ok(match &bhyve.ssh_config {
            Some(file) => host.with_config_file(file),
            None => host,
        })
    }

    /// A guest, by way of its host: it knows the key that it was given before it was made, and no other.
    pub(crate) fn guest(
        &self,
        blueprint: &Blueprint,
        machine: &Machine,
        host: &SshHost,
    ) -> Result<SshHost, HostError> {
        let address = blueprint.ssh_address(machine);
        let destination: SshDestination = format!("root@{address}").parse()?;
        let files = KeyFiles::new(self.state().ssh());
        let guest = SshHost::new(host_name(machine), destination, self.control_directory()?);
        Ok(guest
            .through(host)
            .with_config_file(NO_CONFIGURATION)
            .with_identity_file(files.client())
            .with_known_hosts_file(files.known_hosts()))
    }

    fn control_directory(&self) -> Result<ControlDirectory, InvalidControlDirectory> {
        ControlDirectory::new(self.places.sockets())
    }
}
