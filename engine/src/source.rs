//! What is backed up: database servers, spoken to in their own protocols.

pub mod postgres;
