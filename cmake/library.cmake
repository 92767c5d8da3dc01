# moat_objects: all objects, also for tests that reach hidden functions. moat: libmoat.so. moat_static: libmoat.a.

add_library(moat_objects OBJECT ${MOAT_C_SOURCES} ${MOAT_CXX_SOURCES})
set_target_properties(moat_objects PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_link_libraries(moat_objects PRIVATE moat_warnings PUBLIC moat_flags moat_sodium)

# See src/api/new_nothrow.cc.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^arm")
    set_target_properties(moat_objects PROPERTIES
                          CXX_COMPILER_LAUNCHER "sh;${PROJECT_SOURCE_DIR}/cmake/weaken.sh;${CMAKE_OBJCOPY}")
endif()

# A new-handler's exception travels through src/api, so its objects need unwind tables.
foreach(source IN LISTS MOAT_C_SOURCES MOAT_CXX_SOURCES)
    if(source MATCHES "/src/(front|cache)/")
        set(options ${MOAT_HOT_OPTIONS})
    else()
        set(options ${MOAT_COLD_OPTIONS})
    endif()
    if(source MATCHES "/src/(front/hot_(aes|siphash)|api/malloc)\\.c$")
        list(APPEND options ${MOAT_INNER_OPTIONS})
    endif()
    if(source MATCHES "/src/(os|diag|guard|mem)/|/check\\.c$|/(bounds|cache|exit|hot_siphash|diagnose|fault|guarded|heap|heaps|limit|mallinfo|malloc_info|moat|new_slow|object|print|profile|purge|slabs|slow|start|stats|walk)\\.c$")
        list(APPEND options ${MOAT_SMALL_OPTION}) # where time does not matter
    endif()
    if(CMAKE_C_COMPILER_ID MATCHES "Clang" AND source MATCHES "/src/(os|diag|guard|mem)/|/(big|bounds|cache|check|chunk|diagnose|exit|fault|guarded|heap|heaps|hot_siphash|limit|mallinfo|malloc_info|moat|new_slow|object|print|profile|purge|slabs|slow|start|stats|thread|walk)\\.c$")
        list(APPEND options -Oz) # its -Os is larger than gcc's
    endif()
    if(CMAKE_C_COMPILER_ID MATCHES "Clang" AND source MATCHES "/src/arena/arena\\.c$")
        list(APPEND options -Os -fno-vectorize) # by -O2 its loops of a few steps are unrolled
    endif()
    if(source MATCHES "/src/diag/(options|option_|report_text|report_json|report_asan|text)|/src/os/(code|lock|memory|modules|process|roots|unwind)|/src/mem/(classes|dense|sodium|table)|/front/stats")
        list(APPEND options -fno-asynchronous-unwind-tables) # leaves: never on a stack that is kept
    endif()
    if(source MATCHES "/src/api/(print|profile)\\.c$")
        list(APPEND options -fno-asynchronous-unwind-tables) # leaves too, and no handler of exceptions is above them
    elseif(source MATCHES "/src/api/")
        list(APPEND options -fexceptions)
    endif()
    if(source MATCHES "/src/front/hot_(aes|tagged)\\.c$")
        list(APPEND options ${MOAT_AES_OPTIONS})
    endif()
    if(MOAT_SMALL)
        list(APPEND options -Os -fomit-frame-pointer -fno-inline-small-functions -fstack-protector)
        if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
            list(APPEND options -mno-outline-atomics) # two forms of each atomic operation, chosen at run time
        endif()
        if(NOT source MATCHES "/src/api/new")
            list(APPEND options -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-exceptions)
        endif()
    endif()
    set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${options}")
endforeach()

add_library(moat SHARED $<TARGET_OBJECTS:moat_objects>)
set_target_properties(moat PROPERTIES
    VERSION ${PROJECT_VERSION} SOVERSION 0
    LINKER_LANGUAGE C
    LINK_DEPENDS "${PROJECT_SOURCE_DIR}/src/api/exports.map;${PROJECT_SOURCE_DIR}/cmake/order.ld")
target_link_options(moat PRIVATE ${MOAT_LINK_OPTIONS} LINKER:-Map=${PROJECT_BINARY_DIR}/libmoat.map)
target_link_libraries(moat PRIVATE ${MOAT_SODIUM_LIBRARY})
target_include_directories(moat INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                          $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

# libmoat.a holds one object with every entry point, so that a static program that takes one of them from
# here takes all, and none is left to libc. What is not exported becomes local to it.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/api/exports.map)
file(STRINGS src/api/exports.map MOAT_EXPORT_LINES REGEX "^ +[A-Za-z_0-9]+;")
list(TRANSFORM MOAT_EXPORT_LINES REPLACE "^ +([A-Za-z_0-9]+);.*$" "\\1")
list(JOIN MOAT_EXPORT_LINES "\n" MOAT_EXPORT_NAMES)
file(CONFIGURE OUTPUT exports.txt CONTENT "@MOAT_EXPORT_NAMES@\n" @ONLY)

# What compilers put into COMDAT groups: as a local symbol it would be left without its section.
set(MOAT_SHARED_NAMES DW.ref.__gxx_personality_v0)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^i.86$")
    foreach(register IN ITEMS ax bx cx dx si di bp)
        list(APPEND MOAT_SHARED_NAMES __x86.get_pc_thunk.${register})
    endforeach()
endif()
list(TRANSFORM MOAT_SHARED_NAMES PREPEND --keep-global-symbol=)

set(MOAT_OBJECT ${PROJECT_BINARY_DIR}/moat.o)
add_custom_command(
    OUTPUT ${MOAT_OBJECT}
    COMMAND ${CMAKE_C_COMPILER} -r -nostdlib -o ${MOAT_OBJECT}.all $<TARGET_OBJECTS:moat_objects> ${MOAT_SODIUM_LIBRARY}
    COMMAND ${CMAKE_OBJCOPY} --keep-global-symbols=${PROJECT_BINARY_DIR}/exports.txt
            ${MOAT_SHARED_NAMES} ${MOAT_OBJECT}.all ${MOAT_OBJECT}
    DEPENDS moat_objects $<TARGET_OBJECTS:moat_objects> ${PROJECT_BINARY_DIR}/exports.txt
    COMMAND_EXPAND_LISTS VERBATIM
    COMMENT "Linking everything into moat.o")
add_library(moat_static STATIC ${MOAT_OBJECT})
set_source_files_properties(${MOAT_OBJECT} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
set_target_properties(moat_static PROPERTIES OUTPUT_NAME moat LINKER_LANGUAGE C EXPORT_NAME static)
target_include_directories(moat_static INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                 $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
add_library(moat::moat ALIAS moat)
add_library(moat::static ALIAS moat_static)
