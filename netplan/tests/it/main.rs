//! Tests of the public API; the modules are named for what they test.

mod pool;
