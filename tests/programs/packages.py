"""Programs and the Debian packages they are in; installs what is missing."""
import os
import pathlib
import shutil
import subprocess

# The programs a case names, by the Debian package that holds each.
PACKAGE_OF = {
    "/usr/lib/chromium/chromium-headless-shell": "chromium-headless-shell",
    "/usr/sbin/named": "bind9",
    "/usr/sbin/sshd": "openssh-server",
    "7z": "p7zip-full",
    "R": "r-base-core",
    "ab": "apache2-utils",
    "afl-clang-fast": "afl++",
    "afl-showmap": "afl++",
    "afl-fuzz": "afl++",
    "apache2": "apache2-bin",
    "as": "binutils",
    "bash": "bash",
    "bc": "bc",
    "bison": "bison",
    "brotli": "brotli",
    "busybox": "busybox",
    "bzip2": "bzip2",
    "cjpeg": "libjpeg-turbo-progs",
    "clang": "clang",
    "clang-format": "clang-format",
    "clang-tidy": "clang-tidy",
    "cmake": "cmake",
    "convert": "imagemagick",
    "ctags": "universal-ctags",
    "curl": "curl",
    "cwebp": "webp",
    "dbus-daemon": "dbus-daemon",
    "dbus-send": "dbus-bin",
    "dbus-test-tool": "dbus-tests",
    "dc": "dc",
    "dig": "bind9-dnsutils",
    "djpeg": "libjpeg-turbo-progs",
    "dnsmasq": "dnsmasq-base",
    "dot": "graphviz",
    "dwebp": "webp",
    "emacs": "emacs-nox",
    "exiftags": "exiftags",
    "exiftool": "libimage-exiftool-perl",
    "exiv2": "exiv2",
    "ffmpeg": "ffmpeg",
    "ffprobe": "ffmpeg",
    "file": "file",
    "find": "findutils",
    "flac": "flac",
    "flex": "flex",
    "g++": "g++",
    "gawk": "gawk",
    "gcc": "gcc",
    "gdb": "gdb",
    "gfortran": "gfortran",
    "git": "git",
    "gnuplot": "gnuplot-nox",
    "gp": "pari-gp",
    "gpg": "gnupg",
    "gpg-agent": "gpg-agent",
    "groff": "groff",
    "gs": "ghostscript",
    "guile": "guile-3.0",
    "gzip": "gzip",
    "haproxy": "haproxy",
    "hunspell": "hunspell",
    "identify": "imagemagick",
    "java": "openjdk-17-jre-headless",
    "journalctl": "systemd",
    "jpegtran": "libjpeg-turbo-progs",
    "jq": "jq",
    "lame": "lame",
    "ld": "binutils",
    "ld.lld": "lld",
    "lighttpd": "lighttpd",
    "lua5.4": "lua5.4",
    "lz4": "lz4",
    "m4": "m4",
    "make": "make",
    "man": "man-db",
    "mariadb": "mariadb-client",
    "mariadbd": "mariadb-server",
    "mawk": "mawk",
    "mdb_dump": "lmdb-utils",
    "mdb_load": "lmdb-utils",
    "memcached": "memcached",
    "minisat": "minisat",
    "mosquitto": "mosquitto",
    "mosquitto_pub": "mosquitto-clients",
    "mosquitto_sub": "mosquitto-clients",
    "mutool": "mupdf-tools",
    "named-checkzone": "bind9-utils",
    "nasm": "nasm",
    "nft": "nftables",
    "nginx": "nginx-light",
    "ninja": "ninja-build",
    "node": "nodejs",
    "objdump": "binutils",
    "ocamlrun": "ocaml-base",
    "openssl": "openssl",
    "optipng": "optipng",
    "pandoc": "pandoc",
    "pdftex": "texlive-binaries",
    "pdftoppm": "poppler-utils",
    "pdftotext": "poppler-utils",
    "perl": "perl",
    "php": "php-cli",
    "psql": "postgresql-client-15",
    "python3": "python3",
    "qpdf": "qpdf",
    "redis-benchmark": "redis-tools",
    "redis-cli": "redis-tools",
    "redis-server": "redis-server",
    "rsvg-convert": "librsvg2-bin",
    "rsync": "rsync",
    "ruby": "ruby",
    "rustc": "rustc",
    "sbcl": "sbcl",
    "sftp": "openssh-client",
    "soffice": "libreoffice-writer-nogui",
    "sort": "coreutils",
    "sox": "sox",
    "sqlite3": "sqlite3",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "strace": "strace",
    "swipl": "swi-prolog-nox",
    "systemd-analyze": "systemd",
    "systemd-hwdb": "udev",
    "tar": "tar",
    "tclsh8.6": "tcl8.6",
    "tesseract": "tesseract-ocr",
    "tidy": "tidy",
    "tmux": "tmux",
    "tshark": "tshark",
    "uconv": "icu-devtools",
    "unbound": "unbound",
    "unzip": "unzip",
    "valgrind": "valgrind",
    "vim.tiny": "vim-tiny",
    "w3m": "w3m",
    "wget": "wget",
    "xmllint": "libxml2-utils",
    "xmlstarlet": "xmlstarlet",
    "xsltproc": "xsltproc",
    "xz": "xz-utils",
    "z3": "z3",
    "zip": "zip",
    "zsh": "zsh",
    "zstd": "zstd",
}

# Programs come from the distribution, not from what a developer has put before it in PATH.
PATH = "/usr/bin:/bin:/usr/sbin:/sbin"

NO_SERVICES = pathlib.Path("/usr/sbin/policy-rc.d")


class Missing(Exception):
    """A program is not here and could not be installed."""


def find(program):
    return shutil.which(program, path=PATH)


def built_library(root):
    """The newest libmoat.so under the tree's build/, a release build before others; None when there is none."""
    found = sorted(root.glob("build/**/libmoat.so"), key=lambda p: ("release" in p.parts, p.stat().st_mtime))
    return str(found[-1].resolve()) if found else None


def need(programs, extra=()):
    """Installs the packages of programs that are not here, and extra packages (name, file that shows it)."""
    wanted = [PACKAGE_OF[p] for p in programs if not find(p)]
    wanted += [package for package, shown_by in extra if not pathlib.Path(shown_by).exists()]
    if wanted:
        install(sorted(set(wanted)))
    absent = [p for p in programs if not find(p)]
    if absent:
        raise Missing("not installable by apt-get: " + ", ".join(absent))


def install(names):
    """apt-get install, without starting the services that come with servers."""
    print("installing " + " ".join(names), flush=True)
    policy = not NO_SERVICES.exists() and os.geteuid() == 0
    if policy:
        NO_SERVICES.write_text("#!/bin/sh\nexit 101\n")
        NO_SERVICES.chmod(0o755)
    try:
        wait = ["-o", "DPkg::Lock::Timeout=600"]  # for another apt-get
        command = ["apt-get", *wait, "install", "-y", "-q", "--no-install-recommends", *names]
        if apt(command).returncode != 0:
            apt(["apt-get", "update", "-q"])
            done = apt(command)
            if done.returncode != 0:
                raise Missing(f"apt-get install {' '.join(names)} failed:\n{done.stdout[-2000:]}")
    finally:
        if policy:
            NO_SERVICES.unlink()


def apt(command):
    if os.geteuid() != 0:
        command = ["sudo", "-n", *command]
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    try:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise Missing(f"{command[0]} is not here") from error


def version(program):
    """Version of the installed package that a program's file belongs to; "?" when it belongs to none."""
    path = os.path.realpath(find(program) or "/nonexistent")
    # dpkg knows files of a merged /usr by the name that their package gave them.
    for name in (path, path.removeprefix("/usr")):
        owner = query("dpkg-query", "-S", name).split(":")[0]
        if owner:
            return package_version(owner)
    return "?"


def package_version(name):
    lines = query("dpkg-query", "-W", "-f", "${Version}\n", name).splitlines()
    return lines[0] if lines else "?"


def query(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
