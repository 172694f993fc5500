//! The page about a first filter: its commands, run as they stand beside a broker, install what it shows.

use std::{
    env, fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use petrel_tests::process::{Process, free_port, petrel, run};

const PAGE: &str = include_str!("../../plugins/README.md");

/// The blocks of the page in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    PAGE.split(begin.as_str()).skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block).collect()
}

#[test]
fn the_commands_of_the_page_install_a_filter_in_a_running_broker() {
    let folder = tempfile::tempdir().expect("a folder");
    let (names, broker) = (free_port(), free_port());
    let data = folder.path().join("petrel-data").display().to_string();
    let arguments = ["standalone", "--data", &data, "--listen-port", &broker.to_string(), "--namesrv-port", &names.to_string()];
    let _broker = Process::start(&arguments, broker, &folder.path().join("log"));

    let path = env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("bash");
    shell.args(["-e", "-c", &blocks("sh").concat()]).current_dir(folder.path());
    shell.env("PATH", format!("{}:{path}", petrel().parent().map(Path::display).expect("a folder")));
    // The project is built where it lies, with its own settings.
    shell.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let done = shell.output().expect("bash");
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{told}{}", String::from_utf8_lossy(&done.stderr));

    let project = fs::read_to_string(folder.path().join("big-orders/src/lib.rs")).expect("the project");
    assert_eq!(blocks("rust"), [project.as_str()]);
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        let list = run(&["plugin", "list", "--broker", &format!("127.0.0.1:{broker}")]);
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        if list.lines().any(|line| line.starts_with("big-orders ") && line.contains(" filter ") && line.contains(" active ")) {
            return;
        }
        assert!(Instant::now() < patience, "{told}{list}");
        thread::sleep(Duration::from_millis(50));
    }
}
