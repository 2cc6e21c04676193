//! What is counted of a stream.

/// The counters: name, type in a stream, meaning. All of them can be added up over streams, as [`Totals`].
macro_rules! counters {
    ($( $(#[doc = $doc:literal])+ $name:ident: $type:ty; )*) => {
        /// Numbers of one stream, from its first packet that was seen. Packets are segments as they are on the wire: one
        /// that stands for several counts as many.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counters {
            $( $(#[doc = $doc])+ pub $name: $type, )*
        }

        /// The same numbers of several streams, added up.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Totals {
            $( $(#[doc = $doc])+ pub $name: u64, )*
        }

        impl Totals {
            /// Adds those of a stream.
            pub fn add_stream(&mut self, stream: &Counters) {
                $( self.$name = self.$name.wrapping_add(u64::from(stream.$name)); )*
            }

            /// Adds those of other streams.
            pub fn add(&mut self, others: &Self) {
                $( self.$name = self.$name.wrapping_add(others.$name); )*
            }

            /// Each at least what it was.
            pub fn at_least(self, before: &Self) -> Self {
                Self { $( $name: self.$name.max(before.$name), )* }
            }

            /// Each by its name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$( (stringify!($name), self.$name), )*].into_iter()
            }
        }
    };
}

counters! {
    /// Packets.
    packets: u64;
    /// Payload of all of them, retransmissions included.
    bytes: u64;
    /// Payload of retransmissions.
    retransmitted_bytes: u64;
    /// Sequence numbers that were jumped over.
    gap_bytes: u64;
    /// Packets with an ECN codepoint of a capable transport, marked ones included (RFC 3168).
    ect: u64;
    /// Retransmissions.
    retransmits: u32;
    /// Those of them whose bytes had all been acknowledged before.
    spurious_retransmits: u32;
    /// Packets that came later than one that was sent after them.
    out_of_order: u32;
    /// Packets with payload that came while sequence numbers before them were missing: what the kernel of a receiver counts
    /// as `rcv_ooopack`.
    ahead_of_gap: u32;
    /// Times that sequence numbers were jumped over.
    gaps: u32;
    /// Duplicate ACKs from this sender (RFC 5681, 2).
    duplicate_acks: u32;
    /// Times that the receive window of this sender went to zero.
    zero_window_events: u32;
    /// Packets that probe a zero window of the peer.
    zero_window_probes: u32;
    /// Keep-alives (RFC 9293, 3.8.4).
    keep_alives: u32;
    /// ACKs of data that never was seen here: the capture has missed it.
    unseen_acked: u32;
    /// Packets whose sequence numbers are far from all others, beyond any window: they are of no account but here.
    strays: u32;
    /// Packets with SYN.
    syns: u32;
    /// Packets with FIN.
    fins: u32;
    /// Packets with RST.
    resets: u32;
    /// SACK blocks (RFC 2018).
    sacks: u32;
    /// Those of them that tell of data that came twice (D-SACK, RFC 2883).
    dsacks: u32;
    /// Packets marked Congestion Experienced (RFC 3168).
    ce: u32;
    /// Packets with ECE.
    ece: u32;
    /// Packets with CWR.
    cwr: u32;
}
