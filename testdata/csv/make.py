#!/usr/bin/env python3
"""Makes the archives of this directory and, from a description of its own, the CSV that csvtool must make of them.

Each archive is written from values chosen here, and the expected cells follow from those values and from the lengths
chosen here; nothing of the Rust code takes part. Run it after a change and read the difference.
"""

import base64, ipaddress, json, struct

# name, offset, format
TCP = [(f"TCP.{n}", o, f) for n, o, f in [
    ("State", 0, "B"), ("CAState", 1, "B"), ("Retransmits", 2, "B"), ("Probes", 3, "B"), ("Backoff", 4, "B"),
    ("Options", 5, "B"), ("WScale", 6, "B"), ("AppLimited", 7, "B"),
    *[(n, 8 + 4 * i, "I") for i, n in enumerate(
        "RTO ATO SndMSS RcvMSS Unacked Sacked Lost Retrans Fackets LastDataSent LastAckSent LastDataRecv LastAckRecv PMTU "
        "RcvSsThresh RTT RTTVar SndSsThresh SndCwnd AdvMSS Reordering RcvRTT RcvSpace TotalRetrans".split())],
    ("PacingRate", 104, "q"), ("MaxPacingRate", 112, "q"), ("BytesAcked", 120, "q"), ("BytesReceived", 128, "q"),
    ("SegsOut", 136, "I"), ("SegsIn", 140, "I"), ("NotsentBytes", 144, "I"), ("MinRTT", 148, "I"),
    ("DataSegsIn", 152, "I"), ("DataSegsOut", 156, "I"), ("DeliveryRate", 160, "q"), ("BusyTime", 168, "q"),
    ("RWndLimited", 176, "q"), ("SndBufLimited", 184, "q"), ("Delivered", 192, "I"), ("DeliveredCE", 196, "I"),
    ("BytesSent", 200, "q"), ("BytesRetrans", 208, "q"), ("DSackDups", 216, "I"), ("ReordSeen", 220, "I"),
    ("RcvOooPack", 224, "I"), ("SndWnd", 228, "I")]]
TCP_NEW = [(f"TCP.{n}", o, f) for n, o, f in [
    ("RcvWnd", 232, "I"), ("Rehash", 236, "I"), ("TotalRTO", 240, "H"), ("TotalRTORecoveries", 242, "H"),
    ("TotalRTOTime", 244, "I"), ("ReceivedCE", 248, "I"), ("DeliveredE1Bytes", 252, "I"), ("DeliveredE0Bytes", 256, "I"),
    ("DeliveredCEBytes", 260, "I"), ("ReceivedE1Bytes", 264, "I"), ("ReceivedE0Bytes", 268, "I"), ("ReceivedCEBytes", 272, "I")]]


def words(prefix, names, start=0):
    return [(f"{prefix}.{n}", start + 4 * i, "I") for i, n in enumerate(names.split())]


MEM = words("MemInfo", "Rmem Wmem Fmem Tmem")
SKMEM = words("SKMemInfo", "RmemAlloc Rcvbuf WmemAlloc Sndbuf FwdAlloc WmemQueued Optmem Backlog Drops")
VEGAS = words("Vegas", "Enabled RTTCount RTT MinRTT")
DCTCP = [("DCTCP.Enabled", 0, "H"), ("DCTCP.CEState", 2, "H")] + words("DCTCP", "Alpha ABEcn ABTot", 4)
BBR = [("BBR.BW", 0, "q")] + words("BBR", "MinRTT PacingGain CwndGain", 8)
# attribute number: fields, bytes of the Go struct.
STRUCTS = {1: (MEM, 16), 2: (TCP, 232), 7: (SKMEM, 36), 3: (VEGAS, 16), 9: (DCTCP, 16), 16: (BBR, 24)}
PLAIN = {"CongestionAlgorithm": 4, "TOS": 5, "TClass": 6, "ClassID": 17, "Shutdown": 8, "Protocol": 10, "Mark": 15}
NUMBERS = {5: 1, 6: 1, 8: 1, 10: 1, 11: 1, 15: 4, 17: 4, 21: 8}
IDM = ("Family State Timer Retrans SockID.SPort SockID.DPort SockID.Src SockID.Dst SockID.Interface SockID.Cookie "
       "Expires Rqueue Wqueue UID Inode").split()
SOCKOPT = ("RecvErr IsICSK Freebind HdrIncl MCLoop Transparent MCAll Nodefrag BindAddressNoPort RecvErrRFC4884 DeferConnect").split()
TLS = {1: "Version", 2: "Cipher", 3: "TxConf", 4: "RxConf", 5: "ZcRoTx", 6: "RxNoPad", 7: "TxMaxPayloadLen"}
MPTCP = {1: "TokenRem", 2: "TokenLoc", 3: "RelWriteSeq", 4: "MapSeq", 5: "MapSFSeq", 6: "SSNOffset", 7: "MapDataLen",
         8: "Flags", 9: "IDRem", 10: "IDLoc"}

STREAM = ("LastPacket Packets Bytes Retransmits RetransmittedBytes SpuriousRetransmits OutOfOrder AheadOfGap Gaps GapBytes DuplicateAcks "
          "ZeroWindowEvents ZeroWindowTime ZeroWindowProbes KeepAlives UnseenAcked Syns Fins Resets Sacks Dsacks Ect Ce Ece Cwr "
          "DelaySamples Window WindowScale DelayMin DelayAvg DelayMax Jitter Bitrate MaxBitrate HealthScore").split()

ORIGINAL = (["Timestamp", "Observed", "NotFullyParsed"] + [f"IDM.{n}" for n in IDM] + list(PLAIN)
            + [n for s in (TCP, MEM, SKMEM, VEGAS, DCTCP, BBR) for n, _, _ in s])
OURS = (ORIGINAL + ["UUID", "Sequence", "StartTime", "Final", "Poll", "TCP.SndWScale", "TCP.RcvWScale", "TCP.FastOpenClientFail"]
        + [n for n, _, _ in TCP_NEW] + ["TCP.ECNMode", "TCP.AccECNOptSeen", "TCP.AccECNFailMode", "TCP.Options2"]
        + ["SKV6Only", "MD5Sig", "CgroupID"] + [f"SockOpt.{n}" for n in SOCKOPT] + ["ULP.Name"]
        + [f"ULP.TLS.{n}" for n in TLS.values()] + [f"ULP.MPTCP.{n}" for n in MPTCP.values()]
        + ["Locals", "Peers", "SKBPFStorage", "KernelRelease", "BootID", "Interval", "AchievedInterval", "AskedAttributes", "Version"]
        + [f"Streams.{side}.{n}" for side in ("Sent", "Received") for n in STREAM])
assert len(ORIGINAL) == 105


def header(uuid, sequence, start, **more):
    meta = {"UUID": uuid, "Sequence": sequence, **({"StartTime": start} if start else {}), **more}
    return {"kind": "header", "meta": meta, "line": {"Metadata": meta, "Timestamp": "0001-01-01T00:00:00Z"}}


def record(time, attrs, family=2, src="10.0.0.1", dst="192.0.2.7", state=1, cookie=0x62D84, interface=0, final=False, poll=None, printed=None, streams=None):
    raw = lambda a: ipaddress.ip_address(a).packed.ljust(16, b"\0")
    idm = struct.pack("<BBBB2H", family, state, 1, 2, *(struct.unpack("<H", struct.pack(">H", p))[0] for p in (443, 51202)))
    idm += raw(src) + raw(dst) + struct.pack("<IQ5I", interface, cookie, 342, 5, 6, 1000, 4294967295)
    assert len(idm) == 72
    slots = [None] * (max(attrs, default=0) + 1)
    for number, payload in attrs.items():
        slots[number] = base64.b64encode(payload).decode()
    line = {**({"Timestamp": time} if time else {}), "RawIDM": base64.b64encode(idm).decode(), "Attributes": slots}
    if final:
        line["Final"] = True
    if poll is not None:
        line["Poll"] = poll
    if streams is not None:
        line["Streams"] = streams
    return {"kind": "record", "time": time and (printed or time), "line": line, "attrs": attrs, "final": final, "poll": poll, "streams": streams,
            "idm": (family, state, 1, 2, 443, 51202, src, dst, interface, f"{cookie:X}", 342, 5, 6, 1000, 4294967295)}


def fields(table, payload):
    return {n: struct.unpack_from("<" + f, payload, o)[0] for n, o, f in table if o + struct.calcsize(f) <= len(payload)}


def plain_address(text):
    address = ipaddress.ip_address(text)
    return str(getattr(address, "ipv4_mapped", None) or address)


def original_row(r):
    row = dict.fromkeys(PLAIN, 0) | {"CongestionAlgorithm": "", "Timestamp": "2009-05-29T23:59:59Z"}
    observed = unparsed = 0
    if r["kind"] == "record":
        row["Timestamp"] = r["time"] or row["Timestamp"]
        row |= {f"IDM.{n}": v for n, v in zip(IDM, r["idm"])}
        for end in ("Src", "Dst"):
            packed = ipaddress.ip_address(row[f"IDM.SockID.{end}"]).packed.ljust(16, b"\0")
            v4 = not any(packed[4:])
            row[f"IDM.SockID.{end}"] = str(ipaddress.ip_address(packed[:4])) if v4 else plain_address(packed)
        row["IDM.SockID.Interface"] = struct.unpack(">I", struct.pack("<I", row["IDM.SockID.Interface"]))[0]
        for t, payload in r["attrs"].items():
            parsed = False
            if t in STRUCTS:
                table, size = STRUCTS[t]
                row |= fields(table, payload[:size].ljust(size, b"\0"))
                parsed = len(payload) <= size
                for n in ("TCP.SegsOut", "TCP.SegsIn"):
                    if t == 2 and row[n] >= 1 << 31:
                        row[n] -= 1 << 32
            elif t == 4:
                row["CongestionAlgorithm"], parsed = payload[:-1].decode(), True
            elif t == 15:
                row["Mark"], parsed = (int.from_bytes(payload, "little"), True) if len(payload) == 4 else (0, False)
            elif t in (5, 6, 8, 10, 17):
                name = next(n for n, number in PLAIN.items() if number == t)
                row[name], parsed = (payload[0], True) if payload else (0, False)
            bit = 1 << (t - 1) if t <= 32 else 0
            observed, unparsed = observed | bit, unparsed | (0 if parsed else bit)
    return row | {"Observed": observed, "NotFullyParsed": unparsed}


def nest(payload):
    while payload:
        length, kind = struct.unpack_from("<HH", payload)
        yield kind & 0x3FFF, payload[4:length]
        payload = payload[(length + 3) // 4 * 4:]


def our_row(r, meta):
    row = {"Timestamp": r["time"], "Final": int(r["final"])} | ({} if r["poll"] is None else {"Poll": r["poll"]}) | {f"IDM.{n}": v for n, v in zip(IDM, r["idm"])}
    for end in ("Src", "Dst"):
        row[f"IDM.SockID.{end}"] = plain_address(row[f"IDM.SockID.{end}"])
    row |= {k: v for k, v in meta.items() if k in OURS}
    row |= {f"Streams.{side}.{n}": v for side in ("Sent", "Received") for n, v in (r["streams"] or {}).get(side, {}).items() if n in STREAM}
    observed = unparsed = 0
    for t, payload in r["attrs"].items():
        parsed = True
        if t in STRUCTS:
            table, _ = STRUCTS[t]
            row |= fields(table, payload)
            ends = {o + struct.calcsize(f) for _, o, f in table + (TCP_NEW + [("", 276, "I")] if t == 2 else [])} | ({4} if t == 16 else set())
            parsed = len(payload) in ends  # not cut inside a field, nothing behind the last one
        elif t == 4:
            row["CongestionAlgorithm"] = payload.split(b"\0")[0].decode()
        elif t in NUMBERS:
            name = next((n for n, number in PLAIN.items() if number == t), {11: "SKV6Only", 21: "CgroupID"}.get(t))
            parsed = len(payload) == NUMBERS[t]
            if parsed:
                row[name] = int.from_bytes(payload, "little")
        elif t == 22:
            bits = int.from_bytes(payload, "little")
            row |= {f"SockOpt.{n}": bits >> i & 1 for i, n in enumerate(SOCKOPT)}
        elif t == 19:
            for kind, value in nest(payload):
                if kind == 1:
                    row["ULP.Name"] = value.rstrip(b"\0").decode()
                else:
                    prefix, names = (("ULP.TLS", TLS), ("ULP.MPTCP", MPTCP))[kind - 2]
                    # Without a value it is a flag.
                    row |= {f"{prefix}.{names[k]}": int.from_bytes(v, "little") if v else 1 for k, v in nest(value) if k in names}
                    parsed = parsed and all(k in names for k, _ in nest(value))
        elif t == 18:
            row["MD5Sig"] = " ".join(f"{ipaddress.ip_address(payload[i + 4:i + 8])}/{payload[i + 1]}" for i in range(0, len(payload), 100))
        elif t not in (12, 13, 14, 20):
            parsed = False
        if t == 2 and payload:
            row |= fields(TCP_NEW, payload)
            if len(payload) > 7:
                row |= {"TCP.AppLimited": payload[7] & 1, "TCP.FastOpenClientFail": payload[7] >> 1 & 3}
                row |= {"TCP.SndWScale": payload[6] & 15, "TCP.RcvWScale": payload[6] >> 4}
            release = meta.get("KernelRelease", "")
            if len(payload) >= 280 and release[:1].isdigit():
                low, high = struct.unpack_from("<HH", payload, 276)
                word = low | high << 16
                if int(release.split(".")[0]) >= 7:
                    row |= {"TCP.ECNMode": word & 3, "TCP.AccECNOptSeen": word >> 2 & 3,
                            "TCP.AccECNFailMode": word >> 4 & 15, "TCP.Options2": word >> 8}
                else:
                    row |= {"TCP.AccECNFailMode": low, "TCP.AccECNOptSeen": high}
        observed, unparsed = observed | 1 << (t - 1), unparsed | (0 if parsed else 1 << (t - 1))
    return row | {"Observed": observed, "NotFullyParsed": unparsed}


def table(names, rows):
    lines = [names]
    for row in rows:
        assert not set(row) - set(OURS), set(row) - set(OURS)
        lines.append(["" if row.get(n) is None else str(row[n]) for n in (ORIGINAL if len(names) == 105 else OURS)])
    return "".join(",".join(map(cell, line)) + "\n" for line in lines)


def cell(text):
    """Quoting as in Go: where it must be, and before leading space."""
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\r\n') or text[:1].isspace() else text


def write(name, records):
    with open(f"{name}.jsonl", "w") as out:
        out.writelines(json.dumps(r["line"], separators=(",", ":")) + "\n" for r in records)
    renamed = ["TCP.LastDataRecv" if n == "TCP.LastAckRecv" else "SKMemInfo.Sndbug" if n == "SKMemInfo.Sndbuf" else n for n in ORIGINAL]
    with open(f"{name}.compat.csv", "w") as out:
        out.write(table(renamed, map(original_row, records)))
    rows, meta, socket = [], {}, None
    for r in records:
        if r["kind"] == "header":
            meta, socket = r["meta"], None
        else:
            cookie = r["idm"][IDM.index("SockID.Cookie")]
            if socket not in (None, cookie):
                meta = {}  # a header line tells of one connection
            socket = cookie
            rows.append(our_row(r, meta))
    with open(f"{name}.csv", "w") as out:
        out.write(table(OURS, rows))


def tcp(length, **values):
    """A tcp_info in which each field holds a number that tells it from all others."""
    info = bytearray(400)
    for i, (name, offset, form) in enumerate(TCP + TCP_NEW):
        struct.pack_into("<" + form, info, offset, values.get(name.split(".")[1], 100 + i))
    struct.pack_into("<I", info, 276, values.get("Tail", 0))
    return bytes(info[:length])


def nla(kind, payload):
    return struct.pack("<HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def u16(*values): return struct.pack(f"<{len(values)}H", *values)
def u32(*values): return struct.pack(f"<{len(values)}I", *values)
def u64(*values): return struct.pack(f"<{len(values)}Q", *values)


T = "2026-01-02T03:04:05"

write("lengths", [header("host_1_0000000000062D84", 3, "2026-01-02T03:04:05.5Z")] + [
    record(f"{T}.{n:03}".rstrip("0") + "Z", {2: tcp(n)}) for n in (104, 120, 136, 144, 160, 168, 192, 200, 224, 232, 240, 248, 281)
] + [
    record(f"{T}.07Z", {2: tcp(70)}),  # torn inside RTT
    record(f"{T}.001Z", {2: b""}),
    record(f"{T}.002Z", {1: u32(1, 2, 3), 7: u32(1, 2, 3, 4, 5, 6, 7, 8)}),
    record(f"{T}.003Z", {1: u32(1, 2, 3, 4, 5), 7: u32(*range(10))}),
    record(f"{T}.004Z", {16: u32(7, 1, 20, 739, 512)}),
    record(f"{T}.005Z", {16: u32(7, 0xFFFFFFFF, 20, 739, 512, 0)}),
    record(f"{T}.006Z", {16: u32(7, 0, 20, 739, 512, 0, 0)}),
    record(f"{T}.007Z", {16: u32(7, 0)}),
    record(f"{T}.008Z", {9: u16(1, 0) + u32(1024, 30, 40)}),
    record(f"{T}.009Z", {9: u16(1, 0) + u32(1024, 30, 40, 50)}),
    record(f"{T}.01Z", {3: u32(1, 5, 1000, 0x7FFFFFFF)}),
    record(f"{T}.011Z", {3: u32(1, 5, 1000, 900, 0)}),
])

write("attributes", [header("host_1_00A", 0, "2026-01-02T03:04:05-04:00", BootID="d1a2", Interval="10ms", AchievedInterval="42ms", AskedAttributes="lean", Version="tcp-info 0.1.0")] + [
    record(T + "Z", {}),
    record(None, {}),
    record(T + ".754686952-04:00", {4: b"cubic\0", 5: b"\x02", 6: b"\x00", 8: b"\x03", 10: b"\x06", 15: u32(0xDEADBEEF), 17: u32(0x12345678)}),
    record(T + ".100+00:00", {5: b"", 8: b"\x01\x02", 15: b"\1\2"}, printed=T + ".1Z"),
    record(T + "+05:45", {4: b'a,"b\0', 15: u32(0)}, poll=0),
    record(T + "Z", {4: b" x\0"}, poll=12345),
    record(T + "Z", {4: b"\0", 11: b"\x01", 14: b"", 21: u64(1 << 40), 22: b"\x12\x05"}),
    record(T + "Z", {19: nla(1, b"tls\0") + nla(2 | 0x8000, nla(1, u16(0x304)) + nla(2, u16(51)) + nla(3, u16(2)) + nla(4, u16(1))
                                                 + nla(5, b"") + nla(6, b"") + nla(7, u16(4096)))}),
    record(T + "Z", {19: nla(1, b"tls\0") + nla(2 | 0x8000, nla(1, u16(0x303)) + nla(8, b""))}),
    record(T + "Z", {19: nla(1, b"mptcp\0") + nla(3 | 0x8000, nla(1, u32(11)) + nla(2, u32(12)) + nla(3, u32(13)) + nla(4, u64(1 << 60))
                                                   + nla(5, u32(14)) + nla(6, u32(18)) + nla(7, u16(19)) + nla(8, u32(15)) + nla(9, b"\x10") + nla(10, b"\x11"))}),
    record(T + "Z", {18: b"".join(struct.pack("<BBHI", 2, 24, 0, 0x0A00 + i) .ljust(100, b"\0") for i in (1, 2)), 23: b"new", 33: b"newer", 40: b"x"}),
    record(T + "Z", {2: tcp(232, PacingRate=-1, SegsOut=0x80000000, SegsIn=0xFFFFFFFF, AppLimited=0x85, WScale=0x97, MinRTT=0xFFFFFFFF)}, final=True),
])

write("addresses", [header("host_1_FFFFFFFFFFFFFFFF", 0, None)] + [
    record(T + "Z", {}, family, src, dst, 10, cookie, interface) for family, src, dst, cookie, interface in [
        (2, "10.0.0.1", "255.255.255.255", 0xFFFFFFFFFFFFFFFF, 0),
        (2, "0.0.0.0", "0.0.0.0", 0, 2),
        (10, "::ffff:10.0.0.1", "::ffff:0.0.0.0", 1 << 63, 0x01020304),
        (10, "::", "::1", 0xABC, 0xFFFFFFFF),
        (10, "2000::", "2001:db8::1:0:0:1", 1 << 32, 0),
        (10, "2001:db8:0:1:1:1:1:1", "2001:0:0:1::1", 10, 0),
        (10, "fe80::5054:ff:fe12:3456", "1:0:0:2:0:0:3:4", 16, 0),
    ]])

write("kernels", [
    header("host_1_001", 0, T + "Z", KernelRelease="6.18.44-generic"), record(T + "Z", {2: tcp(280, Tail=2 << 16 | 5)}),
    header("host_1_002", 1, T + "Z", KernelRelease="7.1.0"), record(T + "Z", {2: tcp(280, Tail=2 | 3 << 2 | 9 << 4 | 0x1234 << 8)}),
    header("host_1_003", 2, T + "Z", KernelRelease="unknown"), record(T + "Z", {2: tcp(280, Tail=7)}),
    header("host_1_004", 3, T + "Z"), record(T + "Z", {2: tcp(280, Tail=7)}), record(T + "Z", {2: tcp(276)}),
])


def streams(first, known=range(9)):
    """A number of its own in each field; of those that may be absent, the `known` ones."""
    numbers = {n: first + i for i, n in enumerate(STREAM)}
    return {n: v for n, v in numbers.items() if n in STREAM[:26] or STREAM.index(n) - 26 in known}


write("streams", [header("host_1_00B", 0, T + "Z")] + [
    record(T + "Z", {4: b"cubic\0"}, poll=1),
    record(T + ".1Z", {4: b"cubic\0"}, poll=11, streams={"Sent": streams(1000), "Received": streams(2000)}),
    record(T + ".2Z", {4: b"cubic\0"}, poll=21, streams={"Sent": streams(3000, ()), "Received": streams(2 ** 64 - 35, (0, 2, 8))}),
    record(T + ".3Z", {4: b"cubic\0"}, poll=31, streams={"Sent": streams(0) | {"New": "text"}, "Received": streams(5), "New": [1]}),
    record(T + ".4Z", {2: tcp(280)}, final=True, streams={"Sent": streams(6000), "Received": streams(7000)}),
])
