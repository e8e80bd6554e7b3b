//! What keeps browsers and the server safe from those who mean harm, and secrets out of sight.

mod disclosure;
mod limits;
mod origins;
mod pages;
