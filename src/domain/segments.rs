//! Segments, counted as Twilio counts them.
