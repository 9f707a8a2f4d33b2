//! Politeness: how much may be asked of whom, and who is never asked.

/// Limits.
#[derive(Clone, Debug)]
pub struct Config {}

crate::stats::closed_list! {
    /// Why a destination is never asked.
    Refusal {
        /// A special-purpose address.
        Bogon => "bogon",
    }
}
