use super::*;

fn stamp(version: u64) -> Stamp {
    Stamp { len: 100, modified: i128::from(version), inode: 1 }
}

fn lying(name: &str, version: u64) -> Lying {
    Lying { name: name.into(), stamp: stamp(version), disabled: false }
}

fn off(name: &str, version: u64) -> Lying {
    Lying { disabled: true, ..lying(name, version) }
}

fn load(name: &str, version: u64) -> ShelfOutput {
    ShelfOutput::Load { name: name.into(), stamp: stamp(version) }
}

fn unload(name: &str, disabled: bool) -> ShelfOutput {
    ShelfOutput::Unload { name: name.into(), disabled }
}

/// What is to be done, without what is told.
fn steps(shelf: &mut PluginShelf) -> Vec<ShelfOutput> {
    std::iter::from_fn(|| shelf.poll_output()).filter(|output| !matches!(output, ShelfOutput::Notice(..))).collect()
}

fn notices(shelf: &mut PluginShelf) -> Vec<String> {
    let text = |output| if let ShelfOutput::Notice(_, text) = output { Some(text) } else { None };
    std::iter::from_fn(|| shelf.poll_output()).filter_map(text).collect()
}

/// A shelf with version 1 of `p` in use.
fn shelf() -> PluginShelf {
    let mut shelf = PluginShelf::new();
    shelf.handle_listed(vec![lying("p", 1)]);
    assert_eq!(steps(&mut shelf), [load("p", 1)]);
    shelf.handle_loaded("p", stamp(1), Ok(()));
    assert_eq!(steps(&mut shelf), [ShelfOutput::Changed]);
    shelf
}

#[test]
fn what_lies_there_unchanged_is_loaded_once() {
    let mut shelf = shelf();
    shelf.handle_listed(vec![lying("p", 1)]);
    assert_eq!(steps(&mut shelf), []);
    shelf.handle_listed(vec![lying("p", 1), lying("q", 1)]);
    assert_eq!(steps(&mut shelf), [load("q", 1)]);
}

#[test]
fn a_new_version_is_loaded_beside_the_old_one_and_a_broken_one_is_not_tried_again() {
    let mut shelf = shelf();
    shelf.handle_listed(vec![lying("p", 2)]);
    assert_eq!(steps(&mut shelf), [load("p", 2)]);
    shelf.handle_loaded("p", stamp(2), Err("no component"));
    assert_eq!(notices(&mut shelf), ["the plugin 'p' is refused: no component; the version before stays"]);
    shelf.handle_listed(vec![lying("p", 2)]);
    assert_eq!(steps(&mut shelf), []);
    shelf.handle_listed(vec![lying("p", 3)]);
    assert_eq!(steps(&mut shelf), [load("p", 3)]);
    shelf.handle_loaded("p", stamp(3), Ok(()));
    assert_eq!(steps(&mut shelf), [ShelfOutput::Changed]);
}

#[test]
fn a_file_that_changes_while_it_is_loaded_is_loaded_again_and_only_its_last_state_is_complained_about() {
    let mut shelf = shelf();
    shelf.handle_listed(vec![lying("p", 2)]);
    shelf.handle_listed(vec![lying("p", 3)]);
    assert_eq!(steps(&mut shelf), [load("p", 2)]);
    shelf.handle_loaded("p", stamp(2), Err("half a file"));
    assert_eq!(shelf.poll_output(), Some(load("p", 3)));
    assert_eq!(shelf.poll_output(), None);
}

#[test]
fn what_is_gone_or_disabled_is_unloaded_and_comes_back_when_it_lies_there_again() {
    let mut shelf = shelf();
    shelf.handle_listed(vec![off("p", 1)]);
    assert_eq!(steps(&mut shelf), [unload("p", true), ShelfOutput::Changed]);
    shelf.handle_listed(vec![off("p", 1)]);
    assert_eq!(steps(&mut shelf), []);
    shelf.handle_listed(vec![lying("p", 1)]);
    assert_eq!(steps(&mut shelf), [load("p", 1)]);
    shelf.handle_loaded("p", stamp(1), Ok(()));
    assert_eq!(steps(&mut shelf), [ShelfOutput::Changed]);
    shelf.handle_listed(vec![]);
    assert_eq!(steps(&mut shelf), [unload("p", false), ShelfOutput::Changed]);
    shelf.handle_listed(vec![]);
    assert_eq!(steps(&mut shelf), []);
}

#[test]
fn what_goes_while_it_is_loaded_is_not_used() {
    let mut shelf = PluginShelf::new();
    shelf.handle_listed(vec![lying("p", 1), lying("q", 1)]);
    assert_eq!(steps(&mut shelf), [load("p", 1), load("q", 1)]);
    shelf.handle_listed(vec![off("q", 1)]);
    assert_eq!(steps(&mut shelf), [unload("q", true), unload("p", false)]);
    shelf.handle_loaded("p", stamp(1), Ok(()));
    shelf.handle_loaded("q", stamp(1), Ok(()));
    assert_eq!(steps(&mut shelf), [unload("p", false), unload("q", true)]);
}

#[test]
fn odd_names_and_huge_files_are_left_alone_and_told_of_once() {
    let mut shelf = PluginShelf::new();
    let huge = Lying { stamp: Stamp { len: PluginShelf::MAX_LEN + 1, ..stamp(1) }, ..lying("huge", 1) };
    for told in [2, 0] {
        shelf.handle_listed(vec![huge.clone(), lying("a b", 1)]);
        let notices = notices(&mut shelf);
        assert_eq!(notices.len(), told, "{notices:?}");
    }
    shelf.handle_listed(vec![]);
    shelf.handle_listed(vec![lying("a b", 1)]);
    assert_eq!(
        notices(&mut shelf),
        ["the plugin 'a b' is left alone: a plugin's name is made of letters, digits, '-' and '_', and has no ' '"]
    );
}

#[test]
fn a_crowded_folder_is_read_up_to_the_limit() {
    let mut shelf = PluginShelf::new();
    shelf.handle_listed((0..=PluginShelf::LIMIT).map(|number| lying(&format!("p{number:04}"), 1)).collect());
    assert_eq!(steps(&mut shelf).len(), PluginShelf::LIMIT);
    shelf.handle_listed((0..=PluginShelf::LIMIT).map(|number| lying(&format!("p{number:04}"), 1)).collect());
    assert_eq!(steps(&mut shelf), []);
}

#[test]
fn what_a_request_has_changed_is_known_before_the_folder_is_looked_at_again() {
    let mut shelf = shelf();
    shelf.handle_changed("p", Some(lying("p", 2)));
    assert_eq!(steps(&mut shelf), [ShelfOutput::Changed]);
    shelf.handle_listed(vec![lying("p", 2)]);
    assert_eq!(steps(&mut shelf), []);
    shelf.handle_changed("p", Some(off("p", 2)));
    assert_eq!(steps(&mut shelf), [unload("p", true), ShelfOutput::Changed]);
    shelf.handle_changed("p", None);
    assert_eq!(steps(&mut shelf), [unload("p", false)]);
    shelf.handle_changed("p", None);
    assert_eq!(steps(&mut shelf), []);
}
