//! Reading ranges.

use std::os::fd::OwnedFd;

use rustix::io::{Errno, pread};
use world::DiskFault;

use super::fault::fault;

/// Fills the buffer from `at` on; a file that ends before is [`DiskFault::Gone`].
pub(super) fn read_full(fd: &OwnedFd, buffer: &mut [u8], at: u64) -> Result<(), DiskFault> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match pread(fd, rest, at.saturating_add(filled as u64)) {
            Ok(0) => return Err(DiskFault::Gone),
            Ok(some) => filled += some,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(fault(errno)),
        }
    }
    Ok(())
}

/// Fills the buffer if the system has all of it in memory: true if it did. Never waits for the disk.
#[cfg(target_os = "linux")]
pub(super) fn read_at_hand(fd: &OwnedFd, buffer: &mut [u8], at: u64) -> bool {
    use rustix::io::{ReadWriteFlags, preadv2};
    let len = buffer.len();
    let mut list = [std::io::IoSliceMut::new(buffer)];
    preadv2(fd, &mut list, at, ReadWriteFlags::NOWAIT) == Ok(len)
}

/// Other systems do not say.
#[cfg(not(target_os = "linux"))]
pub(super) const fn read_at_hand(_: &OwnedFd, _: &mut [u8], _: u64) -> bool {
    false
}
