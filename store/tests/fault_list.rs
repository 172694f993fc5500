//! `FAULTS.md` names tests that are there.

use std::{fs, path::Path};

#[test]
fn each_test_that_the_list_of_faults_names_is_in_the_file_that_it_names() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let list = fs::read_to_string(dir.join("FAULTS.md")).unwrap();
    let mut named = 0;
    for row in list.lines().filter(|line| line.starts_with("| ")) {
        let Some(tests) = row.trim_end_matches(" |").rsplit(" | ").next() else { continue };
        let mut source = String::new();
        // Words in backticks: a file, then tests of it.
        for word in tests.split('`').skip(1).step_by(2) {
            if Path::new(word).extension().is_some() {
                source = fs::read_to_string(dir.join(word)).unwrap_or_else(|error| panic!("{word}: {error}"));
            } else {
                assert!(source.contains(&format!("fn {word}(")), "no test {word}, which this row names: {row}");
                named += 1;
            }
        }
    }
    assert!(named > 25, "only {named} tests are named");
}
