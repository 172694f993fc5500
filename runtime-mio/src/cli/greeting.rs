//! What a server prints once its ports are open.

use std::{fmt::Write, path::Path};

use crate::{plan::NAME_SERVER_PORT, server::Serving};

/// Says where is served, where data goes and, if all is there, what to try first. `data` is the folder around all data, if there is one.
pub(super) fn lines(serving: &Serving, broker_name: Option<&str>, data: Option<&Path>) -> String {
    let mut out = format!("Petrel {}\n", env!("CARGO_PKG_VERSION"));
    // Writing into a string never fails.
    if let Some(listen) = serving.name_server {
        let _ = writeln!(out, "name server  listens on {listen}");
    }
    if let (Some(listen), Some(address)) = (serving.broker, serving.broker_address) {
        let vip = serving.vip.map(|vip| format!(" and {vip}")).unwrap_or_default();
        let _ = writeln!(out, "broker       {} listens on {listen}{vip}; clients are told {address}", broker_name.unwrap_or_default());
    }
    if let Some(folder) = data.or(serving.store.as_deref()) {
        let _ = writeln!(out, "data         {}", folder.display());
    }
    if let (Some(name_server), Some(_)) = (serving.name_server, serving.broker) {
        let port = name_server.port();
        // Clients of this binary look on the usual port by themselves.
        let cluster = if port == NAME_SERVER_PORT { String::new() } else { format!(" -n 127.0.0.1:{port}") };
        let _ = writeln!(out, "\nTry it:\n  petrel produce Greetings hello{cluster}\n  petrel consume Greetings{cluster}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Option<std::net::SocketAddr> {
        Some(([127, 0, 0, 1], port).into())
    }

    #[test]
    fn who_serves_both_is_told_what_to_try() {
        let serving =
            Serving { name_server: at(9876), broker: at(10911), vip: at(10909), broker_address: at(10911), store: Some("d/store".into()) };
        let lines = lines(&serving, Some("a"), None);
        assert!(lines.contains("a listens on 127.0.0.1:10911 and 127.0.0.1:10909"), "{lines}");
        assert!(lines.contains("data         d/store") && lines.ends_with("petrel consume Greetings\n"), "{lines}");
    }

    #[test]
    fn the_folder_that_was_asked_for_is_named() {
        let serving = Serving { broker: at(2), broker_address: at(2), store: Some("d/store".into()), ..Serving::default() };
        assert!(lines(&serving, Some("a"), Some(Path::new("d"))).contains("data         d\n"));
    }

    #[test]
    fn an_unusual_port_is_part_of_what_to_try() {
        let serving = Serving { name_server: at(1), broker: at(2), broker_address: at(2), ..Serving::default() };
        assert!(lines(&serving, Some("a"), None).contains("hello -n 127.0.0.1:1\n"));
    }

    #[test]
    fn a_name_server_alone_has_nothing_to_try() {
        let serving = Serving { name_server: at(9876), ..Serving::default() };
        let lines = lines(&serving, None, None);
        assert!(!lines.contains("Try it") && !lines.contains("broker"), "{lines}");
    }
}
