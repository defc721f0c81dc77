//! IPv4 and IPv6 subnet and address allocation, NAT and firewall plan; not Canonical's Netplan
