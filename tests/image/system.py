"""The image: packages of Debian's, unpacked; of them the programs, what they are linked with, and a few texts; packed."""
import gzip
import os
import re
import shutil
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

# Per kind of image: Debian's architecture, kernel, compiler, emulator and its machine, console, boot loader's words.
KINDS = {
    "x86_64": ("amd64", "linux-image-cloud-amd64", "gcc", "qemu-system-x86_64 -machine pc -cpu max", "ttyS0"),
    "aarch64": ("arm64", "linux-image-cloud-arm64", "aarch64-linux-gnu-gcc",
                "qemu-system-aarch64 -machine virt -cpu cortex-a76", "ttyAMA0"),
    # With pages of 16 KiB: Debian 12 has such a kernel among its security updates, and none with 64 KiB.
    "aarch64-16k": ("arm64", "linux-image-6.12-arm64-16k", "aarch64-linux-gnu-gcc",
                    "qemu-system-aarch64 -machine virt -cpu cortex-a76", "ttyAMA0"),
}
PACKAGES = ["busybox", "dropbear-bin", "dnsmasq-base", "lighttpd"]
PROGRAMS = ["/bin/busybox", "/usr/sbin/dropbear", "/usr/bin/dropbearkey", "/usr/bin/dbclient", "/usr/sbin/dnsmasq",
            "/usr/sbin/lighttpd"]
APPLETS = """awk cat chmod cp cut date dd dmesg echo false free getty grep head hostname httpd ifconfig init kill killall
    klogd ln logger logread ls mkdir mknod mount mv nc netstat nslookup poweroff ps rm sed seq sh sleep sort stty sync sysctl
    syslogd tail top touch true uevent umount uname uptime watch wc wget""".split()


def quietly(words, **more):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **more)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stdout[-3000:]}")
    return done.stdout


class Apt:
    """apt-get with lists, cache, architecture and a list of installed packages (none) of its own."""

    def __init__(self, arch):
        self.dir = f"{ROOT}/build/image/apt-{arch}"
        for name in ("lists/partial", "cache/archives/partial", "parts"):
            os.makedirs(f"{self.dir}/{name}", exist_ok=True)
        open(f"{self.dir}/status", "w", encoding="ascii").close()
        self._sources()
        places = {"APT::Architecture": arch, "APT::Architectures": arch, "Dir::State::Lists": f"{self.dir}/lists",
                  "Dir::Cache": f"{self.dir}/cache", "Dir::State::Status": f"{self.dir}/status",
                  "Dir::Etc::SourceList": "/dev/null", "Dir::Etc::SourceParts": f"{self.dir}/parts",
                  "APT::Sandbox::User": "root", "Acquire::Languages": "none", "Debug::NoLocking": "1"}
        self.words = ["-qq"] + [f"-o{name}={value}" for name, value in places.items()]
        mark = f"{self.dir}/updated"
        if not os.path.exists(mark) or time.time() - os.path.getmtime(mark) > 86400:
            quietly(["apt-get", *self.words, "update"], timeout=600)
            open(mark, "w", encoding="ascii").close()

    def _sources(self):
        """Debian's own alone: others may not have the architecture."""
        etc = "/etc/apt"
        files = [f"{etc}/sources.list"] + [f"{etc}/sources.list.d/{name}" for name in os.listdir(f"{etc}/sources.list.d")]
        for file in filter(os.path.exists, files):
            with open(file, encoding="utf-8") as source:
                text = source.read()
            if "debian.org/debian" in text:
                shutil.copy(file, f"{self.dir}/parts")

    def kernel(self, name):
        """Unpacks the kernel that the package of this name leads to; returns its folder."""
        said = quietly(["apt-cache", *self.words, "depends", name])
        package = re.search(r"Depends: (linux-image-\S+)", said).group(1)
        return self._unpack([package], package, ["download", package])

    def programs(self):
        return self._unpack(PACKAGES, "programs", ["install", "--download-only", "-y", "--no-install-recommends", *PACKAGES])

    def _unpack(self, packages, name, words):
        tree = f"{self.dir}/{name}"
        if os.path.exists(f"{tree}/complete"):
            return tree
        shutil.rmtree(tree, ignore_errors=True)
        os.makedirs(f"{tree}/debs")
        quietly(["apt-get", *self.words, *words], cwd=f"{tree}/debs", timeout=900)
        archives = f"{self.dir}/cache/archives" if words[0] == "install" else f"{tree}/debs"
        found = [name for name in sorted(os.listdir(archives)) if name.endswith(".deb")]
        if not found:
            raise SystemExit(f"apt-get gave nothing for {packages}")
        for deb in found:
            quietly(["dpkg", "-x", f"{archives}/{deb}", tree])
        open(f"{tree}/complete", "w", encoding="ascii").close()
        return tree


def library(kind):
    """Builds libmoat.so as docs/EMBEDDED.md says; returns its path."""
    arch = kind.split("-", maxsplit=1)[0]
    build = f"{ROOT}/build/image/{arch}"
    words = ["cmake", "-G", "Ninja", "-S", ROOT, "-B", build, "-Wno-dev", "-DMOAT_SMALL=ON", "-DMOAT_TESTS=OFF"]
    if arch != "x86_64":
        quietly([f"{ROOT}/scripts/deps", "cross", arch])
        quietly([f"{ROOT}/scripts/sysroot", arch, "glibc"])
        words += ["--toolchain", f"{ROOT}/cmake/cross.cmake", f"-DMOAT_ARCH={arch}", "-DMOAT_LIBC=glibc"]
    quietly(words)
    quietly(["cmake", "--build", build, "--target", "moat", "--parallel", "2"])
    return f"{build}/libmoat.so"


class Tree:
    """What goes into the image: path -> (mode, contents)."""

    def __init__(self, source):
        self.source, self.files = source, {}

    def folder(self, path):
        if path not in ("", "/") and path not in self.files:
            self.folder(os.path.dirname(path))
            self.files[path] = (0o40755, b"")

    def put(self, path, contents, mode=0o100644):
        self.folder(os.path.dirname(path))
        self.files[path] = (mode, contents if isinstance(contents, bytes) else contents.encode())

    def link(self, path, to):
        self.put(path, to, 0o120777)

    def _find(self, name):
        """A library, in the folders where Debian has them."""
        for base, _, names in os.walk(self.source):
            if name in names and re.search(r"/lib(/[a-z0-9_]+-linux-gnu(/[^/]*)?|64)?$", base):
                return f"{base}/{name}"
        raise SystemExit(f"no {name} among the packages")

    def program(self, path, place=None):
        """A program or library of the packages, and all that it needs."""
        file = path if place else self.source + path
        with open(file, "rb") as contents:
            self.put(place or path, contents.read(), 0o100755)
        headers = quietly(["readelf", "-dlW", file])
        for name in re.findall(r"\(NEEDED\).*\[(.*)\]", headers):
            if f"/lib/{name}" not in self.files:
                self.program(os.path.realpath(self._find(name)), f"/lib/{name}")
        loader = re.search(r"interpreter: (.*)\]", headers)
        if loader and loader.group(1) not in self.files:
            self.program(os.path.realpath(self._find(os.path.basename(loader.group(1)))), loader.group(1))

    def pack(self, to):
        """As the kernel takes it: cpio's form newc, gzip."""
        out = bytearray()

        def entry(number, path, mode, contents, device=0):
            name = path.lstrip("/").encode() + b"\0"
            fields = [number, mode, 0, 0, 1, 0, len(contents), 0, 0, device >> 8, device & 255, len(name), 0]
            out.extend(b"070701" + b"".join(b"%08X" % field for field in fields) + name)
            out.extend(b"\0" * (-len(out) % 4) + contents)
            out.extend(b"\0" * (-len(out) % 4))

        entry(1, "dev", 0o40755, b"")
        entry(2, "dev/console", 0o20600, b"", 5 << 8 | 1)
        for number, path in enumerate(sorted(self.files), start=3):
            entry(number, path, *self.files[path])
        entry(0, "TRAILER!!!", 0, b"")
        with open(to, "wb") as file:
            file.write(gzip.compress(bytes(out), 9, mtime=0))


def make(kind, malloc, to):
    """Writes the initramfs of the kind with moat's or libc's malloc; returns the kernel's path."""
    arch, kernel, compiler, _, _ = KINDS[kind]
    apt = Apt(arch)
    tree = Tree(apt.programs())
    for path in PROGRAMS:
        tree.program(path)
    attack = f"{ROOT}/build/image/attack-{arch}"
    quietly([compiler, "-O1", "-fno-builtin", "-D_GNU_SOURCE", f"-I{ROOT}/include", "-o", attack,
             f"{ROOT}/tests/attack/overflow.c", f"{ROOT}/tests/attack/attack.c"])
    tree.program(attack, "/bin/overflow")
    for name in APPLETS:
        tree.link(f"/bin/{name}", "busybox")
    tree.link("/init", "bin/busybox")
    # The same files in both images: only the line that makes moat the malloc differs.
    tree.program(library(kind), "/lib/libmoat.so.0")
    tree.put("/etc/ld.so.preload", "/lib/libmoat.so.0\n" if malloc == "moat" else "")
    for name in os.listdir(f"{HERE}/etc"):
        with open(f"{HERE}/etc/{name}", "rb") as text:
            tree.put(f"/etc/{name}", text.read(), 0o100755 if name == "rc" else 0o100644)
    tree.put("/www/index.html", "it works\n")
    for path in ("/proc", "/sys", "/tmp", "/var/run", "/var/log", "/var/lib/misc", "/root/.ssh", "/etc/dropbear"):
        tree.folder(path)
    tree.pack(to)
    boot = f"{apt.kernel(kernel)}/boot"
    return f"{boot}/{next(name for name in os.listdir(boot) if name.startswith('vmlinu'))}"
