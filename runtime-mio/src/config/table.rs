//! The table of keys as COMPATIBILITY.md shows it.

use std::{collections::BTreeMap, fmt::Write};

use super::{
    key::{Key, Kind, Standard, Status},
    keys::GROUPS,
    live,
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
         its key does not take stops the start, naming file, line and key. `petrel … -p` prints what is in effect, with\n`--all` also what is not. Requests 25 and 318 change those keys that say so, at once, and write them into the file that `-c` names, where all else\nstays as it is; without one into `config/broker.properties` of the store or `namesrv.properties` beside `kvConfig.json`, which the next start\nreads. This section is made by `petrel config-table`."
    );
    for group in GROUPS {
        let served: Vec<_> = group.keys.iter().filter(|key| key.status == Status::Used).collect();
        if served.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n### {}\n\n| key | default | value | by request |\n|---|---|---|---|", group.class);
        for key in served {
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} |",
                key.name,
                standard(key),
                kind(&key.kind),
                if live::is_changeable(key.name) { "yes" } else { "" }
            );
        }
    }
    let refused = |status| if let Status::OnlyDefault(promise) = status { Some(promise) } else { None };
    let not_yet = |status| if let Status::NotYet(what) = status { Some(what) } else { None };
    let no_effect = |status| if let Status::NoEffect(why) = status { Some(why) } else { None };
    list(&mut out, "Refused with another value than their default, because this is not served", refused);
    list(&mut out, "No effect yet, because this is not served", not_yet);
    list(&mut out, "No effect, for these reasons", no_effect);
    out
}

/// The columns that a line of keys has at most.
const WIDTH: usize = 120;

/// Keys that are not served, together with those of the same reason, whatever class they stand in.
fn list(out: &mut String, title: &str, reason: fn(Status) -> Option<&'static str>) {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for key in GROUPS.iter().flat_map(|group| group.keys) {
        if let Some(why) = reason(key.status) {
            by_reason.entry(why).or_default().push(key.name);
        }
    }
    let _ = writeln!(out, "\n### {title}\n");
    for (why, mut names) in by_reason {
        names.sort_unstable();
        let _ = writeln!(out, "- **{why}**:");
        let mut line = String::new();
        for (at, name) in names.iter().enumerate() {
            if line.len() + name.len() + 4 > WIDTH {
                let _ = writeln!(out, " {line}");
                line.clear();
            }
            let _ = write!(line, " {name}{}", if at + 1 < names.len() { "," } else { "" });
        }
        let _ = writeln!(out, " {line}");
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
        Kind::Host => "IP address or host name".to_owned(),
        Kind::Addresses => "host:port;host:port".to_owned(),
        Kind::DelayLevels => "delays with s, m, h or d".to_owned(),
        Kind::Hours => "hours of the day with `;`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_stands_in_the_section_once_and_no_line_of_keys_is_long() {
        let section = markdown();
        let lists = section.split_once("### Refused").expect("the lists").1;
        assert!(lists.lines().filter(|line| line.starts_with("  ")).all(|line| line.len() <= WIDTH));
        for key in GROUPS.iter().flat_map(|group| group.keys) {
            let as_row = section.contains(&format!("\n| {} |", key.name));
            let listed =
                lists.lines().filter(|line| line.starts_with("  ")).flat_map(|line| line.split(',')).any(|name| name.trim() == key.name);
            assert!(as_row == (key.status == Status::Used) && listed != as_row, "{}", key.name);
        }
    }
}
