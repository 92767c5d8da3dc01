"""XML, JSON, SQL and the small text tools."""
from harness import case


@case("xmllint", quick=True)
def xmllint(t):
    """Parses, formats, canonicalises, queries XML, correct and broken."""
    for name in ("big.xml", "feed.xml"):
        t.run("xmllint", "--noout", t.input(name))
        t.run("xmllint", "--format", t.input(name))
    t.run("xmllint", "--xpath", "count(//*[local-name()='item'][@price > 5000])", t.input("big.xml"))
    t.run("xmllint", "--xpath", "//*[local-name()='title']/text()", t.input("feed.xml"))
    t.run("xmllint", "--c14n", t.input("small.xml"))
    t.run("xmllint", "--stream", "--noout", t.input("big.xml"))
    t.run("xmllint", "--noout", t.input("broken.xml"), status=1)
    t.run("xmllint", "--recover", t.input("broken.xml"), status=None)


@case("xsltproc")
def xsltproc(t):
    """Transforms XML by style sheets."""
    t.run("xsltproc", t.input("catalogue.xsl"), t.input("small.xml"))
    t.run("xsltproc", "--stringparam", "least", "9000", t.input("catalogue.xsl"), t.input("big.xml"))
    t.run("xsltproc", t.input("broken.xml"), t.input("small.xml"), status=None)


@case("jq", quick=True)
def jq(t):
    """Formats, groups, joins and matches JSON."""
    records = t.input("records.json")
    t.run("jq", ".", records)
    t.run("jq", "-c", "group_by(.group) | map({group: .[0].group, n: length, best: (map(.score) | max)})", records)
    t.run("jq", "-r", '[.[] | .tags[]] | group_by(.) | map("\\(.[0]) \\(length)") | .[]', records)
    t.run("jq", "-c", 'map(.note | [match("[a-z]+"; "g").string] | length) | add', records)
    t.run("jq", ".", t.input("broken.xml"), status=None)


@case("sqlite3", quick=True)
def sqlite3(t):
    """Joins, windows, full text, JSON and vacuum on 100,000 rows; dump and reload."""
    t.run("sqlite3", "-batch", "shop.db", stdin=t.setup.script("shop.sql"))
    t.run("sqlite3", "-batch", "shop.db", ".dump")
    t.shell(
        "sqlite3 shop.db .dump | sqlite3 copy.db; "
        "sqlite3 copy.db 'select count(*), sum(total) from sale; pragma integrity_check'"
    )


@case("awk", "gawk", "mawk")
def awk(t):
    """Counts and rewrites words in gawk and mawk."""
    words = "{ for (i = 1; i <= NF; i++) n[$i]++ } END { for (w in n) print n[w], w }"
    for program in ("gawk", "mawk"):
        t.shell(f"{program} '{words}' {t.input('text.txt')} | sort")
        t.run(
            program,
            '{ s = $0; gsub(/[aeiou]+/, "<&>", s); split(s, p, "<"); x += length(p[2]) + substr($1, 1, 3) }'
            " END { print x, NR }",
            t.input("text.txt"),
        )


@case("sort")
def sort(t):
    """Sorts, joins and compares 400,000 lines in two threads."""
    text = t.input("long.txt")
    t.run("sort", "--parallel=2", "-S", "8M", "-k2,2", "-k1,1n", text, "-o", "sorted")
    t.run("sort", "-u", "-t", " ", "-k2,2", text)
    t.shell(
        "cut -d' ' -f2 sorted | uniq -c | sort -k1,1rn -k2 | sed -n 1,500p; "
        "comm -12 <(sort -u sorted) <(sort -r sorted | sort) | wc; join -1 2 -2 1 -t ' ' sorted <(sort -u sorted) | wc",
        status=None,
    )


@case("find", "find", "file")
def find(t):
    """Walks a tree of files and guesses their types."""
    tree = t.input("tree")
    # Directory order is the file system's own, and the same tree is read in both runs.
    t.run("find", tree, "-type", "f", "-name", "*.h", "-size", "+4k", "-printf", "%P %s %m\n")
    t.run("find", tree, "-regex", ".*/[a-m][^/]*\\.py", "-newermt", "2000-01-01", "-print0")
    t.shell(f"find {tree} -type f | sort | sed -n 1,400p | file -b -f - | sort | uniq -c")
    t.run("file", "-i", t.input("document.pdf"), t.input("capture.pcap"), t.input("picture.ppm"), t.input("big.xml"))


@case("file")
def file(t):
    """Guesses the types of all of a tree and of /usr/bin."""
    t.shell(f"find {t.input('tree')} -type f | sort | head -1200 | file -k -f -")
    t.shell("file -b /usr/bin/* | sort | uniq -c")
