//! What the system says, in the words of the contract.

use rustix::io::Errno;
use world::DiskFault;

/// Why the disk does not do it.
pub(super) fn fault(errno: Errno) -> DiskFault {
    match errno {
        Errno::NOSPC | Errno::DQUOT => DiskFault::Full,
        Errno::NOENT | Errno::STALE => DiskFault::Gone,
        Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::TXTBSY => DiskFault::Denied,
        // A link where a folder or file is to be is among them (`ELOOP`, `ENOTDIR`).
        Errno::EXIST | Errno::NOTDIR | Errno::ISDIR | Errno::LOOP | Errno::NXIO | Errno::NOTEMPTY => {
            DiskFault::InTheWay
        }
        Errno::NAMETOOLONG | Errno::FBIG | Errno::INVAL | Errno::ILSEQ | Errno::OVERFLOW => DiskFault::Unfit,
        _ => DiskFault::Device,
    }
}
