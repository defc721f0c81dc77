//! A certificate authority for etcd and Kubernetes clusters
