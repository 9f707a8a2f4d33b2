//! Write tokens (BEP 5).
