//! `estudely`: the door.

fn main() {}
