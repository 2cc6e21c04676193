//! What a cell can draw on, and the values it can have.

use std::any::Any;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::net::IpAddr;

use crate::{
    ArchivalRecord, BbrInfo, DctcpInfo, InetDiagMsg, MemInfo, Metadata, MptcpSubflow, SkMemInfo, Snapshot, SockOpt,
    StreamStatistics, TcpInfo, TcpInfoTail, TlsInfo, UlpInfo, VegasInfo,
};
use chrono::{DateTime, FixedOffset};

/// The value of one cell. A cell without a value is `None`, never a zero of one of these.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// A number of the kernel's.
    Uint(u64),
    /// A number that the original prints signed; -1 is the kernel's "unlimited".
    Int(i64),
    /// Yes or no, 1 or 0 in CSV.
    Flag(bool),
    /// A number that is an identity, in hexadecimal.
    Hex(u64),
    /// A time, with the offset from UTC that the archive gives.
    Time(DateTime<FixedOffset>),
    /// An IP address; v4-mapped ones are IPv4 already.
    Address(IpAddr),
    /// Text as the archive holds it: UTF-8, save where the original would copy bytes unchecked.
    Text(Cow<'a, [u8]>),
}

/// The type of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Value::Uint`].
    Uint,
    /// [`Value::Int`].
    Int,
    /// [`Value::Flag`].
    Flag,
    /// [`Value::Hex`].
    Hex,
    /// [`Value::Time`].
    Time,
    /// [`Value::Address`].
    Address,
    /// [`Value::Text`].
    Text,
}

impl Value<'_> {
    /// The type of this value.
    pub fn kind(&self) -> Kind {
        match self {
            Value::Uint(_) => Kind::Uint,
            Value::Int(_) => Kind::Int,
            Value::Flag(_) => Kind::Flag,
            Value::Hex(_) => Kind::Hex,
            Value::Time(_) => Kind::Time,
            Value::Address(_) => Kind::Address,
            Value::Text(_) => Kind::Text,
        }
    }
}

macro_rules! values {
    ($( $from:ty => $variant:ident; )*) => {
        $(
            impl From<$from> for Value<'_> {
                #[inline]
                fn from(value: $from) -> Self {
                    Value::$variant(value.into())
                }
            }
        )*
    };
}

values! {
    u8 => Uint;
    u16 => Uint;
    u32 => Uint;
    u64 => Uint;
    i32 => Int;
    i64 => Int;
    bool => Flag;
    DateTime<FixedOffset> => Time;
}

impl From<IpAddr> for Value<'_> {
    fn from(address: IpAddr) -> Self {
        Value::Address(address.to_canonical())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(text.as_bytes().into())
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(text.into_bytes().into())
    }
}

/// What the header line said; it holds for all records of one socket up to the next header line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Connection {
    metadata: Option<Metadata>,
    tail: Option<TcpInfoTail>,
    /// Socket of the last record.
    cookie: Option<u64>,
}

impl Connection {
    /// What its header line said, if there was one.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    /// Its UUID, if there was a header line.
    pub fn uuid(&self) -> Option<&str> {
        self.metadata.as_ref().map(|metadata| metadata.uuid.as_str())
    }

    /// Takes note of a record under this header line. One of another socket is of a connection of which nothing is
    /// known: its own header line is missing or could not be read.
    pub fn expect(&mut self, cookie: u64) {
        if self.cookie.is_some_and(|before| before != cookie) {
            *self = Self::default();
        }
        self.cookie = Some(cookie);
    }
}

impl From<Metadata> for Connection {
    fn from(metadata: Metadata) -> Self {
        let tail = metadata.kernel_release.as_deref().and_then(TcpInfoTail::of_release);
        Self { metadata: Some(metadata), tail, ..Self::default() }
    }
}

/// One record with all that is known of it.
#[derive(Debug)]
pub struct Row<'a> {
    /// The line of the archive.
    pub record: &'a ArchivalRecord,
    /// Its decoding.
    pub snapshot: Snapshot,
    /// The header line above it.
    pub connection: &'a Connection,
    extension: OnceCell<Box<dyn Any>>,
}

/// Accessors for one part of the record each: a value where the part is there and holds it.
macro_rules! parts {
    ($( $(#[$doc:meta])* $name:ident: $ty:ty = |$row:ident| $part:expr; )*) => {
        impl<'a> Row<'a> {
            $(
                $(#[$doc])*
                #[inline]
                pub fn $name<T: Into<Value<'a>>>(
                    &'a self,
                    field: impl FnOnce(&'a $ty) -> Option<T>,
                ) -> Option<Value<'a>> {
                    let $row = self;
                    $part.and_then(field).map(Into::into)
                }
            )*
        }
    };
}

parts! {
    /// A value of the whole decoding.
    snapshot: Snapshot = |row| Some(&row.snapshot);
    /// A value of the socket header.
    idm: InetDiagMsg = |row| row.snapshot.idm.as_ref();
    /// A value of `tcp_info`.
    tcp: TcpInfo = |row| row.snapshot.tcp_info.as_ref();
    /// A value of the memory attribute.
    mem: MemInfo = |row| row.snapshot.meminfo.as_ref();
    /// A value of the socket memory attribute.
    skmem: SkMemInfo = |row| row.snapshot.skmeminfo.as_ref();
    /// A value of the vegas attribute.
    vegas: VegasInfo = |row| row.snapshot.vegasinfo.as_ref();
    /// A value of the DCTCP attribute.
    dctcp: DctcpInfo = |row| row.snapshot.dctcpinfo.as_ref();
    /// A value of the BBR attribute.
    bbr: BbrInfo = |row| row.snapshot.bbrinfo.as_ref();
    /// A value of the socket options.
    sockopt: SockOpt = |row| row.snapshot.sockopt.as_ref();
    /// A value of the upper layer protocol.
    ulp: UlpInfo = |row| row.snapshot.ulp_info.as_ref();
    /// A value of kernel TLS.
    tls: TlsInfo = |row| row.snapshot.ulp_info.as_ref().and_then(|ulp| ulp.tls.as_ref());
    /// A value of the MPTCP subflow.
    mptcp: MptcpSubflow = |row| row.snapshot.ulp_info.as_ref().and_then(|ulp| ulp.mptcp.as_ref());
    /// A value of the packets that were sent.
    sent: StreamStatistics = |row| row.record.streams.as_deref().map(|streams| &streams.sent);
    /// A value of the packets that were received.
    received: StreamStatistics = |row| row.record.streams.as_deref().map(|streams| &streams.received);
    /// A value of the header line.
    metadata: Metadata = |row| row.connection.metadata.as_ref();
}

impl<'a> Row<'a> {
    /// Decodes the record.
    pub fn new(record: &'a ArchivalRecord, connection: &'a Connection) -> Self {
        Self::decoded(record, Snapshot::decode(record), connection)
    }

    /// The same of a record that has been decoded.
    pub fn decoded(record: &'a ArchivalRecord, snapshot: Snapshot, connection: &'a Connection) -> Self {
        Self { record, snapshot, connection, extension: OnceCell::new() }
    }

    /// What columns that are defined elsewhere make of the record: made once. `None` if it is of another type already.
    pub fn extension<T: Any>(&self, make: impl FnOnce(&Self) -> T) -> Option<&T> {
        self.extension.get_or_init(|| Box::new(make(self))).downcast_ref()
    }

    /// A value of the last word of `tcp_info`, which nothing can be said of when the kernel release is not known.
    pub fn tail<T: Into<Value<'a>>>(
        &'a self,
        field: impl FnOnce(&'a TcpInfo, TcpInfoTail) -> Option<T>,
    ) -> Option<Value<'a>> {
        let tail = self.connection.tail?;
        self.tcp(|info| field(info, tail))
    }
}
