//! Runs a program here or on a machine behind SSH, and shows what came of it.
//!
//! `cargo run -p examples --example run_command -- uname -a`
//! `cargo run -p examples --example run_command -- --on root@192.0.2.10 uname -a`

use anyhow::{Context, Result};
use clap::Parser;
use host_exec::{Command, ControlDirectory, Host, LocalHost, SshDestination, SshHost};
use std::path::PathBuf;

#[derive(Parser)]
struct Options {
    /// Where to run it: [USER@]HOST[:PORT]; this machine unless said.
    #[arg(long)]
    on: Option<SshDestination>,
    /// A directory of your own for the control socket of ssh; made if missing.
    #[arg(long, default_value = "/run/host-exec")]
    control: PathBuf,
    /// The program.
    program: String,
    /// Its arguments, passed on word by word.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example shows what it did")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let command = Command::new(options.program).args(options.args);
    let output = match options.on {
        None => LocalHost::new("here".parse()?).run(&command).await?,
        Some(destination) => {
            let control = ControlDirectory::new(options.control)?;
            let host = SshHost::new("there".parse()?, destination, control);
            let output = host.run(&command).await;
            host.disconnect().await.context("closing the connection")?;
            output?
        }
    };
    println!("$ {command}");
    print!("{}", output.stdout_text());
    println!("({}, {} ms)", output.status, output.elapsed.as_millis());
    Ok(())
}
