//! A Kubernetes control plane, nodes and add-ons on given hosts with a given etcd
