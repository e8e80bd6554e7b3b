//! Conversations: the messages between one contact and one number.

pub mod activity;
mod change;
mod conversation;
mod counts;
mod export;
mod find;
mod list;
pub mod snooze;
mod undo;
pub mod views;

pub use change::{
    ConversationChange, mark_all_unread, mark_read, mark_unread, undo_unread, update, update_all,
};
pub use conversation::{Conversation, Status};
pub use counts::{Counts, counts};
pub use export::export;
pub use find::{
    between, find, find_many, find_or_create, find_with_others, joined_to, look_up, newest_of,
};
pub use list::{Assignee, Filter, Order, list};
pub use undo::{ConversationState, Undoable, lock, lock_all, undo, undo_all};
