#!/bin/bash
# The packages have no version of their own, and packaging/dist leaves nothing unfilled and gives the same twice.
# packaging.sh ROOT
set -euo pipefail
cd "$1"
bad=0
if grep -rnE '(^|[^0-9.])0\.[0-9]+\.[0-9]+' packaging --exclude=dist --exclude=README.md; then
    echo "packaging: a version is written down; it comes from include/moat/moat.h by @MOAT_VERSION@"
    bad=1
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
packaging/dist "$dir/one" >"$dir/log"
packaging/dist "$dir/two" "file://$dir/one" >"$dir/log"
diff -r "$dir/one" "$dir/two" || { echo "packaging/dist: not the same twice"; bad=1; }
if grep -rnE '@[A-Z][A-Z0-9_]*@' "$dir/one" --exclude='*.tar.gz'; then
    echo "packaging/dist: does not know these"
    bad=1
fi
version=$(sed -nE 's/^#define MOAT_VERSION_(MAJOR|MINOR|PATCH) ([0-9]+)$/\2/p' include/moat/moat.h | paste -sd.)
for file in "debian/changelog:moat ($version-0moat1)" "buildroot/moat/moat.mk:MOAT_VERSION = $version" \
    "openwrt/moat/Makefile:PKG_VERSION:=$version" "alpine/moat/APKBUILD:pkgver=$version" "rpm/moat.spec:Version:        $version"; do
    grep -qF "${file#*:}" "$dir/one/${file%%:*}" || { echo "${file%%:*}: no \"${file#*:}\""; bad=1; }
done
[ -e "$dir/one/openembedded/recipes-support/moat/moat_$version.bb" ] || { echo "openembedded: no moat_$version.bb"; bad=1; }
tar -tf "$dir/one/moat-$version.tar.gz" >"$dir/list"
grep -qx "moat-$version/CMakeLists.txt" "$dir/list" || { echo "the tarball has no source"; bad=1; }
! grep "^moat-$version/packaging/" "$dir/list" || { echo "the tarball has packaging/, whose checksums are its own"; bad=1; }
exit $bad
