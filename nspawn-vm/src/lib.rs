//! Linux namespaces as machines: systemd-nspawn boots systemd on an overlay of the host's own root
