"""Inputs for the programs: made when first asked for, the same on every run and machine unless said."""
import json
import pathlib
import random
import shutil
import subprocess
import zlib

import capture
import packages

WORDS = (
    "page slab slot class guard shard region chunk header payload tail quarantine bitmap window granule map purge "
    "seal entropy stream lock owner thread cache refill drain batch free live stale bound wild pointer offset "
    "größe мир λόγος 世界 naïve façade"
).split()


class Inputs:
    def __init__(self, directory, shipped):
        self.directory, self.shipped = directory, shipped
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)

    def path(self, name):
        shipped = self.shipped / name
        if shipped.exists():
            return shipped
        path = self.directory / name
        if not path.exists():
            MAKERS[name](self, path)
        return path


MAKERS = {}


def maker(name, **arguments):
    def register(make):
        MAKERS[name] = lambda inputs, path: make(inputs, path, **arguments)
        return make

    return register


def sentence(r, words):
    return " ".join(r.choice(WORDS) for _ in range(words))


@maker("small.xml", megabytes=1)
@maker("big.xml", megabytes=5)
@maker("huge.xml", megabytes=30)
def xml(_, path, megabytes):
    """Elements with attributes, text, entities, comments and CDATA, some deeply nested, in two namespaces."""
    r = random.Random(1)
    with open(path, "w", encoding="utf-8") as f:
        f.write('<?xml version="1.0" encoding="UTF-8"?>\n<catalogue xmlns="urn:c" xmlns:m="urn:m">\n')
        number = 0
        while f.tell() < megabytes << 20:
            number += 1
            f.write(
                f'<item id="i{number}" m:kind="{r.choice(WORDS)}" price="{r.randrange(10000)}"><name>{sentence(r, 3)}'
                f"</name><!-- {sentence(r, 2)} --><text>{sentence(r, r.randrange(2, 60))} "
                f"&lt;&amp;&#{r.randrange(65, 900)};"
                "</text>"
            )
            depth = r.choice((0, 0, 1, 3, 20))
            f.write("".join(f'<m:level n="{d}">' for d in range(depth)) + sentence(r, 2) + "</m:level>" * depth)
            f.write(f"<raw><![CDATA[{sentence(r, 5)} <&> ]]></raw></item>\n")
        f.write("</catalogue>\n")


@maker("records.json", records=12_000)
@maker("many.json", records=20_000)
def records(_, path, records):
    r = random.Random(2)
    rows = [
        {
            "id": i,
            "name": sentence(r, 2),
            "score": r.random() * 1000,
            "tags": [r.choice(WORDS) for _ in range(r.randrange(6))],
            "group": r.randrange(100),
            "note": sentence(r, r.randrange(1, 30)),
            "parent": r.choice((None, i // 2)),
            "nested": {"a": [r.randrange(1 << 40), {"b": r.random() < 0.5}]},
        }
        for i in range(records)
    ]
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")


@maker("text.txt", lines=25_000)
@maker("long.txt", lines=400_000)
def text(_, path, lines):
    r = random.Random(3)
    with open(path, "w", encoding="utf-8") as f:
        for i in range(lines):
            f.write(
                f"{r.randrange(lines)} {r.choice(WORDS)}{r.randrange(5000)} {sentence(r, r.randrange(1, 12))} "
                f"{i % 97}.{r.random():.6f}\n"
            )


@maker("large.c", functions=130)
@maker("larger.c", functions=400)
def c_source(_, path, functions):
    """Functions with loops, switches, structures and calls of earlier ones."""
    r = random.Random(4)
    out = [
        "#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
        "struct item { uint64_t key; double weight; char name[24]; struct item *next; };\n"
    ]
    for n in range(functions):
        cases = "".join(
            f"        case {k}: a = a * {r.randrange(3, 99)}u + (b >> {r.randrange(1, 30)}); break;\n"
            for k in range(r.randrange(2, 12))
        )
        call = f"f{r.randrange(n)}(it, b, count / 2)" if n and r.random() < 0.7 else "(a ^ b)"
        out.append(
            f"uint64_t f{n}(struct item *it, uint64_t b, size_t count);\n"
            f"uint64_t f{n}(struct item *it, uint64_t b, size_t count)\n{{\n    uint64_t a = {r.randrange(1 << 31)};\n"
            f"    char local[{r.randrange(16, 200)}];\n    memset(local, (int)b, sizeof local);\n"
            f"    for (size_t i = 0; i < count; i++) {{\n        switch ((a + i) % {r.randrange(5, 15)}) {{\n{cases}"
            f"        default: a ^= (uint64_t)local[i % sizeof local] << {r.randrange(1, 50)};\n        }}\n"
            f"        for (struct item *p = it; p; p = p->next)\n"
            f"            p->weight = p->weight * {r.random():.4f} + (double)(a & 0xff);\n    }}\n"
            f"    if (a & {1 << r.randrange(20)})\n        a += {call};\n"
            f"    return a + it->key * {r.randrange(1, 1000)};\n}}\n"
        )
    path.write_text("".join(out))


@maker("tree")
def tree(_, path):
    """Some hundreds of real text files, copied from this system: equal within a run, not between systems."""
    sources = [
        p
        for top in ("/usr/include", "/usr/lib/python3", "/usr/lib/python3.11", "/usr/share/perl")
        for p in sorted(pathlib.Path(top).rglob("*"))
        if p.suffix in (".h", ".py", ".pm", ".pl", ".def")
    ]
    total = 0
    for source in sources:
        if source.is_symlink() or not source.is_file() or source.stat().st_size > 200_000:
            continue
        target = path / str(source).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        total += 1
        if total == 800:
            break


@maker("document.pdf", pages=150)
def pdf(_, path, pages):
    """A PDF with compressed pages of text in two standard fonts."""
    r = random.Random(5)
    ascii_words = [w for w in WORDS if w.isascii()]
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Times-Roman >>",
    ]
    kids = []
    for n in range(pages):
        lines = "".join(
            f"/F{1 + row % 2} {8 + row % 5} Tf "
            f"({' '.join(r.choice(ascii_words) for _ in range(9))} {n}.{row}) Tj 0 -13 Td\n"
            for row in range(55)
        )
        stream = zlib.compress(f"BT 40 780 Td\n{lines}ET\n".encode())
        kids.append(f"{len(objects) + 2} 0 R")
        objects.append(b"<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(stream) + stream + b"\nendstream")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {len(objects)} 0 R "
            "/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>"
        )
    objects[1] = f"<< /Type /Pages /Count {pages} /Kids [{' '.join(kids)}] >>"
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + (body if isinstance(body, bytes) else body.encode()) + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + b"".join(
        b"%010d 00000 n \n" % o for o in offsets
    )
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    path.write_bytes(out)


@maker("picture.ppm", width=900, height=600)
def picture(_, path, width, height):
    r = random.Random(6)
    noise = bytes(r.randrange(24) for _ in range(4096))
    rows = (
        bytes(
            ((x * 255 // width + (y if c == 1 else x * y >> 9)) + noise[(x * 3 + y * 7 + c) & 4095]) & 0xFF
            for x in range(width)
            for c in range(3)
        )
        for y in range(height)
    )
    path.write_bytes(b"P6\n%d %d\n255\n" % (width, height) + b"".join(rows))


@maker("capture.pcap", packets=12_000)
def pcap(_, path, packets):
    path.write_bytes(capture.pcap(packets))


@maker("keys")
def keys(_, path):
    """Keys, a certificate authority and signed certificates: random, so made once, without moat, for both runs."""
    path.mkdir()
    packages.need(["openssl"])

    def openssl(*argv):
        subprocess.run(["openssl", *argv], cwd=path, check=True, capture_output=True, env={"PATH": packages.PATH})

    openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-subj",
        "/CN=moat test CA",
        "-days",
        "3650",
    )
    for name, kind in (("rsa", ("rsa:2048",)), ("ec", ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"))):
        openssl(
            "req",
            "-newkey",
            *kind,
            "-nodes",
            "-keyout",
            name + ".key",
            "-out",
            name + ".csr",
            "-subj",
            f"/CN={name}.example/O=moat",
        )
        openssl(
            "x509",
            "-req",
            "-in",
            name + ".csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-out",
            name + ".pem",
            "-days",
            "3650",
        )
    openssl("genpkey", "-algorithm", "ed25519", "-out", "ed.key")


@maker("load.redis", commands=60_000)
@maker("heavy.redis", commands=500_000)
def redis_load(_, path, commands):
    """Commands in redis's own protocol, for redis-cli --pipe."""
    r = random.Random(7)
    with open(path, "wb") as f:
        for i in range(commands):
            key = str(r.randrange(commands // 6))
            value = (r.choice("abcdefgh") * r.randrange(1, r.choice((8, 60, 600)))) + str(i)
            words = r.choice(
                (
                    ("SET", "s" + key, value),
                    ("APPEND", "s" + key, value[:40]),
                    ("LPUSH", "l" + str(int(key) % 500), value),
                    ("HSET", "h" + str(int(key) % 900), key, value),
                    ("ZADD", "z" + str(int(key) % 90), str(r.randrange(9999)), key),
                    ("DEL", "s" + key),
                    ("GET", "s" + key),
                    ("RPOP", "l" + str(int(key) % 500)),
                    ("SADD", "t" + str(int(key) % 300), value[:20]),
                )
            )
            f.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))


@maker("hosts.conf", entries=40_000)
def dns_config(_, path, entries):
    r = random.Random(8)
    path.write_text(
        "".join(
            f"address=/h{i}.{r.choice('abcdef')}.example/10.{r.randrange(256)}.{r.randrange(256)}.{i % 250}\n"
            for i in range(entries)
        )
    )


@maker("site")
def site(inputs, path):
    """Static files for the web server, from a few bytes to a few megabytes."""
    path.mkdir()
    path.chmod(0o755)
    r = random.Random(9)
    for i in range(100):
        (path / f"page{i}.html").write_text(
            f"<html><title>{i}</title><p>{sentence(r, r.randrange(5, 2000))}</p></html>\n", encoding="utf-8"
        )
    shutil.copyfile(inputs.path("big.xml"), path / "big.xml")
