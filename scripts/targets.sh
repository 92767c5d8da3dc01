# shellcheck shell=bash disable=SC2034 # for who sources it
# The targets that moat is built and tested for: target ARCH LIBC sets
#   gnu       prefix of Debian's cross compiler     debian       Debian's name of the architecture
#   musl      musl's name in paths                  loader       the same in its loader's name
#   emulator  qemu's program, empty for none        from_source  yes: Debian 12 has no packages of the architecture
#   processor as CMake calls it                     bits         of a pointer
#   space     arguments of the emulator: it keeps a table of all pages of address space that a program sets aside, and
#             with 4 GiB to take from moat takes less by itself
#   abi       what musl asks of the compiler
all_arches="x86_64 aarch64 armv7 i386 riscv64 powerpc"

target()
{
    arch=$1 libc=$2 from_source=no space="" abi=""
    case $arch in
    x86_64) gnu=x86_64-linux-gnu debian=amd64 musl=x86_64-linux-musl loader=x86_64 emulator="" processor=x86_64 ;;
    aarch64)
        gnu=aarch64-linux-gnu debian=arm64 musl=aarch64-linux-musl loader=aarch64 emulator=qemu-aarch64-static
        processor=aarch64
        ;;
    armv7)
        gnu=arm-linux-gnueabihf debian=armhf musl=arm-linux-musleabihf loader=armhf emulator=qemu-arm-static
        processor=armv7l
        ;;
    i386)
        gnu=i686-linux-gnu debian=i386 musl=i386-linux-musl loader=i386 emulator=qemu-i386-static processor=i686
        ;;
    riscv64)
        gnu=riscv64-linux-gnu debian=riscv64 musl=riscv64-linux-musl loader=riscv64 emulator=qemu-riscv64-static
        processor=riscv64 from_source=yes
        ;;
    powerpc)
        gnu=powerpc-linux-gnu debian=powerpc musl=powerpc-linux-musl loader=powerpc emulator=qemu-ppc-static
        processor=ppc from_source=yes abi="-mlong-double-64 -msecure-plt"
        ;;
    *) echo "no such architecture: $arch; there are $all_arches" >&2 && return 2 ;;
    esac
    case $arch in
    aarch64) space="-R 0x100000000 -cpu neoverse-n1" ;; # without memory tags, as most; "-cpu max" has them
    riscv64) space="-R 0x100000000" ;;
    esac
    case $arch in
    armv7 | i386 | powerpc) bits=32 ;;
    *) bits=64 ;;
    esac
    case $libc in
    glibc | musl) ;;
    *) echo "no such libc: $libc; there are glibc and musl" >&2 && return 2 ;;
    esac
    compiler=$gnu-gcc
}
