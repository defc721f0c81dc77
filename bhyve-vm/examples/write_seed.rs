//! Writes a seed for a guest into a file, readable by its owner only.
//!
//! ```text
//! ssh-keygen -q -t ed25519 -N '' -f host_key
//! cargo run -p bhyve-vm --example write_seed -- etcd-0 host_key ~/.ssh/id_ed25519.pub \
//!     network-config 10.110.0.1 seed.img
//! ```
//!
//! Any hypervisor can have the file as a disk. `tests/seed-boot` boots a Debian with one under QEMU.

use bhyve_vm::seed::{HostKey, Seed, User};
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [name, host_key, key, network, ntp_server, image] = words.as_slice() else {
        return Err(
            "usage: write_seed NAME HOST_KEY PUBLIC_KEY NETWORK_CONFIG NTP_SERVER IMAGE".into(),
        );
    };
    let host_key = HostKey::from_openssh(fs::read_to_string(host_key)?.into())?;
    let network = fs::read_to_string(network)?.parse()?;
    let user = User::root(fs::read_to_string(key)?.parse()?);
    let mut seed = Seed::new(name.parse()?, host_key, network).with_user(user);
    seed.ntp_servers.push(ntp_server.parse()?);
    let path = std::path::absolute(image)?;
    let path = path.to_str().ok_or("IMAGE is not UTF-8")?.parse()?;
    // On another machine `Host::write_file` does it.
    host_exec::files::write_here(&seed.files()?.image().file(&path))?;
    Ok(())
}
