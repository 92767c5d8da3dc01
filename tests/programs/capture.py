"""A packet capture with the protocols that a dissector has most code for: DNS, HTTP, TLS, DHCP, SNMP, ARP, junk."""
import random
import struct


def pcap(packets):
    """The bytes of a pcap file: `packets` Ethernet frames, the same every time."""
    r = random.Random(10)
    makers = (dns, dns_answer, http, tls_hello, dhcp, snmp, arp, junk)
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for n in range(packets):
        frame = r.choice(makers)(r, n)
        if r.random() < 0.02:
            frame = frame[: r.randrange(14, len(frame))]  # cut short: dissectors throw and clean up
        out.append(struct.pack("<IIII", 1_700_000_000 + n // 100, n % 100 * 10_000, len(frame), len(frame)) + frame)
    return b"".join(out)


def ethernet(kind, payload):
    return b"\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02" + struct.pack(">H", kind) + payload


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(r, protocol, payload):
    head = struct.pack(
        ">BBHHHBBH4s4s",
        0x45,
        0,
        20 + len(payload),
        r.randrange(65536),
        0x4000,
        64,
        protocol,
        0,
        bytes((10, 0, 0, r.randrange(1, 9))),
        bytes((10, 0, 1, r.randrange(1, 9))),
    )
    return ethernet(0x0800, head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload)


def udp(r, source, to, payload):
    return ip(r, 17, struct.pack(">HHHH", source, to, 8 + len(payload), 0) + payload)


def tcp(r, source, to, payload, n):
    return ip(r, 6, struct.pack(">HHIIBBHHH", source, to, n * 100, n * 7, 0x50, 0x18, 4096, 0, 0) + payload)


def name(r):
    labels = [bytes(r.choice(b"abcdefghij") for _ in range(r.randrange(1, 20))) for _ in range(r.randrange(1, 5))]
    return b"".join(bytes([len(x)]) + x for x in labels) + b"\0"


def dns(r, n):
    return udp(
        r,
        r.randrange(1024, 65535),
        53,
        struct.pack(">6H", n & 0xFFFF, 0x0100, 1, 0, 0, 0) + name(r) + struct.pack(">HH", r.choice((1, 15, 16, 28)), 1),
    )


def dns_answer(r, n):
    answers = b"".join(
        b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 300, 4) + bytes(r.randrange(256) for _ in range(4))
        for _ in range(r.randrange(1, 9))
    )
    count = answers.count(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04")
    return udp(
        r,
        53,
        r.randrange(1024, 65535),
        struct.pack(">6H", n & 0xFFFF, 0x8180, 1, count, 0, 0) + name(r) + struct.pack(">HH", 1, 1) + answers,
    )


def http(r, n):
    headers = "".join(f"X-H{i}: {'v' * r.randrange(1, 60)}\r\n" for i in range(r.randrange(1, 15)))
    return tcp(
        r,
        40000 + n % 500,
        80,
        f"GET /p/{n}?q={r.random()} HTTP/1.1\r\nHost: h{n % 50}.example\r\n{headers}\r\n".encode(),
        n,
    )


def tls_hello(r, n):
    host = f"s{n % 70}.example".encode()
    sni = struct.pack(">HHHBH", 0, len(host) + 5, len(host) + 3, 0, len(host)) + host
    suites = b"".join(
        struct.pack(">H", r.choice((0x1301, 0x1302, 0x1303, 0xC02F, 0xC030, 0x009C))) for _ in range(r.randrange(2, 20))
    )
    body = (
        b"\x03\x03"
        + bytes(r.randrange(256) for _ in range(32))
        + b"\0"
        + struct.pack(">H", len(suites))
        + suites
        + b"\x01\0"
        + struct.pack(">H", len(sni))
        + sni
    )
    hello = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return tcp(r, 41000 + n % 500, 443, b"\x16\x03\x01" + struct.pack(">H", len(hello)) + hello, n)


def dhcp(r, n):
    options = b"\x63\x82\x53\x63\x35\x01\x01\x0c\x08host%04d" % (n % 10000) + b"\x37\x04\x01\x03\x06\x0f\xff"
    return udp(
        r,
        68,
        67,
        struct.pack(">BBBBI", 1, 1, 6, 0, n)
        + bytes(20)
        + bytes(r.randrange(256) for _ in range(6))
        + bytes(202)
        + options,
    )


def snmp(r, n):
    oid = bytes([0x2B, 6, 1, 2, 1, 1, r.randrange(1, 9), 0])
    bind = b"\x30" + bytes([len(oid) + 4]) + b"\x06" + bytes([len(oid)]) + oid + b"\x05\0"
    pdu = b"\x02\x01" + bytes([n & 0x7F]) + b"\x02\x01\0\x02\x01\0\x30" + bytes([len(bind)]) + bind
    body = b"\x02\x01\x01\x04\x06public\xa0" + bytes([len(pdu)]) + pdu
    return udp(r, 30000 + n % 100, 161, b"\x30" + bytes([len(body)]) + body)


def arp(r, _):
    return ethernet(
        0x0806, struct.pack(">HHBBH", 1, 0x0800, 6, 4, r.choice((1, 2))) + bytes(r.randrange(256) for _ in range(20))
    )


def junk(r, n):
    payload = bytes(r.randrange(256) for _ in range(r.randrange(1, 400)))
    return (
        udp(r, r.randrange(1, 65535), r.choice((69, 123, 137, 389, 500, 514, 1812, 5060)), payload)
        if n % 2
        else ip(r, r.randrange(1, 140), payload)
    )
