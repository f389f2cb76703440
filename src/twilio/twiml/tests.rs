//! Documents as they are written, letter by letter.
