//! Background jobs.

pub mod clock;
pub mod credential_use_flusher;
pub mod email_notifier;
pub mod housekeeping;
pub mod importer;
pub mod media_fetcher;
pub mod outcome_resolver;
pub mod push_notifier;
pub mod reconciler;
pub mod sender;
pub mod supervisor;
pub mod usage_sync;
