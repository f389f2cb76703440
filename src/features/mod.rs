//! The features that businesses use. Siblings never import each other.

pub mod appointments;
pub mod campaigns;
pub mod customers;
pub mod voice;
pub mod numbers;
pub mod reviews;
