//! A list of numbers that a property reads its steps from.

/// What is left of the list.
#[derive(Clone, Copy, Debug)]
pub struct Steps<'a>(pub &'a [u8]);

impl<'a> Steps<'a> {
    /// The next number; 0 when the list is over.
    #[expect(
        clippy::should_implement_trait,
        reason = "a list that is over goes on with zeros: it is no iterator"
    )]
    pub fn next(&mut self) -> u8 {
        let (&first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        first
    }

    /// One of some choices; `None` if there are none.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        let at = usize::from(self.next()).checked_rem(choices.len())?;
        choices.get(at).copied()
    }

    /// The next `len` numbers; as many as there are if those are fewer.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(len).unwrap_or((self.0, &[]));
        self.0 = rest;
        taken
    }
}
