"""Archivers, cryptography, captures and system tools."""
import pathlib

from harness import case

STAMP = "--sort=name --mtime=@1700000000 --owner=0 --group=0 --numeric-owner"


@case("tar", quick=True)
def tar(t):
    """Packs, lists, unpacks, compares; a cut archive."""
    tree = t.input("tree")
    t.shell(
        f"tar {STAMP} -C {tree} -cf tree.tar .; tar -tvf tree.tar; mkdir out; "
        f"tar -C out -xf tree.tar; diff -r {tree} out"
    )
    t.shell(
        f"tar {STAMP} --format=pax -C {tree} -cz . | tar -tzv | wc; tar -C out -df tree.tar; "
        "head -c 100000 tree.tar | tar t",
        status=None,
    )


@case("xz", quick=True)
def xz(t):
    """Compresses in two threads and two levels; a cut file."""
    t.shell(
        f"xz -0 -T2 -c {t.input('big.xml')} > a.xz; xz -6 -c {t.input('small.xml')} > b.xz; "
        "xz -lvv a.xz; xz -dc a.xz b.xz | sha256sum"
    )
    t.shell("head -c 50000 a.xz > cut.xz; xz -t cut.xz", status=1)


@case("zstd")
def zstd(t):
    """Compresses, trains a dictionary and uses it; a cut file."""
    t.shell(
        f"zstd -q -3 -T2 {t.input('long.txt')} -o a.zst; zstd -q -15 {t.input('big.xml')} -o b.zst; "
        "zstd -q -dc a.zst b.zst | sha256sum"
    )
    t.shell(
        f"zstd -q --train -B4096 {t.input('text.txt')} -o dictionary; "
        f"zstd -q -D dictionary {t.input('small.xml')} -o c.zst; zstd -q -D dictionary -d c.zst -o c.xml"
    )
    t.shell("head -c 50000 a.zst > cut.zst; zstd -q -t cut.zst", status=1)


@case("gzip")
def gzip(t):
    """Compresses, lists, decompresses; a cut file."""
    t.shell(
        f"gzip -nc -9 {t.input('big.xml')} > a.gz; "
        "gzip -lv a.gz | tail -n +2 | cut -c7-13,25-; gzip -dc a.gz | sha256sum"
    )
    t.shell("head -c 50000 a.gz > cut.gz; gzip -t cut.gz", status=1)


@case("openssl", quick=True, extra=(("ca-certificates", "/etc/ssl/certs/ca-certificates.crt"),))
def openssl(t):
    """Parses, prints, verifies certificates; encrypts and signs."""
    keys = t.input("keys")
    t.run("openssl", "asn1parse", "-i", "-in", keys + "/rsa.pem")
    t.run(
        "openssl", "asn1parse", "-inform", "DER", "-in", t.input("picture.ppm"), status=1, keep_err=False
    )  # names a thread
    for name in ("rsa", "ec", "ca"):
        t.run("openssl", "x509", "-in", f"{keys}/{name}.pem", "-text", "-fingerprint", "-noout")
    t.run("openssl", "verify", "-CAfile", keys + "/ca.pem", keys + "/rsa.pem", keys + "/ec.pem")
    t.shell(
        "openssl crl2pkcs7 -nocrl -certfile /etc/ssl/certs/ca-certificates.crt -out all.p7; "
        "openssl pkcs7 -in all.p7 -print_certs -text -noout; "
        "openssl asn1parse -i -in all.p7"
    )
    t.shell(
        f"openssl enc -aes-256-cbc -K $(printf %064d 7) -iv $(printf %032d 9) -in {t.input('big.xml')} -out big.enc; "
        "openssl enc -d -aes-256-cbc -K $(printf %064d 7) -iv $(printf %032d 9) -in big.enc | openssl dgst -sha512"
    )
    t.run(
        "openssl",
        "pkeyutl",
        "-sign",
        "-rawin",
        "-inkey",
        keys + "/ed.key",
        "-in",
        t.input("small.xml"),
        "-out",
        "signature",
    )


@case("tshark")
def tshark(t):
    """Dissects 12,000 packets of eight kinds, some cut short."""
    pcap = t.input("capture.pcap")
    t.run("tshark", "-n", "-r", pcap)
    t.shell(f"head -c 400000 {pcap} > some.pcap; tshark -n -V -r some.pcap", status=None)
    t.run("tshark", "-n", "-r", pcap, "-q", "-z", "io,phs", "-z", "conv,ip")
    t.run("tshark", "-n", "-r", pcap, "-Y", "dns.qry.type == 28 or http.request", "-T", "json")


@case("curl")
def curl(t):
    """Copies files and ranges, 60 in parallel."""
    t.run("curl", "-sS", "file://" + t.input("big.xml"), "-o", "copy.xml")
    t.run("curl", "-sS", "-r", "1000-5000", "file://" + t.input("big.xml"))
    t.shell(
        "curl -sS --no-progress-meter --parallel "
        + " ".join(f"file://{t.input('tree')}/{p} -o c{n}" for n, p in enumerate(some_files(t, 60)))
    )
    t.run("curl", "-sS", "file:///nonexistent", status=37)


def some_files(t, count):
    """Paths of some files of the tree, relative to it."""
    tree = pathlib.Path(t.input("tree"))
    return [str(p.relative_to(tree)) for p in sorted(tree.rglob("*.h"))[:count]]


@case("busybox")
def busybox(t):
    """Shell, sort, awk, sed, tar, gzip, diff in one program."""
    text = t.input("text.txt")
    t.run(
        "busybox",
        "sh",
        "-e",
        "-c",
        f"""
        busybox sort -k2 {text} | busybox awk '{{ n[$2]++ }} END {{ for (w in n) print w, n[w] }}' |
            busybox sort | busybox head -300
        busybox sed -n 's/\\([a-z]*\\) \\([a-z]*\\)/\\2 \\1/gp' {text} | busybox sha256sum
        busybox gzip -c {text} | busybox gunzip -c | busybox sha1sum
        busybox tar -C {t.input('tree')} -cf t.tar .; mkdir out; busybox tar -C out -xf t.tar
        busybox find out -type f | busybox wc -l
        busybox grep -E -c '(slab|shard).*[0-9]{{3}}' {text}; busybox diff -q out {t.input('tree')} | busybox wc -l
        i=0; while [ $i -lt 3000 ]; do i=$((i+1)); s="$s.$i"; done; echo ${{#s}}""",
    )
    t.ignore(r"^t\.tar$", "holds the times of the source tree's directories, in the file system's order")
