"""A path between two network namespaces that delays, drops, reorders and doubles packets to order.

    relay.py LEFT RIGHT DELAY_MS RULE...

makes a TUN interface in each namespace and carries packets between them, DELAY_MS each way, until standard input ends.
Rules count the packets with payload from left to right, from 1:

    drop:N       every Nth is lost
    late:N       every Nth comes behind the three that follow it
    double:N     every Nth comes twice
    burst:A-B    those from the Ath to the Bth are lost
"""

import fcntl
import heapq
import os
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
HELD_BACK_BEHIND = 3


def tun(namespace, address):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    request = fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"path%d", IFF_TUN | IFF_NO_PI))
    name = request[:16].rstrip(b"\0").decode()
    for command in (
        ["link", "set", name, "netns", namespace],
        ["-n", namespace, "link", "set", name, "name", "path"],
        ["-n", namespace, "address", "add", f"10.78.0.{address}/24", "dev", "path"],
        ["-n", namespace, "address", "add", f"fd78::{address}/64", "dev", "path", "nodad"],
        ["-n", namespace, "link", "set", "path", "up"],
    ):
        subprocess.run(["ip", *command], check=True)
    return device


def payload_len(packet):
    if packet[0] >> 4 == 4:
        header, total = (packet[0] & 15) * 4, struct.unpack("!H", packet[2:4])[0]
        protocol = packet[9]
    else:
        header, total = 40, 40 + struct.unpack("!H", packet[4:6])[0]
        protocol = packet[6]
    if protocol != 6:
        return 0
    return total - header - (packet[header + 12] >> 4) * 4


def main():
    left, right = tun(sys.argv[1], 1), tun(sys.argv[2], 2)
    delay = float(sys.argv[3]) / 1000
    every, bursts = {}, []
    for rule in sys.argv[4:]:
        name, number = rule.split(":")
        if name == "burst":
            bursts.append(tuple(map(int, number.split("-"))))
        else:
            every[name] = int(number)
    is_nth = lambda name, number: name in every and number % every[name] == 0
    # What one processor takes in cannot overtake what another one does, between a capture and TCP.
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {processors[os.getpid() % len(processors)]})
    print("ready", flush=True)

    queue, sequence, count, held = [], 0, 0, []
    while True:
        timeout = max(0.0, queue[0][0] - time.monotonic()) if queue else 1.0
        readable, _, _ = select.select([left, right, sys.stdin], [], [], timeout)
        now = time.monotonic()
        if sys.stdin in readable:
            return
        for device in (left, right):
            if device not in readable:
                continue
            packet = os.read(device, 65536)
            target = right if device is left else left
            copies = [packet]
            if device is left and payload_len(packet) > 0:
                count += 1
                if is_nth("drop", count) or any(first <= count <= last for first, last in bursts):
                    copies = []
                elif is_nth("double", count):
                    copies = [packet, packet]
                elif is_nth("late", count):
                    held.append([HELD_BACK_BEHIND, packet])
                    copies = []
                else:
                    for late in held:
                        late[0] -= 1
                    copies += [late[1] for late in held if late[0] == 0]
                    held = [late for late in held if late[0] > 0]
            for copy in copies:
                sequence += 1
                heapq.heappush(queue, (now + delay, sequence, target, copy))
        while queue and queue[0][0] <= now:
            _, _, target, packet = heapq.heappop(queue)
            try:
                os.write(target, packet)
            except OSError:
                pass  # the interface is gone, and this is the end


main()
