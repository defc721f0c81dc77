//! The program of the fault table.

fn main() {}
