SUMMARY = "Hardened malloc"
DESCRIPTION = "Notices heap overflows, double frees, writes after free and forged headers, and ends the program with a \
report."
SECTION = "libs"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://LICENSE;md5=@LICENSE_MD5@"

DEPENDS = "libsodium"

SRC_URI = "@MOAT_URL@/moat-${PV}.tar.gz"
SRC_URI[sha256sum] = "@MOAT_SHA256@"

inherit cmake pkgconfig

# small: by size, profile "embedded", no stacks in reports. preload: malloc of all dynamic programs, with glibc.
PACKAGECONFIG ??= "small"
PACKAGECONFIG[small] = "-DMOAT_SMALL=ON,-DMOAT_SMALL=OFF"
PACKAGECONFIG[preload] = ""

# It chooses its optimisation file by file; fortified calls would go to libc's checks, which allocate.
EXTRA_OECMAKE = "-DCMAKE_BUILD_TYPE=RelWithDebInfo -DMOAT_TESTS=OFF"
lcl_maybe_fortify = ""

do_install:append() {
    if ${@bb.utils.contains('PACKAGECONFIG', 'preload', 'true', 'false', d)}; then
        install -d ${D}${sysconfdir}
        echo ${libdir}/libmoat.so.0 >${D}${sysconfdir}/ld.so.preload
    fi
}

# The line of ld.so.preload is a package of its own, so that an image chooses: IMAGE_INSTALL:append = " moat-preload".
PACKAGES =+ "${PN}-command ${PN}-preload"
FILES:${PN}-command = "${bindir}/moat"
FILES:${PN}-preload = "${sysconfdir}/ld.so.preload"
FILES:${PN}-dev += "${libdir}/cmake ${libdir}/libmoat-checked.wrap"
RDEPENDS:${PN}-command = "${PN}"
RDEPENDS:${PN}-preload = "${PN}"
