# cmake --install: library, headers, pkg-config file, CMake package, man page. tools/ installs the command.
include(CMakePackageConfigHelpers)

if(TARGET moat_checked)
    install(TARGETS moat_checked moat_checked_static
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

if(EXISTS ${PROJECT_SOURCE_DIR}/tools/moat.1)
    install(FILES tools/moat.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
