# cmake --install: library, headers, pkg-config file, CMake package, man page. tools/ installs the command.
include(CMakePackageConfigHelpers)

if(TARGET moat_checked)
    install(TARGETS moat_checked moat_checked_static moat_fuzz
            LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
            ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
    install(FILES ${PROJECT_BINARY_DIR}/libmoat-checked.wrap DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
install(TARGETS moat moat_static EXPORT moat-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/moat DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")

configure_file(cmake/moat.pc.in moat.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/moat.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(MOAT_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/moat)
install(EXPORT moat-targets NAMESPACE moat:: DESTINATION ${MOAT_PACKAGE_DIR})
configure_package_config_file(cmake/moat-config.cmake.in moat-config.cmake INSTALL_DESTINATION ${MOAT_PACKAGE_DIR})
write_basic_package_version_file(moat-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/moat-config.cmake ${PROJECT_BINARY_DIR}/moat-config-version.cmake
        DESTINATION ${MOAT_PACKAGE_DIR})

# moat(1) is written by hand; moat(3) is the header and moat.conf(5) is docs/OPTIONS.md in another form.
set(MOAT_MAN_DIR ${PROJECT_BINARY_DIR}/man)
file(MAKE_DIRECTORY ${MOAT_MAN_DIR})
set(MOAT_MAN_SCRIPT ${PROJECT_SOURCE_DIR}/scripts/man)
foreach(page IN ITEMS "api include/moat/moat.h moat.3" "conf docs/OPTIONS.md moat.conf.5")
    separate_arguments(page)
    list(GET page 0 kind)
    list(GET page 1 from)
    list(GET page 2 name)
    add_custom_command(
        OUTPUT ${MOAT_MAN_DIR}/${name}
        COMMAND ${MOAT_MAN_SCRIPT} ${kind} ${PROJECT_SOURCE_DIR}/${from} >${MOAT_MAN_DIR}/${name}
        DEPENDS ${MOAT_MAN_SCRIPT} ${PROJECT_SOURCE_DIR}/${from}
        COMMENT "Writing ${name}")
endforeach()
add_custom_target(moat_man ALL DEPENDS ${MOAT_MAN_DIR}/moat.3 ${MOAT_MAN_DIR}/moat.conf.5)
install(FILES tools/moat.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${MOAT_MAN_DIR}/moat.3 DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)
install(FILES ${MOAT_MAN_DIR}/moat.conf.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
