//! A stand-in FreeBSD host for tests: programs of FreeBSD's base system, as strict as the real ones, in namespaces
//! of Linux. Which program it plays is the name it is called by.
//!
//! What is kept between two calls lies below one directory ([`world::World`]); what packets meet is real.
//! As `freebsd-host` it makes, enters and removes such a host ([`control`]).

#![expect(
    clippy::disallowed_methods,
    reason = "it plays an operating system: it starts processes, looks at the clock and waits"
)]

mod cgroup;
mod control;
mod guest;
mod kernel;
mod net;
mod programs;
mod store;
mod world;

use std::{env, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let mut words = env::args();
    let called = words.next().unwrap_or_default();
    let words: Vec<String> = words.collect();
    let world = world::World::here();
    // A process that has given itself a title (setproctitle(3)) is called by it.
    if let Some((name, title)) = called.split_once(": ")
        && let Some(program) = programs::titled(name)
    {
        return program(&world, title);
    }
    let name = Path::new(&called)
        .file_name()
        .and_then(|name| name.to_str());
    let name = name.unwrap_or_default();
    match name {
        "freebsd-host" => control::main(&words),
        kernel::INIT => kernel::main(&world),
        kernel::INTERNET => kernel::internet(),
        _ => match programs::find(name) {
            Some(program) => program(&world, &words),
            None => programs::fail(127, format!("freebsd-host: plays no program {name:?}")),
        },
    }
}
