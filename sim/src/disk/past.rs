//! What a crash may bring back: the value that is on stable storage, and those that came after it.

/// Gives an operation's number to what a failed sync has left: no later sync takes it along.
const NEVER: u64 = u64::MAX;

/// A value with its history since it was last on stable storage.
#[derive(Clone, Debug)]
pub(crate) struct Past<T> {
    durable: T,
    /// Later values, oldest first, with the number of the operation that made them. At most [`Past::MAX`]: the oldest goes,
    /// which leaves a crash less to choose from.
    cached: Vec<(u64, T)>,
}

impl<T> Past<T> {
    const MAX: usize = 32;

    /// A value that is on stable storage.
    pub(crate) const fn new(durable: T) -> Self {
        Self {
            durable,
            cached: Vec::new(),
        }
    }

    /// What everybody sees while the machine is up.
    pub(crate) fn live(&self) -> &T {
        self.cached.last().map_or(&self.durable, |(_, value)| value)
    }

    /// The operation with this number makes it `value`.
    pub(crate) fn put(&mut self, by: u64, value: T) {
        if self.cached.len() >= Self::MAX {
            self.cached.remove(0);
        }
        self.cached.push((by, value));
    }

    /// All that operations below `before` made is on stable storage.
    pub(crate) fn sync(&mut self, before: u64) {
        if let Some(last) = self.cached.iter().rposition(|(by, _)| *by < before)
            && let Some((_, value)) = self.cached.drain(..=last).next_back()
        {
            self.durable = value;
        }
    }

    /// A sync failed: the system holds for written what operations below `before` made, and will not try again.
    pub(crate) fn spoil(&mut self, before: u64) {
        for (by, _) in &mut self.cached {
            if *by < before {
                *by = NEVER;
            }
        }
    }

    /// Whether a crash changes nothing.
    pub(crate) fn is_settled(&self) -> bool {
        self.cached.is_empty()
    }

    /// How many values a crash chooses from.
    pub(crate) fn choices(&self) -> usize {
        self.cached.len() + 1
    }

    /// One of these, 0 the one on stable storage, and the number of who made it.
    pub(crate) fn choice(&self, which: usize) -> (u64, &T) {
        which
            .checked_sub(1)
            .and_then(|index| self.cached.get(index))
            .map_or((0, &self.durable), |(by, value)| (*by, value))
    }

    /// Forgets the history: this is on stable storage.
    pub(crate) fn settle(&mut self, value: T) {
        self.durable = value;
        self.cached.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_takes_along_what_was_asked_before_it() {
        let mut past = Past::new('a');
        for (by, value) in [(1, 'b'), (5, 'c'), (2, 'd'), (7, 'e')] {
            past.put(by, value);
        }
        past.sync(3);
        assert_eq!((past.choice(0).1, past.choices(), past.live()), (&'d', 2, &'e'));
    }

    #[test]
    fn what_a_failed_sync_left_is_never_taken_along() {
        let mut past = Past::new('a');
        past.put(1, 'b');
        past.spoil(2);
        past.sync(3);
        assert_eq!((past.choice(0).1, past.live()), (&'a', &'b'));
        past.put(4, 'c');
        past.sync(5);
        assert!(past.is_settled() && *past.live() == 'c');
    }

    #[test]
    fn a_long_history_forgets_its_middle_and_no_end() {
        let mut past = Past::new(0);
        (1..1_000).for_each(|by| past.put(by, by));
        assert_eq!((past.choice(0).1, past.live(), past.choices()), (&0, &999, 33));
    }
}
