//! Whose store to sample next (BEP 51).

/// Limits.
#[derive(Clone, Debug)]
pub struct Config {}
