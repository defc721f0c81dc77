//! Showing datasets.

use super::{
    Failed,
    choice::{choose, kinds},
    options,
    property::canonical,
    read,
    sheet::Sheet,
};
use crate::{programs::print, world::World};

/// The columns of `zfs list` without `-o`.
const COLUMNS: &str = "name,used,available,referenced,mountpoint";

/// `zfs list [-Hpr] [-d DEPTH] [-t TYPE,...] [-o PROPERTY,...] [NAME...]`.
pub(super) fn list(world: &World, words: &[String]) -> Result<(), Failed> {
    let options = options(words, "Hprd:t:o:s:S:")?;
    let pools = read(world)?;
    let kinds = kinds(options.value('t').unwrap_or("filesystem,volume"))?;
    let columns = properties(options.value('o').unwrap_or(COLUMNS))?;
    let (chosen, missing) = choose(&pools, &options, &kinds)?;
    let sheet = Sheet {
        world,
        pools: &pools,
        exact: options.has('p'),
    };
    let rows: Vec<Vec<String>> = chosen
        .iter()
        .map(|name| {
            columns
                .iter()
                .map(|column| sheet.value(name, column))
                .collect()
        })
        .collect();
    let heading = columns.iter().map(|column| heading(column)).collect();
    print(table(heading, rows, options.has('H')));
    match missing {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// A list of names of properties.
fn properties(list: &str) -> Result<Vec<String>, Failed> {
    let names = list.split(',').map(|name| {
        let known = canonical(name);
        known.ok_or_else(|| Failed::Usage(format!("bad property list: invalid property '{name}'")))
    });
    names.collect()
}

fn heading(column: &str) -> String {
    let short = match column {
        "available" => "avail",
        "referenced" => "refer",
        other => other,
    };
    short.to_uppercase()
}

/// With tabs for scripts, else in columns.
pub(super) fn table(heading: Vec<String>, mut rows: Vec<Vec<String>>, script: bool) -> String {
    if script {
        return rows
            .iter()
            .map(|row| format!("{}\n", row.join("\t")))
            .collect();
    }
    if rows.is_empty() {
        return "no datasets available\n".to_owned();
    }
    rows.insert(0, heading);
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .enumerate()
            .map(|(column, cell)| format!("{cell:<width$}", width = width(column)));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// The columns of `zfs get`.
const FIELDS: [&str; 5] = ["name", "property", "value", "source", "received"];

/// `zfs get [-Hpr] [-d DEPTH] [-t TYPE,...] [-o FIELD,...] PROPERTY,... NAME...`.
pub(super) fn get(world: &World, words: &[String]) -> Result<(), Failed> {
    let mut options = options(words, "Hprd:t:o:s:")?;
    if options.operands.is_empty() {
        return Err(Failed::Usage("missing property argument".into()));
    }
    let properties = properties(&options.operands.remove(0))?;
    let fields = options.value('o').unwrap_or("name,property,value,source");
    let fields: Vec<&str> = fields.split(',').collect();
    if let Some(odd) = fields.iter().find(|field| !FIELDS.contains(field)) {
        return Err(Failed::Usage(format!("invalid column name '{odd}'")));
    }
    let pools = read(world)?;
    let kinds = kinds(options.value('t').unwrap_or("all"))?;
    let (chosen, missing) = choose(&pools, &options, &kinds)?;
    let sheet = Sheet {
        world,
        pools: &pools,
        exact: options.has('p'),
    };
    let mut rows = Vec::new();
    for name in &chosen {
        for property in &properties {
            let cell = |field: &&str| match *field {
                "name" => name.clone(),
                "property" => property.clone(),
                "value" => sheet.value(name, property),
                "source" => sheet.source(name, property),
                _ => "-".to_owned(),
            };
            rows.push(fields.iter().map(cell).collect());
        }
    }
    let heading = fields.iter().map(|field| field.to_uppercase()).collect();
    print(table(heading, rows, options.has('H')));
    missing.map_or(Ok(()), Err)
}

/// `zfs holds [-H] SNAPSHOT...`.
pub(super) fn holds(world: &World, words: &[String]) -> Result<(), Failed> {
    let options = options(words, "Hpr")?;
    let pools = read(world)?;
    let mut rows = Vec::new();
    for name in &options.operands {
        let snapshot = pools.open(name)?;
        rows.extend(
            snapshot
                .holds
                .iter()
                .map(|tag| vec![name.clone(), tag.clone(), snapshot.id.to_string()]),
        );
    }
    let heading = ["NAME", "TAG", "TIMESTAMP"].map(str::to_owned).to_vec();
    if !rows.is_empty() {
        print(table(heading, rows, options.has('H')));
    }
    Ok(())
}

pub(super) fn version() -> Result<(), Failed> {
    print("zfs-2.4.0-FreeBSD\nzfs-kmod-2.4.0-FreeBSD\n");
    Ok(())
}
