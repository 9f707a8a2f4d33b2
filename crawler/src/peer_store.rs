//! The peers that others announced to us.
