use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::{
    filter::tags::TagFilter,
    plugins::{PluginAllocator, Share},
};

/// One filter, `tags`, that takes any argument but `?`, and one allocator, `none`; both can be taken away.
#[derive(Debug, Default)]
struct Installed {
    gone: AtomicBool,
}

#[derive(Debug)]
struct FirstTakesAll;

impl PluginAllocator for FirstTakesAll {
    fn allocate(&self, share: &Share<'_>) -> Result<Vec<usize>, PluginRefusal> {
        Ok(vec![0; share.queues.len()])
    }
}

impl Plugins for Installed {
    fn filter(&self, name: &str, argument: &str) -> Result<Arc<dyn MessageFilter>, PluginRefusal> {
        match (name, argument) {
            ("tags", "?") => Err(PluginRefusal::Argument { name: name.into(), argument: argument.into(), why: "no".into() }),
            ("tags", _) if !self.gone.load(Ordering::Relaxed) => Ok(Arc::new(TagFilter::nothing())),
            _ => Err(PluginRefusal::NotInstalled(name.into())),
        }
    }

    fn allocator(&self, name: &str, argument: &str) -> Result<Arc<dyn PluginAllocator>, PluginRefusal> {
        match (name, argument) {
            ("none", "?") => Err(PluginRefusal::Argument { name: name.into(), argument: argument.into(), why: "no".into() }),
            ("none", _) => Ok(Arc::new(FirstTakesAll)),
            _ => Err(PluginRefusal::NotInstalled(name.into())),
        }
    }
}

fn bindings() -> (Bindings, Arc<Installed>) {
    let installed = Arc::new(Installed::default());
    (Bindings::new(3, Arc::<Installed>::clone(&installed)), installed)
}

fn tags(argument: &str) -> BoundFilter {
    BoundFilter { argument: argument.to_owned(), plugin: "tags".to_owned() }
}

/// Other plugins have come: of how many filters that is told that they are lost.
fn recheck(bindings: &mut Bindings) -> usize {
    bindings.handle_plugins_changed();
    let lost = bindings.recheck(&mut 10).len();
    assert!(bindings.are_rechecked());
    lost
}

fn count(bindings: &Bindings, group: &str, topic: &str) -> usize {
    bindings.filters(group, topic).unwrap().len()
}

#[test]
fn a_group_and_a_topic_have_a_filter_each_and_a_pull_of_both_has_two() {
    let (mut bindings, _) = bindings();
    assert!(bindings.has_no_filters());
    bindings.bind_filter(Target::Group("G"), tags("a")).unwrap();
    bindings.bind_filter(Target::Topic("T"), tags("b")).unwrap();
    assert_eq!([("G", "T"), ("G", "U"), ("H", "T"), ("T", "G")].map(|(group, topic)| count(&bindings, group, topic)), [2, 1, 1, 0]);
    assert!(bindings.unbind_filter(Target::Group("G")) && !bindings.unbind_filter(Target::Group("G")));
    assert_eq!(count(&bindings, "G", "T"), 1);
}

#[test]
fn what_is_not_there_or_refuses_its_argument_is_not_bound() {
    let (mut bindings, _) = bindings();
    assert!(bindings.bind_filter(Target::Group("G"), tags("?")).unwrap_err().remark.contains("refuses the argument"));
    let gone = BoundFilter { plugin: "gone".to_owned(), ..BoundFilter::default() };
    assert!(bindings.bind_filter(Target::Topic("T"), gone).unwrap_err().remark.contains("'gone'"));
    assert!(bindings.bind_allocator("G", "gone").is_err());
    assert!(bindings.has_no_filters() && bindings.file().len() == 0 && !bindings.take_dirty());
}

#[test]
fn an_allocation_is_a_plugin_or_a_strategy_that_is_built_in() {
    let (mut bindings, _) = bindings();
    bindings.bind_allocator("G", "AVG_BY_CIRCLE").unwrap();
    assert_eq!((bindings.allocator("G"), bindings.allocator("H")), (Some("AVG_BY_CIRCLE"), None));
    bindings.bind_allocator("G", "none:10").unwrap();
    assert_eq!(bindings.allocator("G"), Some("none:10"));
    assert!(bindings.bind_allocator("G", "none:?").unwrap_err().remark.contains("refuses the argument"));
    assert_eq!(bindings.allocator("G"), Some("none:10"), "what is refused takes nothing away");
    assert!(bindings.unbind_allocator("G"));
    assert_eq!(bindings.allocator("G"), None);
}

#[test]
fn while_a_plugin_is_away_its_bindings_stay_and_are_refused() {
    let (mut bindings, installed) = bindings();
    bindings.bind_filter(Target::Topic("T"), tags("a")).unwrap();
    installed.gone.store(true, Ordering::Relaxed);
    assert_eq!(recheck(&mut bindings), 1);
    assert!(recheck(&mut bindings) == 0, "it is told once");
    assert_eq!(bindings.filters("G", "T").err(), Some(PluginRefusal::NotInstalled("tags".to_owned())));
    assert_eq!(count(&bindings, "G", "U"), 0);
    installed.gone.store(false, Ordering::Relaxed);
    assert_eq!(recheck(&mut bindings), 0);
    assert_eq!(count(&bindings, "G", "T"), 1);
}

#[test]
fn a_full_table_takes_nothing_new_and_changes_what_it_has() {
    let (mut bindings, _) = bindings();
    bindings.bind_filter(Target::Group("G"), tags("a")).unwrap();
    bindings.bind_filter(Target::Topic("T"), tags("a")).unwrap();
    bindings.bind_allocator("G", "AVG").unwrap();
    assert!(bindings.bind_filter(Target::Group("H"), tags("a")).is_err() && bindings.bind_allocator("H", "AVG").is_err());
    assert_eq!((bindings.file().len(), count(&bindings, "H", "U")), (3, 0));
    bindings.bind_filter(Target::Group("G"), tags("b")).unwrap();
    bindings.bind_allocator("G", "AVG_BY_CIRCLE").unwrap();
}

#[test]
fn what_is_saved_is_read_again_and_only_changes_make_a_save_necessary() {
    let (mut bindings, installed) = bindings();
    bindings.bind_filter(Target::Group("G"), tags("a")).unwrap();
    bindings.bind_allocator("G", "AVG").unwrap();
    assert!(bindings.take_dirty());
    bindings.bind_filter(Target::Group("G"), tags("a")).unwrap();
    bindings.bind_allocator("G", "AVG").unwrap();
    assert!(!bindings.take_dirty());
    let mut again = Bindings::new(3, Arc::<Installed>::clone(&installed));
    assert_eq!(again.load(&bindings.to_file()).unwrap(), []);
    assert_eq!((again.file(), count(&again, "G", "T")), (bindings.file(), 1));
    installed.gone.store(true, Ordering::Relaxed);
    let mut later = Bindings::new(3, installed);
    assert_eq!(later.load(&bindings.to_file()).unwrap().len(), 1);
    assert_eq!(later.file(), bindings.file());
}
