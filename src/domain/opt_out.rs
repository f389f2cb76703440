//! Words by which customers opt out, in, or ask for help.
