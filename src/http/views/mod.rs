//! The JSON of each noun, defined once: the API's handlers answer with it, and `--json` of the commands prints it.
//!
//! How to add a noun: a file here with its struct, which derives `Serialize` and `ToSchema`, and a conversion from what
//! the store reads.

pub mod tenant;
