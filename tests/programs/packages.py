"""Programs and the Debian packages they are in; installs what is missing."""
import os
import pathlib
import shutil
import subprocess

# The programs a case names, by the Debian package that holds each.
PACKAGE_OF = {
    "ab": "apache2-utils",
    "bash": "bash",
    "busybox": "busybox",
    "clang": "clang",
    "convert": "imagemagick",
    "curl": "curl",
    "dnsmasq": "dnsmasq-base",
    "exiftool": "libimage-exiftool-perl",
    "ffmpeg": "ffmpeg",
    "ffprobe": "ffmpeg",
    "file": "file",
    "find": "findutils",
    "g++": "g++",
    "gawk": "gawk",
    "gcc": "gcc",
    "gdb": "gdb",
    "git": "git",
    "gzip": "gzip",
    "identify": "imagemagick",
    "jq": "jq",
    "lua5.4": "lua5.4",
    "mawk": "mawk",
    "memcached": "memcached",
    "nginx": "nginx-light",
    "node": "nodejs",
    "openssl": "openssl",
    "pdftotext": "poppler-utils",
    "perl": "perl",
    "php": "php-cli",
    "python3": "python3",
    "redis-benchmark": "redis-tools",
    "redis-cli": "redis-tools",
    "redis-server": "redis-server",
    "ruby": "ruby",
    "sort": "coreutils",
    "sqlite3": "sqlite3",
    "tar": "tar",
    "tshark": "tshark",
    "xmllint": "libxml2-utils",
    "xsltproc": "xsltproc",
    "xz": "xz-utils",
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
        command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *names]
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
