//! A real etcd and kube-apiserver on the loopback.
