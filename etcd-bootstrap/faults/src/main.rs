//! The program of the fault table: `etcd-faults run [--seeds N] [--from N] [--jobs N] [--minutes N] [--long] [--keep] [--below DIR] [ROW...]`.
//!
//! It is also the parts that the rows are made of: a world, a machine in it, the tool under test, and two programs of
//! a machine, systemctl(1) and date(1).

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program for people, with its environment and clock"
)]

mod table;

use anyhow::{Context as _, bail};
use etcd_faults::{
    machine::{self, systemctl},
    rig::Setting,
    rows::{ROWS, Row, find},
    run::{Outcome, Runner, world},
    tool,
};
use std::{
    collections::VecDeque,
    env,
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

fn main() -> ExitCode {
    let words: Vec<String> = env::args().collect();
    let called = Path::new(&words[0]).file_name();
    let played = match called.and_then(|name| name.to_str()) {
        Some("systemctl") => play_systemctl(&words[1..]),
        Some("date") => machine::date(&words[1..]).map(|seconds| {
            println!("{seconds}");
            ExitCode::SUCCESS
        }),
        _ => play(&words[1..]),
    };
    played.unwrap_or_else(|error| {
        eprintln!("etcd-faults: {error:#}");
        ExitCode::FAILURE
    })
}

fn play(words: &[String]) -> anyhow::Result<ExitCode> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["machine", dir] => machine::lead(Path::new(dir)).map(|()| ExitCode::SUCCESS),
        ["tool", work, rest @ ..] => {
            let die_after = rest.first().map(|events| events.parse()).transpose()?;
            let done = runtime()?.block_on(tool::run(Path::new(work), die_after))?;
            Ok(ExitCode::from(u8::from(!done)))
        }
        ["world", row, seed, work, programs, rest @ ..] => {
            thread::spawn(end_with_the_caller);
            let setting = Setting {
                work: work.into(),
                programs: programs.into(),
                seed: seed.parse()?,
                long: rest == ["long"],
            };
            runtime()?.block_on(world(row, setting))?;
            Ok(ExitCode::SUCCESS)
        }
        ["run", rest @ ..] => run(rest),
        _ => bail!(
            "give run [--seeds N] [--from N] [--jobs N] [--minutes N] [--long] [--keep] [--below DIR] [ROW...]"
        ),
    }
}

fn play_systemctl(words: &[String]) -> anyhow::Result<ExitCode> {
    let answer = systemctl::ask(words)?;
    print!("{}", answer.stdout);
    eprint!("{}", answer.stderr);
    Ok(ExitCode::from(answer.status))
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    Ok(runtime.worker_threads(2).enable_all().build()?)
}

/// Standard input is a pipe that nothing is ever written to.
#[expect(clippy::exit, reason = "process 1 takes all that it made along")]
fn end_with_the_caller() {
    let _ = std::io::stdin().read(&mut [0]);
    std::process::exit(1);
}

/// What `run` was asked for.
struct Asked {
    seeds: u64,
    from: u64,
    jobs: usize,
    /// After which nothing is begun any more.
    limit: Duration,
    long: bool,
    keep: bool,
    below: PathBuf,
    rows: Vec<&'static Row>,
}

fn asked(words: &[&str]) -> anyhow::Result<Asked> {
    let mut asked = Asked {
        seeds: 3,
        from: 1,
        jobs: 2,
        limit: Duration::MAX,
        long: false,
        keep: false,
        below: PathBuf::from("/var/tmp"),
        rows: Vec::new(),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--seeds" => asked.seeds = number(word, words.next())?,
            "--from" => asked.from = number(word, words.next())?,
            "--jobs" => asked.jobs = usize::try_from(number(word, words.next())?)?,
            "--minutes" => {
                asked.limit = Duration::from_secs(60 * number(word, words.next())?);
            }
            "--below" => asked.below = words.next().context("--below needs a directory")?.into(),
            "--long" => asked.long = true,
            "--keep" => asked.keep = true,
            name => asked
                .rows
                .push(find(name).with_context(|| format!("no row {name}; rows are {ROWS:?}"))?),
        }
    }
    if asked.rows.is_empty() {
        asked.rows = ROWS.iter().collect();
    }
    Ok(asked)
}

fn number(option: &str, text: Option<&&str>) -> anyhow::Result<u64> {
    let text = text.with_context(|| format!("{option} needs a number"))?;
    text.parse().with_context(|| format!("{option} {text}"))
}

fn run(words: &[&str]) -> anyhow::Result<ExitCode> {
    let asked = asked(words)?;
    let programs = env::var_os("LAB_BIN_DIR").context("LAB_BIN_DIR says where etcd is")?;
    let runner = Runner {
        program: env::current_exe()?,
        programs: PathBuf::from(programs),
        parent: asked.below,
        long: asked.long,
        keep: asked.keep,
    };
    let seeds = asked.from..asked.from + asked.seeds;
    let all = seeds.flat_map(|seed| asked.rows.iter().map(move |row| (*row, seed)));
    let started = Instant::now();
    let queue = Mutex::new(all.collect::<VecDeque<_>>());
    let outcomes = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..asked.jobs.max(1) {
            scope.spawn(|| {
                let next = || {
                    let in_time = started.elapsed() < asked.limit;
                    in_time.then(|| queue.lock().ok()?.pop_front())?
                };
                while let Some((row, seed)) = next() {
                    let outcome = runner.run(row, seed);
                    tell(&outcome);
                    if let Ok(mut outcomes) = outcomes.lock() {
                        outcomes.push(outcome);
                    }
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_default();
    println!("{}", table::table(&outcomes));
    let good = outcomes.iter().all(|outcome| outcome.failure.is_none());
    Ok(ExitCode::from(u8::from(!good)))
}

fn tell(outcome: &Outcome) {
    let seconds = outcome.took.as_secs_f64();
    match &outcome.failure {
        None => eprintln!("{} seed {}: {seconds:.1} s", outcome.row, outcome.seed),
        Some(why) => eprintln!("{} seed {} FAILED: {why}", outcome.row, outcome.seed),
    }
}
