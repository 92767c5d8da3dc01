# Tests of what qemu's user mode does not do as a kernel would; scripts/cross names each that is left out.
