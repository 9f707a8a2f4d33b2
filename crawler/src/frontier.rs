//! Which infohash next.
