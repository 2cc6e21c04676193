#!/usr/bin/env python3
"""Captures the netlink files of this directory from the running kernel.

    unshare --net python3 capture.py <output directory>

Needs root and Linux with tcp_bbr. Everything happens in the network namespace of that `unshare`, on its loopback
device, and is gone when the script ends. Written are, as the concatenated buffers that recv() returned:

    transfer.bin   one connection while it moves data, asked every few milliseconds, and at last its destroy event.
                   The sequence number of each reply is the milliseconds since the first.
    states.bin     one dump of both families, all states, with sockets of every kind that is easy to make,
    states.ss      and what `ss -tainemO --tos --inet-sockopt` printed of them at the same quiet moment.
    events.bin     destroy events: closed both ways, aborted, refused, IPv6, a listener.

The archive and the *.expected files are made of these by the test suite: UPDATE_EXPECTED=1 cargo test -p inetdiag
"""

import errno
import os
import re
import socket
import struct
import subprocess
import sys
import time

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLMSG_DONE = 3
NLM_F_REQUEST_DUMP = 0x301
TCP_DESTROY_GROUPS = 0x1 | 0x4
ALL = 0xFFF_FFFF
SO_MAX_PACING_RATE = 47
TCP_ULP = 31
IPPROTO_MPTCP = 262
SYN_SENT, FIN_WAIT2, TIME_WAIT = 2, 5, 6
HEADER = 16


class Diag:
    """A sock_diag socket."""

    def __init__(self, groups=0):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        self.socket.bind((0, groups))

    def dump(self, family, sport=0, sequence=1):
        """All buffers of one dump."""
        sockid = struct.pack("!HH", sport, 0) + bytes(36) + b"\xff" * 8
        request = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0xFF, 0, ALL) + sockid
        header = struct.pack("=IHHII", HEADER + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP, sequence, 0)
        self.socket.send(header + request)
        buffers = b""
        while True:
            buffer = self.socket.recv(1 << 16)
            buffers += buffer
            if any(kind == NLMSG_DONE for kind, _ in messages(buffer)):
                return buffers

    def states(self, family):
        """(state, local port, remote port) of each socket."""
        for kind, message in messages(self.dump(family)):
            if kind == SOCK_DIAG_BY_FAMILY:
                yield message[1], *struct.unpack_from("!HH", message, 4)


def messages(buffer):
    offset = 0
    while offset < len(buffer):
        length, kind = struct.unpack_from("=IH", buffer, offset)
        yield kind, buffer[offset + HEADER : offset + length]
        offset += (length + 3) & ~3


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(condition)
        time.sleep(0.002)


def listener(family, address, port, *options):
    server = socket.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for option in options:
        server.setsockopt(*option)
    server.bind((address, port))
    server.listen(16)
    return server


def client(family, address, port, *options):
    connection = socket.socket(family, socket.SOCK_STREAM)
    for option in options:
        connection.setsockopt(*option)
    connection.connect((address, port))
    return connection


def congestion(name):
    return (socket.IPPROTO_TCP, socket.TCP_CONGESTION, name)


def transfer():
    """A sender that is limited in turn by itself and by a receiver that reads too slowly."""
    server = listener(socket.AF_INET, "127.0.0.1", 5201, (socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17))
    sender = client(socket.AF_INET, "127.0.0.1", 5201, congestion(b"bbr"))
    receiver, _ = server.accept()
    sport = sender.getsockname()[1]
    sender.setblocking(False)
    receiver.setblocking(False)
    diag, events = Diag(), Diag(TCP_DESTROY_GROUPS)
    start = time.monotonic()
    now = lambda: int((time.monotonic() - start) * 1000)
    captured = diag.dump(socket.AF_INET, sport, now())
    for round in range(40):
        for _ in range(0 if 20 <= round < 25 else 8):
            try:
                sender.send(bytes(20_000))
            except BlockingIOError:
                break
        for _ in range(2 if round < 15 else 12):
            try:
                receiver.recv(1 << 16)
            except BlockingIOError:
                break
        time.sleep(0.006)
        captured += diag.dump(socket.AF_INET, sport, now())
    sender.shutdown(socket.SHUT_WR)
    receiver.setblocking(True)
    while receiver.recv(1 << 20):
        pass
    captured += diag.dump(socket.AF_INET, sport, now())
    receiver.close()
    sender.close()
    wait_for(lambda: any(state == TIME_WAIT for state, _, _ in diag.states(socket.AF_INET)))
    events.socket.settimeout(5)
    while True:
        event = events.socket.recv(1 << 16)
        ((_, message),) = messages(event)
        if struct.unpack_from("!H", message, 4) == (sport,):
            break
    server.close()
    return captured + diag.dump(socket.AF_INET, 1, now()) + event


class Sockets:
    """Sockets of many kinds, held in `kept` for as long as they must live."""

    def __init__(self):
        self.kept = []
        self.diag = Diag()

    def pair(self, family, address, port, *options):
        """An established connection and, kept too, its listener."""
        server = listener(family, address, port, *options)
        connection = client(family, address, port, *options)
        peer, _ = server.accept()
        self.kept += [server, connection, peer]
        return connection, peer

    def wait_for(self, family, state, port):
        wait_for(lambda: any(seen == state and port in ports for seen, *ports in self.diag.states(family)))

    def open(self):
        v4, v6 = (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")
        for port, address, name in (5001, v4, b"cubic"), (5002, v4, b"bbr"), (5003, v6, b"bbr"), (5004, v4, b"reno"):
            sender, receiver = self.pair(*address, port, congestion(name))
            for size in 100, 50_000, 7:
                sender.sendall(bytes(size))
                while size:
                    size -= len(receiver.recv(size))
            receiver.sendall(b"answer")

        # A listener for both families, reached over IPv4; and one for IPv6 alone.
        dual = listener(socket.AF_INET6, "::", 5005, (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0))
        mapped = client(socket.AF_INET, "127.0.0.1", 5005)
        self.kept += [dual, mapped, dual.accept()[0]]
        self.kept.append(listener(socket.AF_INET6, "::", 5006, (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)))

        # Unread data, a receiver that reads nothing (so that the window closes), a connection that nobody accepts (and
        # with another window scale at each end).
        sender, _ = self.pair(*v4, 5007)
        sender.sendall(b"unread")
        sender, _ = self.pair(*v6, 5008, (socket.SOL_SOCKET, socket.SO_RCVBUF, 8192), congestion(b"cubic"))
        sender.setblocking(False)
        try:
            while True:
                sender.send(bytes(10_000))
        except BlockingIOError:
            pass
        self.kept += [listener(*v4, 5009), client(*v4, 5009, (socket.SOL_SOCKET, socket.SO_RCVBUF, 8192))]

        # Options: mark, type of service, priority, interface, pacing limit, ECN, Fast Open, keepalive.
        self.pair(*v4, 5010, (socket.SOL_SOCKET, socket.SO_MARK, 0x2A), (socket.IPPROTO_IP, socket.IP_TOS, 0x88))
        self.pair(*v6, 5011, (socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 0x20))
        self.pair(*v4, 5012, (socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo"), (socket.SOL_SOCKET, socket.SO_PRIORITY, 5))
        self.pair(*v4, 5013, (socket.SOL_SOCKET, SO_MAX_PACING_RATE, 1_000_000), congestion(b"bbr"))
        sysctl("tcp_ecn", 1)
        self.pair(*v4, 5014, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))[0].sendall(b"marked")
        sysctl("tcp_fastopen", 0x603)
        server = listener(*v4, 5015, (socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5))
        sender = socket.socket()
        sender.sendto(b"in the SYN", socket.MSG_FASTOPEN, ("127.0.0.1", 5015))
        self.kept += [server, sender, server.accept()[0]]

        # Upper layers, where this kernel has them.
        try:
            self.pair(*v4, 5016)[0].setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        except OSError as error:
            print("no kernel TLS:", error)
        try:
            server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)
            server.bind(("127.0.0.1", 5017))
            server.listen()
            sender = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)
            sender.connect(("127.0.0.1", 5017))
            sender.sendall(b"mapped")
            self.kept += [server, sender, server.accept()[0]]
        except OSError as error:
            print("no MPTCP:", error)

        # Half closed; half closed without an owner (a minisock in FIN_WAIT2); closed (TIME_WAIT).
        self.pair(*v4, 5018)[0].shutdown(socket.SHUT_WR)
        for family, address, port in (*v4, 5019), (*v6, 5020):
            closer, _ = self.pair(family, address, port)
            closer.close()
            self.wait_for(family, FIN_WAIT2, port)
        closer, peer = self.pair(*v4, 5021)
        closer.close()
        peer.close()
        self.wait_for(socket.AF_INET, TIME_WAIT, 5021)

        # An answer that never comes: loopback throws away what is not for it.
        subprocess.run(["ip", "route", "add", "192.0.2.0/24", "dev", "lo"], check=True)
        asking = socket.socket()
        asking.setblocking(False)
        assert asking.connect_ex(("192.0.2.1", 5022)) == errno.EINPROGRESS
        self.kept.append(asking)
        syn_sent = lambda message: message[1] == SYN_SENT and message[3] > 0
        wait_for(lambda: any(len(m) >= 72 and syn_sent(m) for _, m in messages(self.diag.dump(socket.AF_INET))))


def sysctl(name, value):
    with open("/proc/sys/net/ipv4/" + name, "w") as file:
        file.write(str(value))


def both_families(diag):
    return diag.dump(socket.AF_INET) + diag.dump(socket.AF_INET6)


def quiet(buffers):
    """The messages without `expires` of the header and without `tcp_info`, which has clocks in it."""
    return sorted(message[:52] + message[56:72] for _, message in messages(buffers) if len(message) >= 72)


def states():
    """A dump, and the text of `ss`, between which nothing happened."""
    sockets = Sockets()
    sockets.open()
    while True:
        before = both_families(sockets.diag)
        text = subprocess.run(["ss", "-tainemO", "--tos", "--inet-sockopt"], check=True, capture_output=True).stdout
        if quiet(before) == quiet(both_families(sockets.diag)):
            return before, re.sub(rb" +", b" ", text)


def events():
    """Destroy events of sockets that end in different ways."""
    sockets = Sockets()
    events = Diag(TCP_DESTROY_GROUPS)
    events.socket.settimeout(1)
    for family, address, port in (socket.AF_INET, "127.0.0.1", 5101), (socket.AF_INET6, "::1", 5102):
        sender, receiver = sockets.pair(family, address, port)
        sender.sendall(bytes(1000))
        assert len(receiver.recv(1000, socket.MSG_WAITALL)) == 1000
        sender.close()
        receiver.close()
    sender, _ = sockets.pair(socket.AF_INET, "127.0.0.1", 5103)
    sender.sendall(bytes(1000))
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sender.close()
    assert socket.socket().connect_ex(("127.0.0.1", 1)) == errno.ECONNREFUSED
    for kept in sockets.kept:
        kept.close()
    captured = b""
    try:
        while True:
            captured += events.socket.recv(1 << 16)
    except TimeoutError:
        return captured


def main():
    output = sys.argv[1]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

    def write(name, content):
        with open(os.path.join(output, name), "wb") as file:
            file.write(content)

    write("transfer.bin", transfer())
    write("events.bin", events())
    dump, text = states()
    write("states.bin", dump)
    write("states.ss", text)


if __name__ == "__main__":
    main()
