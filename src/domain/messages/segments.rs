//! How many pieces a text travels in.
