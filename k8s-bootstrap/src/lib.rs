//! A Kubernetes control plane, nodes and add-ons on given hosts with a given etcd.
mod api;
mod apply;
pub mod component;
mod desired;
mod health;
mod material;
mod names;
mod object;
mod objects;
mod observe;
mod plan;
mod spec;
pub mod systemd;
mod version;
mod yaml;

pub use api::*;
pub use apply::*;
pub use desired::*;
pub use health::*;
pub use material::*;
pub use names::*;
pub use object::*;
pub use observe::*;
pub use plan::*;
pub use spec::*;
pub use version::*;
