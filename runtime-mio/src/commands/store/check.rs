//! `petrel store verify`

use std::io::Write;

use ::store::examine::Verified;
use serde::Serialize;

use super::{
    FolderArgs, StoreCommandError,
    watch::{Teller, line_of},
};

/// The result as an object of JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    r#type: &'static str,
    well: bool,
    log_start: i64,
    log_end: i64,
    messages: u64,
    queues: u64,
    units: u64,
    keys: u64,
    damage: u64,
    repairable: u64,
    notes: u64,
}

pub(super) fn run(args: &FolderArgs, out: &mut dyn Write) -> Result<bool, StoreCommandError> {
    let examination = args.examine()?;
    let mut teller = Teller::new(out, args.json);
    let verified = examination.verify(&mut teller);
    teller.finish()?;
    let verified = verified?;
    let Verified { log_start, log_end, records, queues, units, keys, notes, repairable, damaged } = verified;
    let well = verified.is_well();
    if args.json {
        let row = Row {
            r#type: "verified",
            well,
            log_start,
            log_end,
            messages: records,
            queues,
            units,
            keys,
            damage: damaged,
            repairable,
            notes,
        };
        out.write_all(&line_of(&row))?;
    } else {
        writeln!(
            out,
            "{records} messages from {log_start} to {log_end} of the log, {units} units in {queues} queues, {keys} keys in the index"
        )?;
        let verdict = match (damaged, repairable) {
            (0, 0) => "all is well".to_owned(),
            (0, _) => format!("{repairable} findings that can be put right, no message is damaged"),
            _ => format!("{damaged} findings of damage, {repairable} that can be put right"),
        };
        writeln!(out, "{verdict}")?;
    }
    Ok(well)
}
