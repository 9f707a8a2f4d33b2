//! Writing batches: what adjoins goes to the system in one call.

use std::io::IoSlice;
use std::os::fd::OwnedFd;

use rustix::io::{Errno, pwritev};
use world::DiskFault;

use super::batch::{Batch, Target};
use super::fault::fault;
use super::stores::Stores;
use crate::counters::DiskCounters;

/// Parts in one call: a MiB of blocks of 16 KiB. More of them save nothing that could be measured (16 take as long per
/// byte as 64), and their list is on the stack.
const MOST_PARTS: usize = 64;

/// Writes batches. Kept from one time to the next for its buffer.
#[derive(Default)]
pub(super) struct Writing {
    order: Vec<Place>,
}

/// A part of a batch, and what came of it.
struct Place {
    to: Target,
    len: usize,
    batch: usize,
    part: usize,
    fault: Option<DiskFault>,
}

impl Place {
    fn key(&self) -> (u32, u32, u64) {
        (self.to.store.0, self.to.file, self.to.at)
    }

    fn end(&self) -> u64 {
        self.to.at.saturating_add(self.len as u64)
    }

    fn same_file(&self, other: &Self) -> bool {
        (self.to.store, self.to.file) == (other.to.store, other.to.file)
    }
}

impl Writing {
    /// Writes everything, and notes in each batch what came of it. Where ranges overlap, the one asked last stays.
    pub(super) fn write(&mut self, stores: &Stores, batches: &mut [Batch]) {
        self.order(batches);
        let mut counted = DiskCounters::default();
        let mut rest = self.order.as_mut_slice();
        while !rest.is_empty() {
            let (run, behind) = rest.split_at_mut(run_length(rest));
            write_run(stores, batches, run, &mut counted);
            rest = behind;
        }
        for place in &self.order {
            if let Some(batch) = batches.get_mut(place.batch) {
                batch.note(place.to.job, place.len, place.fault);
            }
        }
        if let Some(batch) = batches.first_mut() {
            batch.counted += &counted;
        }
    }

    /// By place, so that what adjoins is found; as asked where that would change what is written.
    fn order(&mut self, batches: &[Batch]) {
        self.order.clear();
        for (batch, of) in batches.iter().enumerate() {
            self.order.extend(of.parts.iter().enumerate().map(|(part, of)| Place {
                to: of.to,
                len: of.len,
                batch,
                part,
                fault: None,
            }));
        }
        let asked = |place: &Place| (place.batch, place.part);
        self.order.sort_unstable_by_key(|place| (place.key(), asked(place)));
        let overlap = |two: &[Place]| matches!(two, [a, b] if a.same_file(b) && b.to.at < a.end());
        if self.order.windows(2).any(overlap) {
            self.order.sort_unstable_by_key(asked);
        }
    }
}

/// How many of the first places adjoin.
fn run_length(places: &[Place]) -> usize {
    let adjoin = |two: &[Place]| matches!(two, [a, b] if a.same_file(b) && b.to.at == a.end());
    1 + places
        .windows(2)
        .take(MOST_PARTS - 1)
        .take_while(|two| adjoin(two))
        .count()
}

/// Writes places that adjoin; sets the fault of those that are not written whole.
fn write_run(stores: &Stores, batches: &[Batch], run: &mut [Place], counted: &mut DiskCounters) {
    let Some(Place { to, .. }) = run.first() else {
        return;
    };
    let to = *to;
    let mut list = [IoSlice::new(&[]); MOST_PARTS];
    let mut total = 0;
    for (slice, place) in list.iter_mut().zip(run.iter()) {
        let batch = batches.get(place.batch);
        let part = batch.and_then(|batch| Some((batch, batch.parts.get(place.part)?)));
        let bytes = part.map_or([].as_slice(), |(batch, part)| batch.bytes_of(part));
        total += bytes.len();
        *slice = IoSlice::new(bytes);
    }
    let mut written = 0;
    let result = stores.store(to.store).and_then(|store| {
        let fd = stores.to_write(&store, to.file)?;
        let mut list = list.get_mut(..run.len()).unwrap_or_default();
        let result = write_list(&fd, &mut list, to.at, total, &mut written, counted);
        if written > 0 {
            // Now and not before: what is synced between would be forgotten.
            store.wrote(to.file);
        }
        result
    });
    counted.bytes_written += written as u64;
    let Err(fault) = result else {
        return;
    };
    let mut end = 0;
    for place in run {
        end += place.len;
        if end > written || written == 0 {
            place.fault = Some(fault);
            counted.failures += 1;
        }
    }
}

/// Writes slices one behind the other, in as many calls as the system makes of it.
fn write_list(
    fd: &OwnedFd,
    list: &mut &mut [IoSlice<'_>],
    at: u64,
    total: usize,
    written: &mut usize,
    counted: &mut DiskCounters,
) -> Result<(), DiskFault> {
    while *written < total {
        counted.writes += 1;
        match pwritev(fd, list, at.saturating_add(*written as u64)) {
            Ok(0) => return Err(DiskFault::Device),
            Ok(some) => {
                *written += some;
                IoSlice::advance_slices(list, some);
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(fault(errno)),
        }
    }
    Ok(())
}
