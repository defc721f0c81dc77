//! The certificates that a cluster of this crate asks for, in the words of `pki`.

use crate::{ClusterSpec, NodeSpec};
use pki::{AltNames, KeySpec, KubeletClients, Life, NameError, NodeNames, PkiSpec};

impl ClusterSpec {
    /// Which certificates, keys and kubeconfigs this cluster needs: those of its control planes and nodes, with their
    /// IPv4 and IPv6 addresses, and those of `etcd_members`. Every life is the usual one, and kubelets ask the cluster;
    /// every field is public, change what is otherwise. [`Material::from_store`](crate::Material::from_store) takes
    /// what [`pki::apply`] makes of it.
    ///
    /// # Errors
    ///
    /// A node's name cannot be in a certificate.
    pub fn certificates(&self, etcd_members: Vec<NodeNames>) -> Result<PkiSpec, NameError> {
        let names = |node: &NodeSpec| {
            Ok(NodeNames {
                name: pki::HostName::new(node.name.as_str())?,
                ips: node.address.both().to_vec(),
                api_server_url: None,
            })
        };
        let nodes = self.nodes().map(|(_, node)| names(node));
        Ok(PkiSpec {
            cluster_name: self.cluster_name.clone(),
            kubernetes_version: self.version.version(),
            dns_domain: self.dns_domain.clone(),
            api_service_ips: self.api_service_address().both().to_vec(),
            api_extra_names: AltNames::default(),
            api_server_url: self.api_endpoint.clone(),
            control_planes: self
                .control_planes
                .iter()
                .map(names)
                .collect::<Result<_, _>>()?,
            nodes: nodes.collect::<Result<_, _>>()?,
            etcd_members,
            authority_life: Life::AUTHORITY,
            leaf_life: Life::LEAF,
            kubelet_clients: KubeletClients::None,
            key: KeySpec::EcdsaP256,
        })
    }
}
