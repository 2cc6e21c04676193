//! What our programs have in common: command lines as Go programs take them, values of options, being told to stop, and how
//! errors are told.

pub mod argv;
pub mod errors;
pub mod ports;
pub mod stop;
pub mod values;
