"""json, xml, zipfile, sqlite3, re, csv, ast and compression over generated files.

usage: formats.py RECORDS.json CATALOGUE.xml [REPEAT]
"""
import ast
import collections
import csv
import hashlib
import io
import json
import re
import sqlite3
import sys
import xml.etree.ElementTree as tree
import xml.sax
import zipfile
import zlib

SEEN = hashlib.sha256()


def note(name, value):
    SEEN.update(repr(value).encode())
    print(name, str(value)[:100])


def walk_json(records):
    by_group = collections.defaultdict(list)
    for row in records:
        by_group[row["group"]].append(row)
    note("groups", {group: len(rows) for group, rows in sorted(by_group.items())})
    again = json.loads(json.dumps(records, indent=1, sort_keys=True))
    note("json again", again == records)


class Counter(xml.sax.ContentHandler):
    def __init__(self):
        super().__init__()
        self.names, self.characters_seen = collections.Counter(), 0

    def startElement(self, name, attrs):  # noqa: N802 (the base class's name)
        self.names[name] += 1 + len(attrs)

    def characters(self, content):
        self.characters_seen += len(content)


def walk_xml(path):
    root = tree.parse(path).getroot()
    note("elements", sum(1 for _ in root.iter()))
    note("text", zlib.crc32("".join(root.itertext()).encode()))
    note("xml again", zlib.crc32(tree.tostring(root)))
    handler = Counter()
    xml.sax.parse(path, handler)
    note("sax", (sorted(handler.names.items()), handler.characters_seen))


def pack(records):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as z:
        for row in records[:1500]:
            z.writestr(zipfile.ZipInfo(f"{row['group']}/{row['id']}"), json.dumps(row) * 3)
    with zipfile.ZipFile(file) as z:
        note("zip", (len(file.getvalue()), sum(len(z.read(n)) for n in z.namelist()), z.testzip()))


def query(records):
    db = sqlite3.connect(":memory:")
    db.execute("create table r (id integer primary key, name text, score real, grp int, note text)")
    db.executemany(
        "insert into r values (?, ?, ?, ?, ?)",
        ((r["id"], r["name"], r["score"], r["group"], r["note"]) for r in records),
    )
    db.execute("create index by_name on r (name, grp)")
    note(
        "sql",
        db.execute(
            "select a.grp, count(*), round(sum(b.score), 3) from r a join r b on a.name = b.name and a.grp = b.grp "
            "group by a.grp order by 2 desc, 1 limit 20"
        ).fetchall(),
    )
    note("dump", zlib.crc32("\n".join(db.iterdump()).encode()))


def text(records):
    notes = "\n".join(r["note"] for r in records)
    note("words", collections.Counter(re.findall(r"\b\w{5,}\b", notes)).most_common(5))
    note("regex", len(re.sub(r"(\w+) (\w+)", lambda m: m[2] + m[1], notes)))
    rows = io.StringIO()
    csv.writer(rows).writerows((r["id"], r["name"], r["note"], r["score"]) for r in records)
    rows.seek(0)
    note("csv", sum(len(row) for row in csv.reader(rows)))
    source = "\n".join(f"def f{i}(a, b={i}):\n    return [x * {i} for x in (a, b) if x != '{i}']" for i in range(400))
    note("ast", sum(1 for _ in ast.walk(ast.parse(source))))
    names = {}
    exec(compile(source, "generated", "exec"), names)  # the source is generated above
    note("code", sum(names[f"f{i}"](i)[0] for i in range(400)))


def main():
    for _ in range(int(sys.argv[3]) if len(sys.argv) > 3 else 1):
        with open(sys.argv[1], encoding="utf-8") as f:
            records = json.load(f)
        walk_json(records)
        walk_xml(sys.argv[2])
        pack(records)
        query(records)
        text(records)
    print(SEEN.hexdigest())


main()
