//! Which sockets are recorded: one meaning, in the kernel for polls and in user space for destroy events.

mod bytecode;
mod local;

pub use bytecode::{HostCondition, Side, reject};
pub use local::{is_local, reject_local};
