//! What happens by itself.

pub mod accountant;
pub mod bookkeeper;
pub mod clock;
pub mod housekeeping;
pub mod importer;
pub mod inquirer;
pub mod keeper;
pub mod notices;
pub mod pusher;
pub mod reconciler;
pub mod sender;
pub mod supervisor;
