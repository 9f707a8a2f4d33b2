//! The download engine in virtual time: many engines and scripted peers on one stage, their disks and lines simulated.
//!
//! `made` makes torrents with content, `scene` puts engines on the stage and runs them, `script` is a peer that does what a
//! list says. The rest are the tests. Those that take minutes are `#[ignore]`d: `cargo test --release --test engine_sim --
//! --ignored`.
#![expect(clippy::print_stdout, reason = "figures for who reads the run")]
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod crash;
mod disk;
mod hostile;
mod idle;
mod limits;
mod made;
mod scene;
mod script;
mod simple;
mod swarm;
mod web;
