//! The behaviours of the reference systems, each test named after its row: signed webhooks in, TwiML out, rows written.

mod line;
mod voice;
