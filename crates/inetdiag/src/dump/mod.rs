//! Layer 2, borrowed views: a netlink reply taken apart in place, nothing copied and nothing allocated.
//!
//! 1. [`NetlinkMessages`] walks the messages of one `recv`.
//! 2. [`Message`] is one socket: header and attribute bytes.
//! 3. [`Attributes`] walks the attributes.
//!
//! Both walks yield one `Result` per item. A length that cannot be right ends its own walk with an error, for there
//! is nothing to go on from; a bad attribute does not lose its message, nor a bad message the others of the dump.

mod message;
mod netlink;

pub use message::{Attribute, AttributeError, AttributeFault, Attributes, Message, MessageError};
pub use netlink::{NetlinkError, NetlinkMessage, NetlinkMessages};
