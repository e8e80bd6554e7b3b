//! Conversations: the messages between one contact and one number.

pub mod activity;
mod change;
mod conversation;
mod counts;
mod find;
mod list;
pub mod snooze;
mod undo;

pub use change::{ConversationChange, mark_read, update};
pub use conversation::{Conversation, Status};
pub use counts::{Counts, counts};
pub use find::{
    between, find, find_many, find_or_create, find_with_others, joined_to, look_up, newest_of,
};
pub use list::{Assignee, Filter, list};
pub use undo::{ConversationState, lock, undo};
