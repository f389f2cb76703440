//! Words by which customers opt out, in, or ask for help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word { Stop, Start, Help }
