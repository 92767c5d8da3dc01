#!/bin/sh
# moat for all of a system by /etc/ld.so.preload, in a root folder of its own that has no /proc and no /dev; and the way
# to exempt a program. preload.sh LIBRARY LIBMOAT.A COMPILER: needs root, or a kernel that lets a user be root of a namespace.
set -eu
library=$1 archive=$2 compiler=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0

mkdir -p "$dir/etc" "$dir/bin" "$dir/lib"
for program in sh cat env; do
    path=$(command -v $program)
    cp -L "$path" "$dir/bin/$program"
    # "libc.so.6 => /lib/... (0x...)" and "/lib64/ld-linux... (0x...)"
    for file in $(ldd "$path" | grep -o '/[^ ]*'); do
        mkdir -p "$dir$(dirname "$file")"
        cp -L "$file" "$dir$file"
    done
done
cp -L "$library" "$dir/lib/libmoat.so.0"
echo /lib/libmoat.so.0 >"$dir/etc/ld.so.preload"
echo stats=exit >"$dir/etc/moat.conf"
echo 'int main(void) { return 0; }' >"$dir/program.c"
"$compiler" -static -o "$dir/bin/static" "$dir/program.c"
"$compiler" -static -o "$dir/bin/linked" "$dir/program.c" -Wl,--whole-archive "$archive" -Wl,--no-whole-archive

# shellcheck disable=SC2317 # want calls it
apart()
{
    if [ "$(id -u)" -eq 0 ]; then unshare "$@"; else unshare --map-root-user "$@"; fi
}

# want YES|NO WHAT COMMAND...: does moat print its statistics at the end of the command, which must succeed?
want()
{
    wanted=$1 what=$2
    shift 2
    if ! "$@" >"$dir/out" 2>&1; then
        echo "$what: failed"
        cat "$dir/out"
        bad=1
    fi
    found=no
    if grep -q 'heap of process' "$dir/out"; then found=yes; fi
    if [ $found != "$wanted" ]; then
        echo "$what: moat is its malloc: $found, wanted $wanted"
        cat "$dir/out"
        bad=1
    fi
}

want yes "a program" apart chroot "$dir" /bin/cat /etc/moat.conf
want yes "a child of one" apart chroot "$dir" /bin/sh -c '/bin/env >/etc/out; exit 0'
want yes "a static program with libmoat.a" apart chroot "$dir" /bin/linked
want no "a static program" apart chroot "$dir" /bin/static
# The way out: no preload file for this program and its children.
want no "an exempt program" apart --mount sh -c "mount --bind /dev/null $dir/etc/ld.so.preload &&
    exec chroot $dir /bin/cat /etc/moat.conf"
want yes "the others after that" apart chroot "$dir" /bin/cat /etc/moat.conf
exit $bad
