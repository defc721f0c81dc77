//! What has the machine for itself, since it is measured how long somebody waits: `./lab test` runs nothing beside it.

mod certs;
mod control_planes;
mod upgrade;
