//! Faults on real etcd clusters, and what must hold whatever happens.
//!
//! A test support crate of `etcd-bootstrap`: machines of namespaces whose services are real etcd processes, a
//! load of concurrent clients, faults, and a check that the history of the clients is linearizable.

pub mod linear;
