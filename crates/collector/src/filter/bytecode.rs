//! Filters as `INET_DIAG_REQ_BYTECODE`, so that the kernel never copies out a socket that is not wanted.
//!
//! A program is a chain of operations of 4 bytes and an argument. Each says how far to jump if its condition holds
//! (`yes`) and if not (`no`). A jump to just the end accepts the socket, one to 4 bytes behind the end rejects it. The
//! kernel checks that following every `yes` leads to the end, so "reject if" is a condition followed by a jump
//! operation, whose `no` is always taken.

use std::net::IpAddr;

use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6};

const INET_DIAG_BC_JMP: u8 = 1;
const INET_DIAG_BC_S_COND: u8 = 7;
const INET_DIAG_BC_D_COND: u8 = 8;
const OP_LEN: usize = 4;
const ANY_PORT: i32 = -1;

/// Which end of a socket a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The local address.
    Source,
    /// The remote address.
    Destination,
}

/// "The address of that side lies in this network". An IPv4 network also matches v4-mapped addresses of IPv6 sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostCondition {
    /// Which end.
    pub side: Side,
    /// Address of the network.
    pub network: IpAddr,
    /// Length of its prefix, in bits.
    pub prefix_len: u8,
}

/// The program that rejects a socket for which any condition holds. Without conditions it is empty: no filter.
pub fn reject(conditions: &[HostCondition]) -> Vec<u8> {
    let total: usize = conditions.iter().map(HostCondition::block_len).sum();
    let mut program = Vec::with_capacity(total);
    for condition in conditions {
        condition.append(&mut program);
        let to_reject = total - program.len() + OP_LEN;
        program.extend_from_slice(&operation(INET_DIAG_BC_JMP, OP_LEN, to_reject));
    }
    program
}

/// `struct inet_diag_bc_op`.
fn operation(code: u8, yes: usize, no: usize) -> [u8; OP_LEN] {
    let no = (no as u16).to_ne_bytes();
    [code, yes as u8, no[0], no[1]]
}

impl HostCondition {
    const HOSTCOND_LEN: usize = 8;

    fn op_len(&self) -> usize {
        OP_LEN + Self::HOSTCOND_LEN + if self.network.is_ipv4() { 4 } else { 16 }
    }

    fn block_len(&self) -> usize {
        self.op_len() + OP_LEN
    }

    fn append(&self, program: &mut Vec<u8>) {
        let code = match self.side {
            Side::Source => INET_DIAG_BC_S_COND,
            Side::Destination => INET_DIAG_BC_D_COND,
        };
        program.extend_from_slice(&operation(code, self.op_len(), self.block_len()));
        // struct inet_diag_hostcond: family, prefix_len, 2 bytes of padding, port, address.
        let family = if self.network.is_ipv4() { AF_INET } else { AF_INET6 };
        program.extend_from_slice(&[family, self.prefix_len, 0, 0]);
        program.extend_from_slice(&ANY_PORT.to_ne_bytes());
        match self.network {
            IpAddr::V4(v4) => program.extend_from_slice(&v4.octets()),
            IpAddr::V6(v6) => program.extend_from_slice(&v6.octets()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_conditions_each_followed_by_a_jump_behind_the_end() {
        let v4 = HostCondition { side: Side::Source, network: [127, 0, 0, 0].into(), prefix_len: 8 };
        let v6 = HostCondition { side: Side::Destination, network: IpAddr::V6([1u16; 8].into()), prefix_len: 128 };
        let program = reject(&[v4, v6]);
        assert_eq!(program.len(), 20 + 32);
        assert_eq!(program[..4], operation(7, 16, 20));
        assert_eq!(program[4..16], [2, 8, 0, 0, 255, 255, 255, 255, 127, 0, 0, 0]);
        assert_eq!(program[16..20], operation(1, 4, 36 + 4)); // 36 bytes to the end, and 4 beyond
        assert_eq!(program[20..24], operation(8, 28, 32));
        assert_eq!(program[48..52], operation(1, 4, 8));
        assert!(reject(&[]).is_empty());
    }
}
