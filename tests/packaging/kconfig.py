"""Reads Buildroot's Config.in of moat, with stand-ins for Buildroot's own symbols: kconfig.py CONFIG.IN MOAT.MK

Every symbol of moat's that the makefile asks for must be defined, and moat must come and go with what it depends on."""
import re
import sys
import tempfile

import kconfiglib

NEEDED = ("BR2_USE_MMU", "BR2_SHARED_STATIC_LIBS", "BR2_TOOLCHAIN_HAS_THREADS", "BR2_INSTALL_LIBSTDCPP")
GLIBC = "BR2_TOOLCHAIN_USES_GLIBC"


def main():
    config, makefile = sys.argv[1:]
    with tempfile.NamedTemporaryFile("w", suffix=".in") as top:
        for name in (*NEEDED, GLIBC, "BR2_PACKAGE_LIBSODIUM"):
            top.write(f'config {name}\n\tbool "{name}"\n')
        top.write(f'source "{config}"\n')
        top.flush()
        kconf = kconfiglib.Kconfig(top.name, warn_to_stderr=False)
    if kconf.warnings:
        sys.exit("\n".join(kconf.warnings))
    symbols = kconf.syms
    with open(makefile, encoding="utf-8") as text:
        for name in re.findall(r"BR2_PACKAGE_MOAT\w*", text.read()):
            if name not in symbols or not symbols[name].nodes:
                sys.exit(f"{makefile} asks for {name}, which is not defined")
    for name in NEEDED:
        symbols[name].set_value(2)
    symbols["BR2_PACKAGE_MOAT"].set_value(2)
    symbols["BR2_PACKAGE_MOAT_DEFAULT"].set_value(2)
    if symbols["BR2_PACKAGE_MOAT"].str_value != "y" or symbols["BR2_PACKAGE_LIBSODIUM"].str_value != "y":
        sys.exit("moat can't be chosen, or does not bring libsodium")
    if symbols["BR2_PACKAGE_MOAT_DEFAULT"].str_value == "y":
        sys.exit("/etc/ld.so.preload is offered without glibc")
    symbols[GLIBC].set_value(2)
    if symbols["BR2_PACKAGE_MOAT_DEFAULT"].str_value != "y":
        sys.exit("/etc/ld.so.preload is not offered with glibc")
    for name in NEEDED:
        symbols[name].set_value(0)
        if symbols["BR2_PACKAGE_MOAT"].str_value == "y":
            sys.exit(f"moat can be chosen without {name}")
        symbols[name].set_value(2)


if __name__ == "__main__":
    main()
