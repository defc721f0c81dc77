//! The composition: machines, network, certificates, etcd, Kubernetes, from one specification
