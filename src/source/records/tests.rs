//! Records over any blocks.
