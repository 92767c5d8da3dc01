# moat_checked: libmoat-checked.so, moat and the checked memory and string functions (src/checked). moat_checked_static:
# the same for static programs, libmoat-checked.a. Not beside a sanitizer that has such functions of its own.

# moat's own code writes to freed chunks by profession: in its objects libc's names lead to functions of src/checked that
# check nothing. And they find libc's
# functions only once moat has started, so that it must not come here before.
set(MOAT_CHECKED_OBJECT ${PROJECT_BINARY_DIR}/moat-checked.o)
add_custom_command(
    OUTPUT ${MOAT_CHECKED_OBJECT}
    COMMAND ${CMAKE_OBJCOPY} --redefine-sym memcpy=mo_plain_memcpy --redefine-sym memmove=mo_plain_memmove
            --redefine-sym memset=mo_plain_memset --redefine-sym explicit_bzero=mo_plain_explicit_bzero
            ${MOAT_OBJECT}.all ${MOAT_CHECKED_OBJECT}
    DEPENDS ${MOAT_OBJECT} VERBATIM
    COMMENT "Renaming in moat-checked.o")
set_source_files_properties(${MOAT_CHECKED_OBJECT} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)

# One list of exports of the two.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/checked/exports.map)
file(READ src/checked/exports.map MOAT_CHECKED_NAMES)
string(REGEX REPLACE ".*global:\n(.*)local:.*" "\\1" MOAT_CHECKED_NAMES "${MOAT_CHECKED_NAMES}")
file(READ src/api/exports.map MOAT_ALL_EXPORTS)
string(REPLACE "local:" "${MOAT_CHECKED_NAMES}\nlocal:" MOAT_ALL_EXPORTS "${MOAT_ALL_EXPORTS}")
set(MOAT_CHECKED_EXPORTS ${PROJECT_BINARY_DIR}/exports-checked.map)
file(CONFIGURE OUTPUT ${MOAT_CHECKED_EXPORTS} CONTENT "${MOAT_ALL_EXPORTS}" @ONLY)

# No function of libc's may be made of loops and the like: it would be the very one that is written there.
set(MOAT_CHECKED_OPTIONS -fno-builtin -U_FORTIFY_SOURCE)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    list(APPEND MOAT_CHECKED_OPTIONS -fno-tree-loop-distribute-patterns)
endif()
foreach(source IN LISTS MOAT_CHECKED_SOURCES)
    # The others run before there is a thread's canary perhaps.
    if(source MATCHES "/(input|path|print|receive)\\.c$")
        set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${MOAT_CHECKED_OPTIONS};${MOAT_COLD_OPTIONS}")
    else()
        set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${MOAT_CHECKED_OPTIONS};${MOAT_HOT_OPTIONS}")
    endif()
endforeach()

# A library beside libmoat.so: its name, and the list of what it exports in place of libmoat.so's.
function(moat_variant target name exports)
    set_target_properties(${target} PROPERTIES
        OUTPUT_NAME ${name}
        VERSION ${PROJECT_VERSION} SOVERSION 0
        LINKER_LANGUAGE C
        LINK_DEPENDS ${exports})
    set(options ${MOAT_LINK_OPTIONS})
    list(TRANSFORM options REPLACE "^(LINKER:--version-script=).*" "\\1${exports}")
    # A checked function that ends in another one means that one, not a program's of its name.
    target_link_options(${target} PRIVATE ${options} LINKER:-Bsymbolic-functions
                        LINKER:--dynamic-list=${PROJECT_SOURCE_DIR}/src/api/replaceable.list)
    target_link_libraries(${target} PRIVATE moat_warnings moat_flags moat_sodium)
endfunction()

set(MOAT_CHECKED_SHARED ${MOAT_CHECKED_SOURCES})
list(FILTER MOAT_CHECKED_SHARED EXCLUDE REGEX "/linked\\.c$")
add_library(moat_checked SHARED ${MOAT_CHECKED_SHARED} ${MOAT_CHECKED_OBJECT})
moat_variant(moat_checked moat-checked ${MOAT_CHECKED_EXPORTS})

# In a static program the linker's --wrap gives libc's names to these functions: they are called __wrap_memcpy and so on
# here, and libmoat-checked.wrap is the list of names for it. One object, as in libmoat.a.
string(REGEX REPLACE "/\\*[^*]*\\*/" "" MOAT_CHECKED_NAMES "${MOAT_CHECKED_NAMES}")
string(REGEX MATCHALL "[A-Za-z_0-9]+" MOAT_CHECKED_NAMES "${MOAT_CHECKED_NAMES}")
set(wrap "")
set(rename "__real___chk_fail __chk_fail\n")
set(keep "${MOAT_EXPORT_NAMES}\nDW.ref.__gxx_personality_v0\n")
foreach(name IN LISTS MOAT_CHECKED_NAMES)
    string(APPEND wrap "--wrap=${name}\n")
    string(APPEND rename "${name} __wrap_${name}\n")
    string(APPEND keep "__wrap_${name}\n")
endforeach()
set(MOAT_CHECKED_WRAP ${PROJECT_BINARY_DIR}/libmoat-checked.wrap)
foreach(list IN ITEMS wrap rename keep)
    file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/libmoat-checked.${list} CONTENT "${${list}}" @ONLY)
endforeach()

set(linked ${MOAT_CHECKED_SOURCES})
list(FILTER linked EXCLUDE REGEX "/find\\.c$")
add_library(moat_checked_objects OBJECT ${linked})
set_target_properties(moat_checked_objects PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_compile_definitions(moat_checked_objects PRIVATE MO_STATIC)
target_link_libraries(moat_checked_objects PRIVATE moat_warnings moat_flags moat_sodium)
set(object ${PROJECT_BINARY_DIR}/moat-checked-static.o)
add_custom_command(
    OUTPUT ${object}
    COMMAND ${CMAKE_C_COMPILER} -r -nostdlib -o ${object}.all ${MOAT_CHECKED_OBJECT} $<TARGET_OBJECTS:moat_checked_objects>
    COMMAND ${CMAKE_OBJCOPY} --redefine-syms=${PROJECT_BINARY_DIR}/libmoat-checked.rename ${object}.all ${object}.named
    COMMAND ${CMAKE_OBJCOPY} --keep-global-symbols=${PROJECT_BINARY_DIR}/libmoat-checked.keep ${object}.named ${object}
    DEPENDS ${MOAT_CHECKED_OBJECT} moat_checked_objects $<TARGET_OBJECTS:moat_checked_objects>
            ${PROJECT_BINARY_DIR}/libmoat-checked.rename ${PROJECT_BINARY_DIR}/libmoat-checked.keep
    COMMAND_EXPAND_LISTS VERBATIM
    COMMENT "Linking everything into moat-checked-static.o")
add_library(moat_checked_static STATIC ${object})
set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
set_target_properties(moat_checked_static PROPERTIES OUTPUT_NAME moat-checked LINKER_LANGUAGE C)
