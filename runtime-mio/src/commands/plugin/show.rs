//! What `petrel plugin` prints.

use std::io::{self, Write};

use proto_core::json::{self, Dialect};
use route_core::{
    broker::{admin::plugins::PluginList, bindings::BindingsFile},
    plugins::PluginInfo,
};

/// Digits of a digest in a table.
const SHORT: usize = 12;

/// All plugins and bindings.
pub(super) fn list(out: &mut impl Write, list: &PluginList, as_json: bool) -> io::Result<()> {
    if as_json {
        return json_line(out, list);
    }
    if list.plugins.is_empty() {
        writeln!(out, "no plugins")?;
    } else {
        let width = list.plugins.iter().map(|plugin| plugin.name.len()).max().unwrap_or(0).max(4);
        let (count, cost) = ("MESSAGES", "NS EACH");
        writeln!(out, "{:width$}  {:9}  {:8}  {:SHORT$}  {count:>12}  {cost:>8}  {:>8}", "NAME", "KIND", "STATE", "SHA-256", "FAILURES")?;
        for plugin in &list.plugins {
            let PluginInfo { name, kind, state, digest, messages, nanos_per_message, failures, .. } = plugin;
            let digest = digest.get(..SHORT).unwrap_or(digest);
            writeln!(out, "{name:width$}  {kind:9}  {state:8}  {digest:SHORT$}  {messages:>12}  {nanos_per_message:>8}  {failures:>8}")?;
        }
    }
    bindings(out, list)
}

fn bindings(out: &mut impl Write, list: &PluginList) -> io::Result<()> {
    for (what, bound) in [("group", &list.bindings.group_filters), ("topic", &list.bindings.topic_filters)] {
        for (name, filter) in bound {
            writeln!(out, "{what} {name} is filtered by {}{}", filter.plugin, quoted(&filter.argument))?;
        }
    }
    for (group, strategy) in &list.bindings.group_allocators {
        writeln!(out, "group {group} shares queues by {strategy}")?;
    }
    Ok(())
}

fn quoted(argument: &str) -> String {
    if argument.is_empty() { String::new() } else { format!(" with '{argument}'") }
}

/// What a plugin that was removed is still bound to.
pub(super) fn left_bound(out: &mut impl Write, only: &PluginList) -> io::Result<()> {
    bindings(out, only)?;
    if only.bindings != BindingsFile::default() {
        writeln!(out, "what is filtered by it is not read before it is installed again or unbound; queues are shared out alike")?;
    }
    Ok(())
}

/// One plugin, which is all that is in the list.
pub(super) fn info(out: &mut impl Write, only: &PluginList, as_json: bool) -> io::Result<()> {
    if as_json {
        return json_line(out, only);
    }
    let [plugin] = &only.plugins[..] else { return Ok(()) };
    for (what, value) in [
        ("name", plugin.name.clone()),
        ("kind", plugin.kind.clone()),
        ("version", plugin.version.clone()),
        ("state", plugin.state.clone()),
        ("sha-256", plugin.digest.clone()),
        ("bytes", plugin.size.to_string()),
        ("policy", plugin.policy.clone()),
        ("calls", plugin.calls.to_string()),
        ("messages", plugin.messages.to_string()),
        ("ns", format!("{} a call, {} a message", plugin.nanos_per_call, plugin.nanos_per_message)),
        ("fuel", plugin.fuel.to_string()),
        ("failures", format!("{}: {} traps, {} limits", plugin.failures, plugin.traps, plugin.limits)),
        ("by policy", if plugin.by_policy > 0 { format!("{} messages", plugin.by_policy) } else { String::new() }),
        ("last error", plugin.last_error.clone()),
    ] {
        if !value.is_empty() {
            writeln!(out, "{what:10} {value}")?;
        }
    }
    bindings(out, only)
}

/// What was installed.
pub(super) fn installed(out: &mut impl Write, name: &str, plugin: Option<&PluginInfo>) -> io::Result<()> {
    match plugin {
        Some(plugin) if !plugin.digest.is_empty() => {
            let kind = if plugin.kind.is_empty() { String::new() } else { format!("{}, ", plugin.kind) };
            writeln!(out, "{name} is installed: {kind}{} bytes, sha-256 {}", plugin.size, plugin.digest)
        }
        _ => done(out, name, "installed"),
    }
}

/// What has become of a plugin.
pub(super) fn done(out: &mut impl Write, name: &str, what: &str) -> io::Result<()> {
    writeln!(out, "{name} is {what}")
}

/// What to do with a new project.
pub(super) fn project(out: &mut impl Write, name: &str) -> io::Result<()> {
    writeln!(out, "{name}/src/lib.rs is yours; build and install it with")?;
    writeln!(out, "  cd {name} && cargo build --release")?;
    let file = name.replace('-', "_");
    writeln!(out, "  petrel plugin install target/wasm32-unknown-unknown/release/{file}.wasm --name {name}")
}

fn json_line(out: &mut impl Write, list: &PluginList) -> io::Result<()> {
    out.write_all(&json::to_vec(list, Dialect::Default))?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use route_core::broker::bindings::BoundFilter;

    use super::*;

    fn shown() -> PluginList {
        let mut list = PluginList::default();
        list.plugins.push(PluginInfo {
            name: "json-fields".to_owned(),
            kind: "filter".to_owned(),
            state: "active".to_owned(),
            digest: "0123456789abcdef".to_owned(),
            messages: 7,
            nanos_per_message: 120,
            ..PluginInfo::default()
        });
        let filter = BoundFilter { argument: "price > 10".to_owned(), plugin: "json-fields".to_owned() };
        list.bindings.group_filters.insert("readers".to_owned(), filter);
        list.bindings.group_allocators.insert("readers".to_owned(), "gray".to_owned());
        list
    }

    fn text(print: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_list_tells_plugins_with_their_digests_and_what_is_bound() {
        let text = text(|out| list(out, &shown(), false));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "json-fields  filter     active    0123456789ab             7       120         0");
        assert_eq!(lines[2..], ["group readers is filtered by json-fields with 'price > 10'", "group readers shares queues by gray"]);
    }

    #[test]
    fn one_plugin_is_told_in_full_with_what_it_is_bound_to_alone() {
        let text = text(|out| info(out, &super::super::only(&shown(), "json-fields").unwrap(), false));
        assert!(
            text.contains("sha-256    0123456789abcdef\n") && text.contains("filtered by json-fields") && !text.contains("gray"),
            "{text}"
        );
        assert!(super::super::only(&shown(), "gone").is_none());
    }
}
