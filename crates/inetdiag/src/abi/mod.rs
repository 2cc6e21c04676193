//! Layer 1, the raw ABI: what the bytes of one socket mean.
//!
//! Every type here decodes a payload of *any* length. The kernel's structs only ever grow at their end, so a
//! field that lies wholly inside the payload is present, and any other is absent (`None`), never zero.

pub mod attribute;
mod growing;
mod header;
pub(crate) mod lists;
mod structs;
mod tcp_info;
mod ulp;

pub use header::{AddressFamily, InetDiagMsg, SockId, TcpState};
pub use lists::{BpfStorage, Md5Sig};
pub use structs::{BbrInfo, DctcpInfo, MemInfo, SkMemInfo, SockOpt, VegasInfo};
pub use tcp_info::{TcpInfo, TcpInfoTail};
pub(crate) use ulp::text;
pub use ulp::{MptcpSubflow, TlsInfo, UlpInfo};
