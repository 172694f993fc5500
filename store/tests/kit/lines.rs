//! What is written to the log of the process, caught on the thread of a test.

use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex, Once},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// Where lines go; without a place they are heard and forgotten.
#[derive(Clone, Default)]
struct Lines(Option<Arc<Mutex<Vec<String>>>>);

/// Threads of other tests hear everything, too: what a thread that hears nothing comes to first is taken for unwanted on all threads.
static ALL_THREADS_HEAR: Once = Once::new();

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let Some(lines) = &self.0 else { return };
        let mut line = event.metadata().level().to_string();
        event.record(&mut Text(&mut line));
        lines.lock().unwrap().push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Does something and answers what this thread wrote to the log meanwhile: a line each, with its level and fields.
pub(crate) fn lines_of<T>(act: impl FnOnce() -> T) -> (T, Vec<String>) {
    ALL_THREADS_HEAR.call_once(|| tracing::subscriber::set_global_default(Lines::default()).expect("nobody else does"));
    let lines = Arc::default();
    let done = tracing::subscriber::with_default(Lines(Some(Arc::clone(&lines))), act);
    let caught = std::mem::take(&mut *lines.lock().unwrap());
    (done, caught)
}
