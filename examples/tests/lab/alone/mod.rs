//! What has the machine for itself, since it is measured how long somebody waits, or demanded that no request fails:
//! `./lab test` runs nothing beside it. Where other labs take the processors, members of etcd may change their lead by themselves,
//! and drop a write ("raft proposal dropped").

mod certs;
mod control_planes;
mod upgrade;
