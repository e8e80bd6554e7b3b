//! Security: limits, origins, headers, escaping and disclosure.

mod disclosure;
mod limits;
mod origins;
mod pages;
