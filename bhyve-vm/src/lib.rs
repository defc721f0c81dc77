//! bhyve virtual machines on a FreeBSD host: specification, arguments, states
