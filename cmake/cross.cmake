# Toolchain for another architecture or libc, by Debian's cross compilers and the tree that scripts/sysroot makes:
# -DMOAT_ARCH=aarch64 -DMOAT_LIBC=glibc. scripts/cross sets these up; see scripts/targets.sh for what there is.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MOAT_ARCH MOAT_LIBC)
get_filename_component(root "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)

execute_process(COMMAND bash -c ". scripts/targets.sh && target $1 $2 && echo \"$gnu;$processor;$emulator;$space\""
                        bash "${MOAT_ARCH}" "${MOAT_LIBC}"
                WORKING_DIRECTORY ${root} OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
list(GET found 0 gnu)
list(GET found 1 CMAKE_SYSTEM_PROCESSOR)
list(GET found 2 emulator)
list(GET found 3 space)
separate_arguments(space)
set(sysroot ${root}/build/sysroot/${MOAT_ARCH}-${MOAT_LIBC})

set(CMAKE_C_COMPILER ${gnu}-gcc)
set(CMAKE_CXX_COMPILER ${gnu}-g++)
set(CMAKE_OBJCOPY ${gnu}-objcopy CACHE FILEPATH "")
set(MOAT_SODIUM_LIBRARY ${sysroot}/usr/lib/libsodium.a CACHE FILEPATH "")
set(MOAT_SODIUM_INCLUDE ${sysroot}/usr/include CACHE PATH "")
if(emulator)
    set(CMAKE_CROSSCOMPILING_EMULATOR ${emulator} -L ${sysroot} ${space})
endif()
if(MOAT_LIBC STREQUAL "musl")
    foreach(lang IN ITEMS C CXX)
        set(CMAKE_${lang}_FLAGS_INIT "-specs=${sysroot}/musl.specs")
    endforeach()
    set(CMAKE_CXX_COMPILER_WORKS TRUE) # as far as moat needs it: there is no C++ library to link a program with
endif()
