//! What packets say of TCP streams.

mod account;
pub mod analysis;
pub mod capture;
pub mod file;
pub mod live;
pub mod packet;
pub mod table;

pub use account::Account;
