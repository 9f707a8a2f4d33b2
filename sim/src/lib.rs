//! The pretend world: a population from a seed, a network between, virtual time, and a judge.
