//! What our daemons have in common: command lines as Go programs take them, being told to stop, and how errors are told.

pub mod argv;
pub mod errors;
pub mod stop;
pub mod values;
