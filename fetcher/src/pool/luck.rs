//! Whether dials mostly succeed of late.

use crate::Failure;

/// The whole, as a share.
const ALL: i32 = 1 << 16;
/// How much one dial weighs: the last 16 or so decide.
const WEIGHT: i32 = 16;

/// The share of dials that delivered, of those that could show it; recent ones weigh most. Where most deliver, a second
/// peer dialled beside the first is nearly always for nothing; where few do, it halves the wait.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Luck(i32);

impl Luck {
    /// A dial ended.
    pub(super) fn count(&mut self, result: Result<(), Failure>) {
        let now = match result {
            Ok(()) => ALL,
            // Ours, not the peer's.
            Err(
                Failure::Superseded | Failure::Cancelled | Failure::Deadline | Failure::NoDescriptor | Failure::NoRoom,
            ) => return,
            Err(_) => 0,
        };
        self.0 += (now - self.0) / WEIGHT;
    }

    /// Whether more than half deliver.
    pub(super) fn is_good(self) -> bool {
        self.0 > ALL / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luck_is_what_most_dials_of_late_came_to() {
        let mut luck = Luck::default();
        assert!(!luck.is_good());
        (0..20).for_each(|_| luck.count(Ok(())));
        assert!(luck.is_good());
        (0..100).for_each(|_| luck.count(Err(Failure::Superseded)));
        assert!(luck.is_good());
        (0..20).for_each(|_| luck.count(Err(Failure::ConnectTimeout)));
        assert!(!luck.is_good());
        // One in five, as on the Internet, is not most.
        for dial in 0..100 {
            luck.count(if dial % 5 == 0 { Ok(()) } else { Err(Failure::Refused) });
            assert!(!luck.is_good());
        }
    }
}
