//! Pages for admins only.

pub mod integrations;
pub mod workspace;
