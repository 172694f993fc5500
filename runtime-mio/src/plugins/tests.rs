use std::{
    collections::BTreeMap,
    fs::{self, File},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::Sender,
    },
};

use route_core::{
    filter::{MessageFilter, tags::TagFilter},
    plugins::{PluginAllocator, PluginRefusal},
};
use tempfile::TempDir;

use super::*;

/// Takes files that begin with `good`.
#[derive(Debug, Default)]
struct TestHost {
    loaded: Mutex<BTreeMap<String, String>>,
    changes: AtomicU64,
    /// Told when a file that begins with `slow` is being loaded, and asked when that may end.
    slow: Mutex<Option<(Sender<()>, Receiver<()>)>>,
}

impl Plugins for TestHost {
    fn filter(&self, name: &str, _argument: &str) -> Result<Arc<dyn MessageFilter>, PluginRefusal> {
        match self.loaded.lock().unwrap().get(name) {
            Some(_) => Ok(Arc::new(TagFilter::nothing())),
            None => Err(PluginRefusal::NotInstalled(name.to_owned())),
        }
    }

    fn allocator(&self, name: &str, _argument: &str) -> Result<Arc<dyn PluginAllocator>, PluginRefusal> {
        Err(PluginRefusal::NotInstalled(name.to_owned()))
    }

    fn list(&self) -> Vec<PluginInfo> {
        let info = |(name, file): (&String, &String)| PluginInfo { name: name.clone(), digest: file.clone(), ..PluginInfo::default() };
        self.loaded.lock().unwrap().iter().map(info).collect()
    }
}

impl PluginHost for TestHost {
    fn load<'a>(&'a self, name: &'a str, file: &[u8], policy: &str) -> Result<Install<'a>, String> {
        if file.starts_with(b"slow") {
            let _ = self.slow.lock().unwrap().as_ref().map(|(begun, go_on)| (begun.send(()), go_on.recv()));
            return Ok(Box::new(|| Ok(())));
        }
        if !file.starts_with(b"good") || policy == "odd" {
            return Err("it is not good".to_owned());
        }
        let loaded = format!("{}{policy}", String::from_utf8_lossy(file));
        Ok(Box::new(move || {
            self.changes.fetch_add(1, Ordering::Relaxed);
            self.loaded.lock().unwrap().insert(name.to_owned(), loaded);
            Ok(())
        }))
    }

    fn refuse(&self, _name: &str, _why: &str) {}

    fn revision(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    fn tick(&self) {}

    fn unload(&self, name: &str, _disabled: bool) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.loaded.lock().unwrap().remove(name);
    }
}

fn install(file: &'static str, policy: &str) -> PluginChange {
    PluginChange::Install { file: file.into(), policy: policy.into() }
}

struct Scene {
    room: PluginRoom,
    host: Arc<TestHost>,
    folder: TempDir,
    woken: Receiver<()>,
}

impl Scene {
    /// A room over a folder in which these files lie.
    fn with(files: &[(&str, &str)]) -> Self {
        Self::over(TestHost::default(), files)
    }

    fn over(host: TestHost, files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let host = Arc::new(host);
        let (wake, woken): (Sender<()>, _) = std::sync::mpsc::channel();
        let wake = Mutex::new(wake);
        let notifier: Notifier = Arc::new(move || {
            let _ = wake.lock().unwrap().send(());
        });
        let room = PluginRoom::open(folder.path().to_owned(), Arc::<TestHost>::clone(&host), notifier).unwrap();
        Self { room, host, folder, woken }
    }

    fn loaded(&self) -> Vec<String> {
        self.host.loaded.lock().unwrap().iter().map(|(name, file)| format!("{name}={file}")).collect()
    }

    /// Changes something and waits for the answer; tells whether the broker is to look up plugins anew.
    fn change(&mut self, name: &str, change: PluginChange) -> (Result<Option<PluginInfo>, String>, bool) {
        self.room.change(Some((PeerId(1), 7)), name.into(), change);
        let mut changed = false;
        loop {
            self.woken.recv().unwrap();
            let mut answer = None;
            while let Some(event) = self.room.poll_event() {
                match event {
                    PluginEvent::Changed => changed = true,
                    PluginEvent::Answer(asked, outcome) => {
                        assert_eq!(asked, Some((PeerId(1), 7)));
                        answer = Some(outcome);
                    }
                    PluginEvent::Notice(..) => {}
                }
            }
            if let Some(answer) = answer {
                return (*answer, changed);
            }
        }
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn what_lies_in_the_folder_is_loaded_before_the_room_is_open_and_the_broken_is_told_of() {
    let mut scene = Scene::with(&[("a.wasm", "good 1"), ("b.wasm", "bad"), ("c.wasm.disabled", "good 2"), ("notes.txt", "good 3")]);
    assert_eq!(scene.loaded(), ["a=good 1"]);
    let events: Vec<_> = std::iter::from_fn(|| scene.room.poll_event()).collect();
    let refused = |event: &PluginEvent| matches!(event, PluginEvent::Notice(NoticeLevel::Error, text) if text.contains("'b' is refused: it is not good"));
    assert!(events.iter().any(refused), "{events:?}");
    scene.room.close();
}

#[test]
fn an_upload_is_checked_written_and_in_use_when_it_is_answered() {
    let mut scene = Scene::with(&[]);
    let (answer, changed) = scene.change("p", install("good 1", ""));
    assert_eq!((answer.unwrap().unwrap().digest.as_str(), changed), ("good 1", true));
    assert_eq!((scene.loaded(), scene.files()), (vec!["p=good 1".to_owned()], vec!["p.wasm".to_owned()]));
    let (answer, changed) = scene.change("p", install("bad", ""));
    assert_eq!((answer, changed), (Err("the plugin 'p' is refused: it is not good".to_owned()), false));
    assert_eq!(scene.loaded(), ["p=good 1"]);
    let (answer, _) = scene.change("p", install("good 2", ""));
    assert_eq!((answer.unwrap().unwrap().digest.as_str(), scene.loaded()), ("good 2", vec!["p=good 2".to_owned()]));
    scene.room.close();
}

#[test]
fn a_policy_stays_with_its_plugin_and_an_odd_one_is_refused() {
    let mut scene = Scene::with(&[]);
    assert!(scene.change("p", install("good 1", " withhold")).0.is_ok());
    assert!(scene.change("p", install("good 2", "odd")).0.is_err());
    assert!(scene.change("p", install("good 3 ", "")).0.is_ok());
    assert_eq!(scene.loaded(), ["p=good 3 withhold"]);
    scene.room.close();
}

#[test]
fn a_plugin_is_switched_off_and_on_and_taken_away() {
    let mut scene = Scene::with(&[("p.wasm", "good 1")]);
    assert!(scene.change("p", PluginChange::Disable).1);
    assert_eq!((scene.loaded(), scene.files()), (vec![], vec!["p.wasm.disabled".to_owned()]));
    assert!(scene.change("p", PluginChange::Enable).1);
    assert_eq!(scene.loaded(), ["p=good 1"]);
    assert_eq!(scene.change("p", PluginChange::Remove), (Ok(None), true));
    assert_eq!((scene.loaded(), scene.files()), (vec![], Vec::<String>::new()));
    let (answer, _) = scene.change("p", PluginChange::Remove);
    assert!(answer.unwrap_err().contains("no plugin is called 'p'"));
    scene.room.close();
}

#[test]
fn a_listing_tells_files_by_their_digests_whether_they_are_in_use_or_not() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("a.wasm"), "abc").unwrap();
    fs::write(dir.path().join("b.wasm.disabled"), "abc").unwrap();
    let folder = PluginFolder::new(dir.path().to_owned());
    let digests: Vec<_> = folder.list().iter().map(|lying| folder.digest(lying).unwrap()).collect();
    assert_eq!(digests, ["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; 2]);
}

#[test]
fn no_name_leads_out_of_the_folder() {
    let folder = PluginFolder::new(PathBuf::from("/nowhere"));
    for name in ["../x", "", "a/b", ".hidden"] {
        assert_eq!(folder.write(name, b"x", "").unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
        assert_eq!(folder.remove(name).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
    }
}

#[test]
fn a_file_that_is_too_long_is_not_read_to_its_end() {
    let dir = TempDir::new().unwrap();
    let folder = PluginFolder::new(dir.path().to_owned());
    File::create(dir.path().join("p.wasm")).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(folder.read("p").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn an_end_does_not_wait_for_what_is_being_compiled_and_that_is_not_written_any_more() {
    let mut scene = Scene::with(&[]);
    let ((begun, has_begun), (go_on, may_go_on)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    *scene.host.slow.lock().unwrap() = Some((begun, may_go_on));
    scene.room.change(None, "p".into(), install("slow", ""));
    has_begun.recv().unwrap();
    let (folder, woken) = (scene.folder, scene.woken);
    scene.room.close();
    go_on.send(()).unwrap();
    // The thread has ended when nobody is left who could wake the loop.
    while woken.recv().is_ok() {}
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_start_does_not_wait_for_what_is_long_to_compile() {
    let ((begun, _has_begun), (go_on, may_go_on)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    let host = TestHost { slow: Mutex::new(Some((begun, may_go_on))), ..TestHost::default() };
    let mut scene = Scene::over(host, &[("a.wasm", "good 1"), ("s.wasm", "slow")]);
    assert_eq!(scene.loaded(), ["a=good 1"]);
    let told = |scene: &mut Scene| -> Vec<String> {
        let notices = std::iter::from_fn(|| scene.room.poll_event()).filter_map(|event| match event {
            PluginEvent::Notice(_, text) => Some(text),
            _ => None,
        });
        notices.collect()
    };
    let first = told(&mut scene);
    assert!(first.iter().any(|text| text.starts_with("1 plugins are still being compiled")), "{first:?}");
    go_on.send(()).unwrap();
    while !told(&mut scene).iter().any(|text| text == "the plugin 's' is loaded") {
        scene.woken.recv().unwrap();
    }
    scene.room.close();
}
