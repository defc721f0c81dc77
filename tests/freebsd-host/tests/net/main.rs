//! The network programs of the stand-in host, by their names, in namespaces of their own.

mod flows;
mod host;
mod ifconfig;
mod lab;
mod pfctl;
mod settings;
