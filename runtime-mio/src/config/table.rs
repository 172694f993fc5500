//! The table of keys as COMPATIBILITY.md shows it.

use std::{collections::BTreeMap, fmt::Write};

use super::{
    key::{Key, Kind, Standard, Status},
    keys::GROUPS,
};

/// Begins the section of COMPATIBILITY.md that is made from the table.
pub const BEGIN: &str = "<!-- config:begin -->";
/// Ends it.
pub const END: &str = "<!-- config:end -->";

/// The section in Markdown, without the marks.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::new();
    let keys = || GROUPS.iter().flat_map(|group| group.keys);
    let count = |wanted: fn(&Status) -> bool| keys().filter(|key| wanted(&key.status)).count();
    let (all, used, only) =
        (keys().count(), count(|status| matches!(status, Status::Used)), count(|status| matches!(status, Status::OnlyDefault(_))));
    // Writing into a string never fails.
    let _ = writeln!(
        out,
        "## Configuration\n\n`broker.conf` and `namesrv.conf` keep their names, their format and RocketMQ's defaults. {all} keys are known: {used} do what they \
         say, {only} are\nrefused with any value but their default, since ignoring them would break a promise; the others are taken, and a line says so when\none \
         of them is set to something else than its default. An unknown key is ignored with a warning that names the nearest known one;\na value that \
         its key does not take stops the start, naming file, line and key. `petrel … -p` prints what is in effect. This section is\nmade by `petrel config-table`."
    );
    for group in GROUPS {
        let served: Vec<_> = group.keys.iter().filter(|key| key.status == Status::Used).collect();
        let _ = writeln!(out, "\n### {}\n", group.class);
        if !served.is_empty() {
            let _ = writeln!(out, "| key | default | value |\n|---|---|---|");
            for key in served {
                let _ = writeln!(out, "| {} | {} | {} |", key.name, standard(key), kind(&key.kind));
            }
            out.push('\n');
        }
        lists(&mut out, group.keys);
    }
    out
}

/// The keys that are not served, together with those of the same reason.
fn lists(out: &mut String, keys: &[Key]) {
    let mut by_reason: BTreeMap<(u8, &str), Vec<&str>> = BTreeMap::new();
    for key in keys {
        let reason = match key.status {
            Status::Used => continue,
            Status::OnlyDefault(promise) => (0, promise),
            Status::NotYet(what) => (1, what),
            Status::NoEffect(why) => (2, why),
        };
        by_reason.entry(reason).or_default().push(key.name);
    }
    for ((order, reason), names) in by_reason {
        let says = match order {
            0 => "refused (not served: ",
            1 => "no effect yet (not served: ",
            _ => "no effect (",
        };
        let _ = writeln!(out, "- {says}{reason}): {}", names.join(", "));
    }
}

fn standard(key: &Key) -> String {
    match key.standard {
        Standard::Is(text) => text.to_owned(),
        Standard::Number(number) => number.to_string(),
        Standard::Unset => String::new(),
        Standard::Processors(_) => "by the number of processors".to_owned(),
        Standard::HostName => "name of the machine".to_owned(),
        Standard::LocalAddress => "address from which the machine reaches others".to_owned(),
        Standard::ListenPort => "10911, of a name server 9876".to_owned(),
        Standard::HaPort => "listenPort + 1".to_owned(),
        Standard::CommitLog => "commitlog in storePathRootDir".to_owned(),
        Standard::Home(name) => format!("~/{name}"),
        Standard::Environment(name) => format!("environment {name}"),
    }
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Name => "name".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Switch => "true, false".to_owned(),
        Kind::Whole(range) => format!("{} to {}", range.start(), range.end()),
        Kind::Multiple(unit, range) => format!("{} to {}, multiple of {unit}", range.start(), range.end()),
        Kind::Decimal => "number".to_owned(),
        Kind::Choice(words) => words.join(", "),
        Kind::Address => "IP address".to_owned(),
        Kind::Addresses => "host:port;host:port".to_owned(),
        Kind::DelayLevels => "delays with s, m, h or d".to_owned(),
        Kind::Hours => "hours of the day with `;`".to_owned(),
    }
}
