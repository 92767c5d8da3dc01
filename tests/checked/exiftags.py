#!/usr/bin/env python3
"""CVE-2023-50671, a heap overflow in Debian's exiftags 1.01 as it is: stopped before the write.

    exiftags.py CHECKED-LIBRARY LIBRARY
    exiftags.py --write                   the image, to standard output

A Nikon camera's note in a JPEG file has the range of its lens, four fractions. exiftags takes the type and the length
of this field from the file: when it says text of five bytes, it gets a buffer of six, into which snprintf then prints a
description of the lens with a size of 31. exiftags is installed with apt-get if it is missing.
"""
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "programs"))

import packages  # noqa: E402

ASCII, LONG, RATIONAL, BYTES = 2, 4, 5, 7
MAKE, EXIF, NOTE, LENS = 0x10F, 0x8769, 0x927C, 0x84


def directory(*fields):
    """A TIFF directory: tag, type, count and value of each field."""
    return struct.pack("<H", len(fields)) + b"".join(struct.pack("<HHII", *f) for f in fields) + bytes(4)


def image(kind, count):
    """A JPEG file of nothing but a Nikon's Exif data, with a lens range of this type and count."""
    make = b"NIKON\0"
    size = len(directory((0, 0, 0, 0)))
    at_make = 8 + len(directory((0, 0, 0, 0), (0, 0, 0, 0)))
    at_exif = at_make + len(make)
    at_note = at_exif + size
    at_lens = at_note + size
    note = directory((LENS, kind, count, at_lens))
    fractions = b"".join(struct.pack("<II", n, 1) for n in (16777216, 16777218, 16777220, 16777222)) + bytes(64)
    data = (b"Exif\0\0II*\0" + struct.pack("<I", 8)
            + directory((MAKE, ASCII, len(make), at_make), (EXIF, LONG, 1, at_exif)) + make
            + directory((NOTE, BYTES, len(note), at_note)) + note + fractions)
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(data) + 2) + data + b"\xff\xd9"


def run(path, library=None):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MOAT_", "LD_"))}
    if library:
        env |= {"LD_PRELOAD": str(pathlib.Path(library).resolve()), "MOAT_OPTIONS": "sample_rate=0"}
    return subprocess.run(["exiftags", path], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, check=False)


def main():
    if sys.argv[1:] == ["--write"]:
        sys.stdout.buffer.write(image(ASCII, 5))
        return 0
    checked, plain = sys.argv[1:]
    packages.need(["exiftags"])
    wrong = []
    with tempfile.TemporaryDirectory() as where:
        good, bad = pathlib.Path(where, "good.jpg"), pathlib.Path(where, "bad.jpg")
        good.write_bytes(image(RATIONAL, 4))
        bad.write_bytes(image(ASCII, 5))
        want, got = run(good), run(good, checked)
        if want.returncode != 0 or "Lens Range: 16777216.0 - 16777218.0 mm" not in want.stdout:
            wrong.append(f"the good image, without moat: {want}")
        if (got.returncode, got.stdout, got.stderr) != (want.returncode, want.stdout, want.stderr):
            wrong.append(f"the good image: {got}")
        # With moat alone the same is found when the chunk is freed, after all has been printed.
        for library, text in ((checked, r"heap-buffer-overflow: snprintf writes 31 bytes at \w+, outside of its chunk\n"
                                        r"(?s:.*)31 bytes are to be written, where there is room for 6;"),
                              (plain, r"heap-buffer-overflow: free found bytes changed past the end of chunk")):
            got = run(bad, library)
            if got.returncode != -6 or not re.search(text, got.stderr):
                wrong.append(f"the bad image with {library}: {got}")
            if library == checked:
                print(got.stderr, end="")
    print("\n".join(wrong) or "stopped before the write")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
