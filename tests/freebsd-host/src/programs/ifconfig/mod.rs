//! ifconfig(8).

mod change;
mod show;
mod words;

use crate::{
    net::{
        interfaces::{Interfaces, Kind},
        modules, pf,
        said::{Answer, Said},
    },
    world::World,
};
use std::process::ExitCode;

pub(super) fn main(world: &World, words: &[String]) -> ExitCode {
    Said::conclude(run(world, words))
}

fn run(world: &World, words: &[String]) -> Answer {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut interfaces = Interfaces::lock(world)?;
    match words[..] {
        [] | ["-a"] => Ok(Said::out(show::all(&interfaces))),
        ["-l"] => {
            let names: Vec<&str> = interfaces.iter().map(|own| own.name.as_str()).collect();
            Ok(Said::out(format!("{}\n", names.join(" "))))
        }
        ["-g", group] => {
            let in_group = interfaces
                .iter()
                .filter(|own| own.groups.iter().any(|g| g == group));
            let names: Vec<String> = in_group.map(|own| format!("{}\n", own.name)).collect();
            Ok(Said::out(names.concat()))
        }
        [option, ..] if option.starts_with('-') => Err(usage()),
        [name] => {
            interfaces.at(name)?;
            Ok(Said::out(show::one(&interfaces, name)))
        }
        [name, ref changes @ ..] => change(world, interfaces, name, changes),
    }
}

fn usage() -> Said {
    Said::refused(
        "usage: ifconfig [-j jail] [-f type:format] interface address_family\n\
         \x20               [address [dest_address]] [parameters]\n\
         \x20      ifconfig [-j jail] interface create\n\
         \x20      ifconfig -a [-j jail] [-d] [-m] [-u] [-v] [address_family]\n\
         \x20      ifconfig -l [-d] [-u] [address_family]\n\
         \x20      ifconfig [-j jail] [-d] [-m] [-u] [-v]",
    )
}

/// Applies changes one after the other, as the real program does: those before one that fails stay.
fn change(world: &World, mut interfaces: Interfaces, name: &str, words: &[&str]) -> Answer {
    let (creates, words) = match words {
        ["create" | "plumb", rest @ ..] => (true, rest),
        _ => (false, words),
    };
    if !creates {
        interfaces.at(name)?;
    }
    let changes = words::changes(words)?;
    let mut at = At {
        name: name.to_owned(),
        says: false,
    };
    if creates {
        at = create(world, &mut interfaces, name)?;
    }
    let mut result = Ok(());
    for change in &changes {
        result = change::apply(world, &mut interfaces, &mut at, change);
        if result.is_err() {
            break;
        }
    }
    interfaces.save()?;
    drop(interfaces);
    pf::follow_interfaces(world)?;
    let says = if at.says {
        format!("{}\n", at.name)
    } else {
        String::new()
    };
    match result {
        Ok(()) => Ok(Said::out(says)),
        Err(said) => Err(Said { out: says, ..said }),
    }
}

/// The interface that is changed: its name so far, and whether the program says it in the end, since the caller
/// did not choose it.
struct At {
    name: String,
    says: bool,
}

fn create(world: &World, interfaces: &mut Interfaces, wanted: &str) -> Answer<At> {
    if interfaces.get(wanted).is_some() {
        return Err(Said::refused(format!(
            "ifconfig: interface {wanted} already exists"
        )));
    }
    let unknown = || Said::refused(format!("ifconfig: interface {wanted} does not exist"));
    let kind = Kind::of_new(wanted).ok_or_else(unknown)?;
    let driver = kind.driver().ok_or_else(unknown)?;
    // It loads the driver by itself.
    modules::load(world, kind.module())?;
    let says = wanted == driver;
    let name = if says {
        interfaces.free_name(driver)
    } else {
        wanted.to_owned()
    };
    change::make(interfaces, &name, kind)?;
    Ok(At { name, says })
}

/// The complaint of err(3) about an ioctl(2).
fn ioctl(request: &str, cause: &str) -> Said {
    Said::refused(format!("ifconfig: {request}: {cause}"))
}
