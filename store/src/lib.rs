//! Memory: record kinds, CSV tables and the resume journal, over any Read or Write.
