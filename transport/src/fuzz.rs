//! The properties of this room, for any bytes at all: what the fuzz targets and the property tests call.

mod mse;
mod streams;
mod utp;

pub use mse::mse;
pub use streams::streams;
pub use utp::utp;
