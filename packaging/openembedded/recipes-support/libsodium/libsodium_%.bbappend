# moat links it statically; many distributions turn static libraries off.
DISABLE_STATIC = ""
