//! Emulators of providers that ship with the binary: `recado carrier`, the demo and the rehearsal run against them.

pub mod twilio;
