//! The program `lab`: arguments, environment, clock, display and exit status around the crate `cluster_lab`.
//!
//! It decides nothing about the lab itself. What a verb does is a function of its name in `verbs`.

mod args;
mod exit;
mod gantt;
mod inside;
mod next_steps;
mod plan_json;
mod progress;
mod record;
mod screen;
mod settings;
mod show_plan;
mod table;
mod timings;
mod verbs;
mod wanted;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = args::Cli::parse_from(args::split_kubectl(std::env::args_os()));
    let output = cli.global.output;
    match verbs::run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => exit::report(&error, output).into(),
    }
}
