//! Who goes first where there are fewer processors than threads.

/// Of threads that work for milliseconds at a stretch, on the system's scale from -20 (first) to 19.
const LATER: i32 = 5;
/// Of a thread that all others wait for.
const SOONER: i32 = -10;

/// Lets the loop go first: for threads that work for milliseconds at a stretch.
pub(crate) fn yield_to_the_loop() {
    set(LATER);
}

/// Goes before the others, if the system allows it (to root, or by `RLIMIT_NICE`): for a thread that does little, but that is waited for.
pub(crate) fn go_first() {
    set(SOONER);
}

/// Of the calling thread; Linux counts each thread as a process here.
fn set(niceness: i32) {
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), niceness) {
        tracing::debug!(niceness, %error, "a thread keeps its priority");
    }
}
