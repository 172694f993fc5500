//! COMPATIBILITY.md tells the truth about every request code and every configuration key.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use petrel_tests::{TestClient, packet::Fields, pair::Pair};
use proto_core::code::{RequestCode, ResponseCode};
use runtime_mio::config::table::{BEGIN, END, markdown};

/// A row of the table: the name, who is asked, and whether it is served.
type Row = (String, String, bool);

fn paper() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../COMPATIBILITY.md")
}

fn table() -> BTreeMap<i32, Row> {
    let text = fs::read_to_string(paper()).expect("COMPATIBILITY.md stands beside the crates");
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [code, name, asked, here, ..] = cells.as_slice() else { return None };
        Some((code.parse().ok()?, ((*name).to_owned(), (*asked).to_owned(), here.starts_with("served"))))
    });
    rows.collect()
}

fn is_served(pair: &mut Pair, client: TestClient, code: RequestCode, asked: &str) -> bool {
    let node = if asked.contains("name server") { pair.names } else { pair.broker };
    let answer = client.call(&mut pair.cluster, node, code.code(), &Fields(&[]), b"");
    answer.code != ResponseCode::RequestCodeNotSupported.code()
}

#[test]
fn the_table_names_every_request_code_and_says_truly_which_are_served() {
    let table = table();
    let mut pair = Pair::new();
    let client = pair.client();
    let mut wrong = String::new();
    for code in RequestCode::ALL {
        let Some((name, asked, served)) = table.get(&code.code()) else {
            wrong += &format!("{} {} is not in the table\n", code.code(), code.name());
            continue;
        };
        if name != code.name() {
            wrong += &format!("{} is called {}\n", code.code(), code.name());
        }
        let truly = is_served(&mut pair, client, *code, asked);
        if *served != truly {
            wrong += &format!("{} {} at the {asked}: served is {truly}\n", code.code(), code.name());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_list_of_configuration_keys_is_that_of_the_code() {
    let text = fs::read_to_string(paper()).expect("COMPATIBILITY.md stands beside the crates");
    let (before, rest) = text.split_once(BEGIN).expect("the list has a beginning");
    let (found, after) = rest.split_once(END).expect("the list has an end");
    if std::env::var_os("PETREL_BLESS").is_some() {
        let text = format!("{before}{BEGIN}\n{}{END}{after}", markdown());
        fs::write(paper(), text).expect("COMPATIBILITY.md can be written");
    } else {
        assert!(
            found.trim() == markdown().trim(),
            "the keys have changed; this writes them down: PETREL_BLESS=1 cargo test -p petrel-tests --test compatibility"
        );
    }
}
