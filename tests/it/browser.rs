//! What people see and do, in a real browser: Chromium, steered by chromedriver.

mod driver;
mod first_day;
mod person;

pub use person::Browser;
