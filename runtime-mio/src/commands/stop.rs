//! SIGINT and SIGTERM as the wish that a command comes to its end.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use super::CommandError;

/// The longest wait before the wish is looked at.
pub(super) const PAUSE: Duration = Duration::from_millis(200);

/// A flag that the first of these signals raises. The second one ends the process: it does not wait for a broker that does not answer.
pub(super) fn on_signals() -> Result<Arc<AtomicBool>, CommandError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(|source| CommandError::System { what: "cannot catch signals", source })?;
    }
    Ok(stop)
}

/// A stream that also ends where the command is to stop. What has come of a line by then is no whole line.
pub(super) struct Stoppable<'a, R> {
    from: R,
    stop: &'a AtomicBool,
}

impl<'a> Stoppable<'a, File> {
    /// Standard input, with nothing read ahead.
    pub(super) fn standard_input(stop: &'a AtomicBool) -> io::Result<Self> {
        Ok(Self { from: File::from(io::stdin().as_fd().try_clone_to_owned()?), stop })
    }
}

impl<R: Read + AsFd> Read for Stoppable<'_, R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let pause = Timespec { tv_sec: 0, tv_nsec: PAUSE.subsec_nanos().into() };
        while !self.stop.load(Ordering::Relaxed) {
            match poll(&mut [PollFd::new(&self.from, PollFlags::IN)], Some(&pause)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return self.from.read(room),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::net::UnixStream};

    use super::*;

    #[test]
    fn a_stream_ends_where_the_command_is_to_stop_even_if_nothing_comes() {
        let (mut here, there) = UnixStream::pair().unwrap();
        let stop = AtomicBool::new(false);
        let mut input = Stoppable { from: there, stop: &stop };
        here.write_all(b"line\n").unwrap();
        let mut room = [0; 16];
        assert_eq!(input.read(&mut room).unwrap(), 5);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(input.read(&mut room).unwrap(), 0);
    }
}
