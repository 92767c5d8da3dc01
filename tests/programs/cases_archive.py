"""Archivers and compressors that are not in every system, and cryptography of files."""
from harness import case


@case("zip", "zip", "unzip")
def zip_(t):
    """Packs a tree and a long file, lists, tests, unpacks, compares; updates; a cut archive."""
    tree = t.input("tree")
    t.shell(
        f"cp -r {tree} tree; find tree -exec touch -d @1700000000 {{}} +; zip -q -X -r -9 all.zip tree; unzip -v all.zip"
    )
    t.shell(
        "mkdir out; cd out; unzip -q ../all.zip; diff -r tree ../tree; cd ..; zip -q -d all.zip '*/l*.h'; unzip -t all.zip"
    )
    t.shell("head -c 100000 all.zip >cut.zip; unzip -t cut.zip; zip -q -FF cut.zip --out mended.zip", status=None)


@case("7z", "7z")
def seven(t):
    """Packs by two methods in two threads, lists, tests, unpacks; a cut archive."""
    tree = t.input("tree")
    quiet = ("-bd", "-bso0", "-mtm=off", "-mmt=2")
    t.run("7z", "a", *quiet, "-mx=3", "all.7z", tree)
    t.run("7z", "a", *quiet, "-m0=ppmd", "text.7z", t.input("text.txt"))
    t.shell("7z l -slt all.7z | grep -E '^(Path|Size|CRC)' | cksum; 7z x -bd -bso0 -oout all.7z; 7z t -bso0 text.7z")
    t.shell(f"diff -r out/tree {tree}; head -c 50000 all.7z >cut.7z; 7z t -bd cut.7z", status=None, keep_out=False)
    t.ignore(r"\.7z$", "threads decide what is packed together")


@case("compressors", "brotli", "bzip2", "lz4")
def compressors(t):
    """brotli, bzip2 and lz4 there and back; cut files."""
    text = t.input("text.txt")
    t.shell(f"brotli -q 6 -w 22 -c {text} >a.br; brotli -dc a.br | cmp - {text}; brotli -t a.br")
    t.shell(f"bzip2 -9c {text} >a.bz2; bzip2 -dc a.bz2 | cmp - {text}; bzip2 -tvv a.bz2")
    t.shell(f"lz4 -q -9 -BD {text} a.lz4; lz4 -q -dc a.lz4 | cmp - {text}; lz4 -q --list a.lz4", keep_out=False)
    t.shell(
        "for f in br bz2 lz4; do head -c 20000 a.$f >x.$f; done; brotli -t x.br; bzip2 -t x.bz2; lz4 -q -t x.lz4",
        status=None,
    )


@case("rsync")
def rsync(t):
    """Copies a tree with checksums and compression through two processes, changes it, sends the differences."""
    tree = t.input("tree")
    t.shell(f"rsync -a --no-t -z --checksum -i {tree}/ copy/; diff -r {tree} copy")
    t.shell(
        "cp -r copy other; find other -name '*.h' | sort | sed -n 1~3p | xargs sed -i 's/the/THE/; 1i new'; rm -rf other/usr/include/l*"
    )
    t.shell(
        "rsync -a --no-t --no-whole-file -c --delete -i --stats other/ copy/; diff -r other copy",
        normalise=((r"(?m)(\d[\d,.]* (seconds|bytes/sec)|speedup is [\d.]+|^(File list|Total bytes|sent ).*$)", ""),),
    )
    t.shell(
        "rsync -a --no-t --write-batch=batch -c copy/ third/; rsync --no-t --read-batch=batch -a fourth/; diff -r third fourth"
    )
    t.ignore("^batch", "a seed is drawn for its checksums")


@case("gpg", "gpg", "gpg-agent")
def gpg(t):
    """Keys of two kinds through its agent: signs, verifies, encrypts by key and by password, decrypts, exports."""
    (t.work / "home").mkdir(mode=0o700)
    gpg_ = (
        "gpg --homedir home --batch --yes -q --faked-system-time 1700000000! --pinentry-mode loopback --passphrase ''"
    )
    text = t.input("text.txt")
    try:
        t.shell(
            f"{gpg_} --quick-gen-key ed@example.org ed25519; {gpg_} --quick-add-key $({gpg_} --list-keys --with-colons | sed -n 's/^fpr:*//p' | tr -d :) cv25519",
            keep_err=False,
        )
        t.shell(
            f"{gpg_} --quick-gen-key rsa@example.org rsa2048; {gpg_} --list-keys --with-colons | cut -d: -f1,3,4,10 | grep -v fpr | grep -v uid | cut -d: -f1-3",
            keep_err=False,
        )
        t.shell(
            f"{gpg_} -u rsa@example.org --detach-sign -o signature {text}; {gpg_} --verify signature {text}",
            keep_err=False,
        )
        t.shell(
            f"{gpg_} --trust-model always -r ed@example.org -u rsa@example.org -s -e -o secret {text}; {gpg_} -d secret | cmp - {text}",
            keep_err=False,
        )
        t.shell(
            f"gpg --homedir home --batch -q --pinentry-mode loopback --passphrase pass --s2k-count 65536 -c -o by_pass {text}; gpg --homedir home --batch -q --pinentry-mode loopback --passphrase pass -d by_pass | cmp - {text}",
            keep_err=False,
        )
        t.shell(f"{gpg_} --verify signature {t.input('small.xml')}", status=1, keep_err=False)
    finally:
        t.shell("gpgconf --homedir home --kill gpg-agent")
    t.ignore("^(home|signature|secret|by_pass)", "keys are drawn at random")
