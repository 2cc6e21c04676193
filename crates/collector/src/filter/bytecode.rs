//! Programs for `INET_DIAG_REQ_BYTECODE`, so that the kernel never copies out a socket that is not wanted.
//!
//! A program is a chain of operations of 4 bytes, some with an argument. Each says how far to jump if its condition holds
//! (`yes`) and if not (`no`). A jump to just the end accepts the socket, one to 4 bytes behind the end rejects it. The
//! kernel checks that following every `yes` leads from operation to operation to the end; so a `yes` always goes to the
//! next one here, and "if it holds, go elsewhere" is a condition followed by a jump, whose `no` is always taken.

use std::net::IpAddr;

use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6};

use super::condition::{Condition, Side, Step};
use super::networks::Network;

const JMP: u8 = 1;
const S_GE: u8 = 2;
const S_LE: u8 = 3;
const D_GE: u8 = 4;
const D_LE: u8 = 5;
const S_COND: u8 = 7;
const D_COND: u8 = 8;
const CGROUP_COND: u8 = 13;

/// An operation, and the one that carries the port of a comparison.
const OP_LEN: usize = 4;
const PORT_OP_LEN: usize = 2 * OP_LEN;
const ANY_PORT: i32 = -1;

/// A program in the making: what fails a step is rejected, what passes goes on behind it.
#[derive(Debug, Default)]
pub(super) struct Program {
    bytes: Vec<u8>,
    /// Where the jumps are that reject.
    rejections: Vec<usize>,
}

impl Program {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Length of a step.
    pub(super) fn len_of(step: &Step) -> usize {
        let mut alone = Self::default();
        alone.push(step);
        alone.len()
    }

    /// Appends a step.
    pub(super) fn push(&mut self, step: &Step) {
        let mut accepted = Vec::new();
        let mut held = |program: &mut Self| {
            let jumps = if step.accept { &mut accepted } else { &mut program.rejections };
            jumps.push(program.bytes.len());
            program.operation(JMP, OP_LEN, 0);
        };
        match &step.condition {
            Condition::Ports(side, ports) => {
                for (first, last) in ports.ranges() {
                    self.port_range(*side, first, last);
                    held(self);
                }
            }
            Condition::Networks(side, networks) => {
                for network in networks.as_slice() {
                    self.host(*side, network);
                    held(self);
                }
            }
            Condition::Cgroups(ids) => {
                for id in ids {
                    self.with_argument(CGROUP_COND, &id.to_ne_bytes());
                    held(self);
                }
            }
        }
        if step.accept {
            // None of them held.
            self.rejections.push(self.bytes.len());
            self.operation(JMP, OP_LEN, 0);
            let end = self.bytes.len();
            accepted.into_iter().for_each(|jump| self.lead(jump, end));
        }
    }

    /// The program; empty if it has no step.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let to_reject = self.bytes.len() + OP_LEN;
        for jump in std::mem::take(&mut self.rejections) {
            self.lead(jump, to_reject);
        }
        self.bytes
    }

    /// Goes on behind the next operation, which is a jump, unless the port is in that range.
    fn port_range(&mut self, side: Side, first: u16, last: u16) {
        let [at_least, at_most] = match side {
            Side::Source => [S_GE, S_LE],
            Side::Destination => [D_GE, D_LE],
        };
        self.operation(at_least, PORT_OP_LEN, 2 * PORT_OP_LEN + OP_LEN);
        // The port stands where a jump has its `no`.
        self.operation(0, 0, first.into());
        self.operation(at_most, PORT_OP_LEN, PORT_OP_LEN + OP_LEN);
        self.operation(0, 0, last.into());
    }

    fn host(&mut self, side: Side, network: &Network) {
        let code = if side == Side::Source { S_COND } else { D_COND };
        // struct inet_diag_hostcond: family, prefix_len, 2 bytes of padding, port, address.
        let family = if network.address.is_ipv4() { AF_INET } else { AF_INET6 };
        let mut argument = vec![family, network.prefix_len, 0, 0];
        argument.extend(ANY_PORT.to_ne_bytes());
        match network.address {
            IpAddr::V4(v4) => argument.extend(v4.octets()),
            IpAddr::V6(v6) => argument.extend(v6.octets()),
        }
        self.with_argument(code, &argument);
    }

    /// Goes on behind the next operation, which is a jump, unless the condition holds.
    fn with_argument(&mut self, code: u8, argument: &[u8]) {
        let len = OP_LEN + argument.len();
        self.operation(code, len, len + OP_LEN);
        self.bytes.extend_from_slice(argument);
    }

    /// `struct inet_diag_bc_op`.
    fn operation(&mut self, code: u8, yes: usize, no: usize) {
        self.bytes.extend([code, yes as u8]);
        self.bytes.extend((no as u16).to_ne_bytes());
    }

    /// Has a jump lead to a place.
    fn lead(&mut self, jump: usize, to: usize) {
        self.bytes[jump + 2..jump + OP_LEN].copy_from_slice(&((to - jump) as u16).to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(code: u8, yes: u8, no: u16) -> [u8; OP_LEN] {
        let no = no.to_ne_bytes();
        [code, yes, no[0], no[1]]
    }

    fn program(steps: Vec<(Condition, bool)>) -> Vec<u8> {
        let mut program = Program::default();
        for (condition, accept) in steps {
            let step = Step { condition, accept };
            let before = program.len();
            program.push(&step);
            assert_eq!(program.len() - before, Program::len_of(&step));
        }
        program.finish()
    }

    #[test]
    fn what_is_to_be_rejected_is_conditions_each_with_a_jump_behind_the_end() {
        let network = |text: &str| vec![text.parse().expect("a network")].into();
        let v4 = Condition::Networks(Side::Source, network("127.0.0.0/8"));
        let v6 = Condition::Networks(Side::Destination, network("1::1"));
        let bytes = program(vec![(v4, false), (v6, false)]);
        assert_eq!(bytes.len(), 20 + 32);
        assert_eq!(bytes[..4], operation(7, 16, 20));
        assert_eq!(bytes[4..16], [2, 8, 0, 0, 255, 255, 255, 255, 127, 0, 0, 0]);
        assert_eq!(bytes[16..20], operation(1, 4, 36 + 4)); // 36 bytes to the end, and 4 beyond
        assert_eq!(bytes[20..24], operation(8, 28, 32));
        assert_eq!(bytes[48..52], operation(1, 4, 8));
        assert!(program(vec![]).is_empty());
    }

    #[test]
    fn what_is_to_be_accepted_goes_on_behind_its_step() {
        let ports = Condition::Ports(Side::Destination, "80-90".parse().expect("ports"));
        let bytes = program(vec![(ports, true), (Condition::Cgroups(vec![7]), false)]);
        let expected = [
            operation(4, 8, 20),
            operation(0, 0, 80),
            operation(5, 8, 12),
            operation(0, 0, 90),
            operation(1, 4, 8),  // holds: behind the next jump
            operation(1, 4, 24), // 20 bytes to the end, and 4 beyond
            operation(13, 12, 16),
            [7, 0, 0, 0],
            [0; 4],
            operation(1, 4, 8),
        ];
        assert_eq!(bytes, expected.concat());
    }
}
