# moat_fuzz: libmoat-fuzz.so, which is libmoat-checked.so and what only fuzzing needs (src/fuzzing).
file(GLOB MOAT_FUZZING_SOURCES CONFIGURE_DEPENDS src/fuzzing/*.c)

# It has a calloc of its own.
set(MOAT_FUZZING_OBJECT ${PROJECT_BINARY_DIR}/moat-fuzz.o)
add_custom_command(
    OUTPUT ${MOAT_FUZZING_OBJECT}
    COMMAND ${CMAKE_OBJCOPY} --redefine-sym calloc=mo_plain_calloc ${MOAT_CHECKED_OBJECT} ${MOAT_FUZZING_OBJECT}
    DEPENDS ${MOAT_CHECKED_OBJECT} VERBATIM
    COMMENT "Renaming in moat-fuzz.o")
set_source_files_properties(${MOAT_FUZZING_OBJECT} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)

set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/fuzzing/exports.map)
file(READ src/fuzzing/exports.map MOAT_FUZZING_NAMES)
string(REGEX REPLACE ".*global:\n(.*)local:.*" "\\1" MOAT_FUZZING_NAMES "${MOAT_FUZZING_NAMES}")
string(REPLACE "local:" "${MOAT_FUZZING_NAMES}\nlocal:" MOAT_ALL_EXPORTS "${MOAT_ALL_EXPORTS}")
set(MOAT_FUZZING_EXPORTS ${PROJECT_BINARY_DIR}/exports-fuzz.map)
file(CONFIGURE OUTPUT ${MOAT_FUZZING_EXPORTS} CONTENT "${MOAT_ALL_EXPORTS}" @ONLY)

add_library(moat_fuzzing_objects OBJECT ${MOAT_FUZZING_SOURCES})
set_target_properties(moat_fuzzing_objects PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_compile_options(moat_fuzzing_objects PRIVATE -Os ${MOAT_COLD_OPTIONS})
target_link_libraries(moat_fuzzing_objects PRIVATE moat_warnings moat_flags moat_sodium)

add_library(moat_fuzz SHARED ${MOAT_CHECKED_SHARED} $<TARGET_OBJECTS:moat_fuzzing_objects> ${MOAT_FUZZING_OBJECT})
moat_variant(moat_fuzz moat-fuzz ${MOAT_FUZZING_EXPORTS})
