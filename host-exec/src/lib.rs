//! Run commands, keep files and services on a host: here, over SSH, or inside a namespace machine
