//! Brings the index up to the end of the log, record by record.

use std::io;

use super::{
    files::IndexFiles,
    keys::hashes_of,
    log::{LogReader, Read},
};

/// How the index is brought up to the log.
#[derive(Debug)]
pub(super) struct Builder {
    /// All messages before this are in the index.
    at: i64,
    /// Some keys of the message at `at` may be in the index already: that is where the last process stopped.
    resumed: bool,
    hashes: Vec<i32>,
    /// How many keys of the message at `at` have been put in.
    put: usize,
}

impl Builder {
    /// All messages before `at` are in the index, and maybe a part of the keys of the one that begins there.
    pub(super) fn resume(at: i64) -> Self {
        Self { at, resumed: true, hashes: Vec::new(), put: 0 }
    }

    /// All messages before this are in the index.
    pub(super) fn at(&self) -> i64 {
        self.at
    }

    /// Puts the next messages before `end` in, up to so many keys. Answers how many messages there were, and whether it stopped because
    /// the last file is full.
    ///
    /// # Errors
    /// Those of the operating system; the next call goes on where this one stopped.
    pub(super) fn build(&mut self, files: &mut IndexFiles, log: &mut LogReader, end: i64, budget: usize) -> io::Result<(usize, bool)> {
        if self.at < log.start() {
            self.go_on(log.start());
        }
        // A file may have been opened since the reader was told of the last one.
        let end = end.min(log.limit());
        let (mut read, mut spent) = (0, 0);
        while self.at < end && spent < budget {
            let (message, next) = match log.read(self.at) {
                Read::Message(message, next) => (message, next),
                Read::NextFile(next) => {
                    self.go_on(next);
                    continue;
                }
                Read::Unreadable(why, _) => {
                    let next = log.behind_damage(self.at);
                    tracing::error!(offset = self.at, why, next, "the log cannot be read here; the index goes on behind");
                    self.go_on(next);
                    continue;
                }
            };
            hashes_of(&message, &mut self.hashes);
            let store_timestamp = message.store_timestamp();
            while let Some(&hash) = self.hashes.get(self.put) {
                if self.resumed && files.has(hash, self.at)? {
                    self.put += 1;
                    continue;
                }
                if files.last().is_none() {
                    files.add(store_timestamp)?;
                }
                let Some(last) = files.last_mut() else { return Ok((read, true)) };
                if !last.file.put(hash, self.at, store_timestamp) {
                    return Ok((read, true));
                }
                self.put += 1;
            }
            spent += self.hashes.len().max(1);
            self.go_on(next);
            read += 1;
        }
        Ok((read, false))
    }

    fn go_on(&mut self, at: i64) {
        (self.at, self.resumed, self.put) = (at, false, 0);
    }
}
