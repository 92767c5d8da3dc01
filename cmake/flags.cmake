# Compiler and linker flags, and why they are there.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# No NDEBUG: tests may use assert, the library does not.
foreach(lang IN ITEMS C CXX)
    set(CMAKE_${lang}_FLAGS_RELWITHDEBINFO "-O2 -g")
    set(CMAKE_${lang}_FLAGS_DEBUG "-O1 -g")
endforeach()

# For everything, tests and tools too.
add_library(moat_warnings INTERFACE)
# -Wno-psabi: only inline functions take vectors, and powerpc's gcc warns of those too.
target_compile_options(moat_warnings INTERFACE -Wall -Wextra -Wshadow -Wundef -Wvla -Wno-psabi
                       $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>
                       $<$<BOOL:${MOAT_WERROR}>:-Werror>)

# A sanitizer, for everything as well. The address and thread sanitizers bring a malloc of their own, which
# must stay the process's: MO_NO_INTERPOSE makes src/api keep its standard names to itself.
set(MOAT_INTERPOSES ON)
if(MOAT_FUZZ)
    set(MOAT_INTERPOSES OFF)
endif()
if(MOAT_SANITIZE)
    add_compile_options(-fsanitize=${MOAT_SANITIZE} -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${MOAT_SANITIZE})
    if(MOAT_SANITIZE STREQUAL "undefined")
        add_compile_options(-fno-sanitize-recover=all)
    else()
        set(MOAT_INTERPOSES OFF)
    endif()
endif()

# Only for the library's own objects.
add_library(moat_flags INTERFACE)
target_compile_options(moat_flags INTERFACE
    -fvisibility=hidden
    -ffunction-sections -fdata-sections
    # A library that is loaded late has little static TLS, but moat needs only a few words, and only this
    # model never calls __tls_get_addr, which allocates.
    -ftls-model=initial-exec
    # Or the compiler turns malloc and memset inside calloc into a call of calloc.
    -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free
    -fno-builtin-aligned_alloc -fno-builtin-memalign -fno-builtin-posix_memalign -fno-builtin-valloc -fno-builtin-pvalloc
    $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>)
# Only x86's linker makes direct calls of such ones again.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|i.86)$")
    target_compile_options(moat_flags INTERFACE -fno-plt)
endif()
# i386: callers' stacks may lie at multiples of 4: programs of before gcc 4.5 and parts of libc keep them so, and so does
# qemu 7.2 as it enters a signal handler. What moat calls finds 16, as today's ABI asks for, but for memset.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^i.86$")
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
        target_compile_options(moat_flags INTERFACE -mincoming-stack-boundary=2)
        set(MOAT_INNER_OPTIONS -mpreferred-stack-boundary=2) # for what calls moat and memset alone
    else()
        target_compile_options(moat_flags INTERFACE -mstackrealign)
    endif()
endif()
target_include_directories(moat_flags INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(moat_flags INTERFACE _GNU_SOURCE
    $<$<OR:$<CONFIG:Debug>,$<BOOL:${MOAT_FUZZ}>>:MO_DEBUG=1>
    $<$<BOOL:${MOAT_SMALL}>:MO_BUILD_SMALL=1>
    $<$<NOT:$<BOOL:${MOAT_INTERPOSES}>>:MO_NO_INTERPOSE=1>)

# The stack protector costs instructions only in functions with arrays. The hot path has none that an
# attacker's bytes are copied into, so it goes without.
set(MOAT_COLD_OPTIONS -fstack-protector-strong)
set(MOAT_HOT_OPTIONS -fno-stack-protector)

# For what is never in a hurry. Clang's -Oz is asked for file by file.
set(MOAT_SMALL_OPTION -Os)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_C_COMPILER_VERSION VERSION_GREATER_EQUAL 12)
    set(MOAT_SMALL_OPTION -Oz)
endif()

# The files that are compiled for CPUs with AES instructions; the rest runs on any, and start-up decides.
set(MOAT_AES_OPTIONS "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|i.86)$")
    # Not more: their code is entered on every CPU and left by its first gate (test budget/without_aes).
    set(MOAT_AES_OPTIONS -msse4.1 -maes)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    set(MOAT_AES_OPTIONS -march=armv8-a+crypto)
endif()
if(NOT MOAT_AES)
    set(MOAT_AES_OPTIONS "")
endif()

# Only for libmoat.so.
set(MOAT_LINK_OPTIONS
    LINKER:-z,now LINKER:-z,relro LINKER:-z,noexecstack
    # Sealed memory can't be unmapped, and threads' exits call into the library.
    LINKER:-z,nodelete
    LINKER:--gc-sections
    LINKER:--hash-style=gnu # clang adds a second table
    LINKER:-fini,mo_none # no function has this name: crti's _fini, which is empty, would cost a page fault at each exit
    LINKER:--exclude-libs,ALL
    LINKER:--as-needed
    LINKER:-T,${PROJECT_SOURCE_DIR}/cmake/order.ld
    $<$<NOT:$<BOOL:${MOAT_SANITIZE}>>:LINKER:-z,defs> # clang gives a sanitizer's names to programs alone
    LINKER:--version-script=${PROJECT_SOURCE_DIR}/src/api/exports.map)

# For cmake/order.ld: what a page fault makes resident. With little memory the two mappings more are not worth it.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|i.86)$" AND NOT MOAT_SMALL)
    list(APPEND MOAT_LINK_OPTIONS LINKER:-z,max-page-size=65536)
endif()

if(MOAT_SMALL)
    # Of what Cortex-A53's erratum 843419 asks for the part that is no code: its other part is rounded up to 4 KiB.
    include(CheckLinkerFlag)
    check_linker_flag(C LINKER:--fix-cortex-a53-843419=adr MOAT_LINKER_HAS_ADR)
    if(MOAT_LINKER_HAS_ADR)
        list(APPEND MOAT_LINK_OPTIONS LINKER:--fix-cortex-a53-843419=adr)
    endif()
endif()
