//! Answers to the queries of others.

/// Limits.
#[derive(Clone, Debug)]
pub struct Config {}
