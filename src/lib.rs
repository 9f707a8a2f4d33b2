//! The door of `estudely`: flags in, minds joined into jobs, all printing. No protocol knowledge.
//!
//! Read top-down: [`args`] is what may be typed, [`config`] what it means (every default is there), [`job`] joins the
//! minds and hands them to the host, [`output`] is where rows go, [`report`] is the only place that speaks to people.

pub mod args;
pub mod config;
pub mod exit;
pub mod job;
pub mod output;
pub mod report;
