//! What a number lacks.
