//! Form and watch an etcd cluster on given hosts
