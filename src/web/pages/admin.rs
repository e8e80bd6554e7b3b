//! Pages for admins.

pub mod integrations;
