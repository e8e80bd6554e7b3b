//! Static files. Each URL contains a hash of the content, so that it is cached forever.

// In layer order: each file uses only those above it.
mod scripts;

mod bundles;

mod collection;

mod by_language;

mod registry;

mod offline;
mod policy;
mod serve;

pub use offline::{pages, service_worker};
pub use policy::csp;
pub use registry::{icon, importmap, manifest, preloads, url};
pub use serve::{app_icon, demo, favicon, show};
