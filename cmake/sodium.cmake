# libsodium, linked statically: a malloc that needs another shared library could be loaded before it.
find_library(MOAT_SODIUM_LIBRARY NAMES libsodium.a DOC "static libsodium")
find_path(MOAT_SODIUM_INCLUDE NAMES sodium.h DOC "libsodium's headers")
if(NOT MOAT_SODIUM_LIBRARY OR NOT MOAT_SODIUM_INCLUDE)
    message(FATAL_ERROR "libsodium.a and sodium.h are needed: scripts/deps installs them (libsodium-dev)")
endif()

# A compiler for another libc (musl-gcc) must not see this directory's other headers: only sodium's are copied.
file(COPY ${MOAT_SODIUM_INCLUDE}/sodium.h ${MOAT_SODIUM_INCLUDE}/sodium DESTINATION ${PROJECT_BINARY_DIR}/sodium)

add_library(moat_sodium INTERFACE)
target_include_directories(moat_sodium SYSTEM INTERFACE ${PROJECT_BINARY_DIR}/sodium)
target_link_libraries(moat_sodium INTERFACE ${MOAT_SODIUM_LIBRARY})
