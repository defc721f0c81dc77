//! Benches of what is sold as fast: subnets, certificates, plans
