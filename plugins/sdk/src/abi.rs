//! Between the numbers that cross the sandbox's border and the values of Rust, by the canonical ABI of components. Used by the macros.

use std::{
    cell::{Cell, RefCell},
    ptr, slice, str,
};

use crate::allocator::{Client, Queue};

/// Bytes of the room for what comes in that is kept from call to call at most.
const KEPT: usize = 4 << 20;

/// Where the host puts what it hands in: one room for a call, grown when it did not suffice.
#[derive(Default)]
struct Rooms {
    /// Its unit is the largest alignment that the contract has any use for.
    room: Vec<u64>,
    used: usize,
    /// Where the room did not suffice.
    more: Vec<Vec<u64>>,
}

thread_local! {
    static ROOMS: RefCell<Rooms> = const { RefCell::new(Rooms { room: Vec::new(), used: 0, more: Vec::new() }) };
    /// The answer, as the host reads it.
    static ANSWER: Cell<[usize; 3]> = const { Cell::new([0; 3]) };
    /// What the answer points to.
    static BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static OWNERS: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

/// Room for `len` bytes until the end of the call.
#[must_use]
pub fn room(_align: usize, len: usize) -> usize {
    ROOMS.with_borrow_mut(|rooms| {
        let words = len.div_ceil(8).max(1);
        let at = rooms.used;
        rooms.used += words;
        match rooms.room.get_mut(at..at + words) {
            Some(room) => room.as_mut_ptr().expose_provenance(),
            None => {
                rooms.more.push(vec![0; words]);
                rooms.more.last_mut().map_or(0, |room| room.as_mut_ptr().expose_provenance())
            }
        }
    })
}

/// All that came in is done with.
fn done() {
    ROOMS.with_borrow_mut(|rooms| {
        if !rooms.more.is_empty() {
            rooms.more.clear();
            if rooms.used > rooms.room.len() && rooms.used <= KEPT / 8 {
                rooms.room = vec![0; rooms.used.next_power_of_two()];
            }
        }
        rooms.used = 0;
    });
}

/// Bytes that came in.
///
/// # Safety
/// They are there until the call's answer is given.
#[must_use]
pub unsafe fn bytes<'a>(at: usize, len: usize) -> &'a [u8] {
    // SAFETY: the caller knows; an empty list may have any place.
    if len == 0 { &[] } else { unsafe { slice::from_raw_parts(ptr::with_exposed_provenance(at), len) } }
}

/// A text that came in.
///
/// # Safety
/// As for [`bytes`].
#[must_use]
pub unsafe fn text<'a>(at: usize, len: usize) -> &'a str {
    // SAFETY: the caller knows. The host has checked that it is UTF-8, and it costs little to look.
    str::from_utf8(unsafe { bytes(at, len) }).unwrap_or_default()
}

/// Numbers that came in, `count` records of `size` of them.
unsafe fn records<'a>(at: usize, count: usize, size: usize) -> slice::ChunksExact<'a, u32> {
    // SAFETY: as for `bytes`; records begin where numbers may.
    let numbers = if count == 0 { &[] } else { unsafe { slice::from_raw_parts(ptr::with_exposed_provenance(at), count * size) } };
    numbers.chunks_exact(size)
}

/// Queues that came in.
///
/// # Safety
/// As for [`bytes`].
#[must_use]
pub unsafe fn queues<'a>(at: usize, count: usize) -> Vec<Queue<'a>> {
    // SAFETY: the caller knows, and so of what the records point to.
    let queue = |record: &[u32]| unsafe {
        Queue {
            topic: text(record[0] as usize, record[1] as usize),
            broker_name: text(record[2] as usize, record[3] as usize),
            queue_id: record[4].cast_signed(),
        }
    };
    // SAFETY: as above.
    unsafe { records(at, count, 5) }.map(queue).collect()
}

/// Clients that came in.
///
/// # Safety
/// As for [`bytes`].
#[must_use]
pub unsafe fn clients<'a>(at: usize, count: usize) -> Vec<Client<'a>> {
    // SAFETY: the caller knows, and so of what the records point to.
    let property = |record: &[u32]| unsafe { (text(record[0] as usize, record[1] as usize), text(record[2] as usize, record[3] as usize)) };
    // SAFETY: as above.
    let client = |record: &[u32]| unsafe {
        Client {
            id: text(record[0] as usize, record[1] as usize),
            properties: records(record[2] as usize, record[3] as usize, 4).map(property).collect(),
        }
    };
    // SAFETY: as above.
    unsafe { records(at, count, 4) }.map(client).collect()
}

/// Leaves an answer of these numbers where the host reads it.
fn answer(numbers: [usize; 3]) -> usize {
    done();
    ANSWER.with(|answer| {
        answer.set(numbers);
        answer.as_ptr().expose_provenance()
    })
}

/// Answers with a text.
#[must_use]
pub fn answer_text(text: &'static str) -> usize {
    answer([text.as_ptr().expose_provenance(), text.len(), 0])
}

/// Answers with nothing, or with the words of a refusal.
#[must_use]
pub fn answer_verdict(verdict: Result<(), String>) -> usize {
    match verdict {
        Ok(()) => answer([0; 3]),
        Err(words) => refusal(words),
    }
}

fn refusal(words: String) -> usize {
    BYTES.with_borrow_mut(|bytes| {
        *bytes = words.into_bytes();
        answer([1, bytes.as_ptr().expose_provenance(), bytes.len()])
    })
}

/// Answers with a number, which is handed out as it is.
#[must_use]
pub fn answer_bits(bits: u64) -> u64 {
    done();
    bits
}

/// Answers with owners, or with the words of a refusal.
#[must_use]
pub fn answer_owners(owners: Result<Vec<usize>, String>) -> usize {
    match owners {
        Ok(owners) => OWNERS.with_borrow_mut(|kept| {
            // An owner that no number can name is none that the host will believe.
            *kept = owners.into_iter().map(|owner| u32::try_from(owner).unwrap_or(u32::MAX)).collect();
            answer([0, kept.as_ptr().expose_provenance(), kept.len()])
        }),
        Err(words) => refusal(words),
    }
}
