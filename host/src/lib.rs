//! The real world: the one loop, sockets, files, clock, entropy and signals.
