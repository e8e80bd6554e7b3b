//! The inbox: the list of conversations and the open thread.
//! One URL serves the page, its Turbo Frames, and the Turbo Streams that catch up after a reconnect.

mod bulk;
mod changes;
mod choices;
mod contact;
mod empty;
pub mod filter;
mod found;
mod links;
pub mod list;
mod note;
mod pane;
mod paths;
mod reply;
pub mod row;
mod scheduled_text;
pub mod state_parts;
pub mod texts;
mod thread;
mod thread_part;
mod views;

pub use bulk::{change as change_all, export as export_selected, undo as undo_all};
pub use changes::{Toast, UndoByForm, assign, read, snooze, status, undo, unread};
pub use contact::{change as change_contact, change_consent, resolve_near_stop, show as contact};
pub use list::{list, to_inbox};
pub use note::note;
pub use pane::can_send;
pub use reply::{Reply, reply, switch_number};
pub use scheduled_text::{ScheduledChange, change_scheduled, correctable, reason, retry_message};
pub use texts::ScheduledForm;
pub use thread::show;
pub use views::{create as save_view, remove as remove_view};
