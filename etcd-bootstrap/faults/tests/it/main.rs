//! The checker on histories whose verdict is known, and the rows of the fault table on real processes.

mod linear;
