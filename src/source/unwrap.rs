//! Unwrap.
