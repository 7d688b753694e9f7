# What `cmake --install` puts where, and how other projects find it: a CMake package (tracetap::tracetap, tracetap::http)
# and pkg-config files.
include(CMakePackageConfigHelpers)

set(TRACETAP_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/tracetap)

install(FILES include/tracetap/tracetap.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tracetap)
install(TARGETS tracetap tracetap-static EXPORT tracetap)
set_target_properties(tracetap-static PROPERTIES EXPORT_NAME static)

if(TARGET tracetap-http)
  install(FILES include/tracetap/http.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tracetap)
  install(TARGETS tracetap-http EXPORT tracetap)
  set_target_properties(tracetap-http PROPERTIES EXPORT_NAME http)
endif()
if(TARGET tracetap-cli)
  install(TARGETS tracetap-cli)
  install(TARGETS tracetap-preload LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()

if(TARGET pipeline)
  # Not part of an installation; the container image asks for this component by name.
  install(TARGETS pipeline COMPONENT examples EXCLUDE_FROM_ALL)
endif()

install(EXPORT tracetap NAMESPACE tracetap:: FILE tracetap-targets.cmake DESTINATION ${TRACETAP_CMAKE_DIR})
configure_package_config_file(cmake/tracetap-config.cmake.in ${CMAKE_BINARY_DIR}/tracetap-config.cmake
                              INSTALL_DESTINATION ${TRACETAP_CMAKE_DIR})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/tracetap-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/tracetap-config.cmake ${CMAKE_BINARY_DIR}/tracetap-config-version.cmake
        DESTINATION ${TRACETAP_CMAKE_DIR})

# pkg-config files name the prefix by their own place, so that an installed tree can be moved.
file(RELATIVE_PATH TRACETAP_PC_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/tracetap.pc.in ${CMAKE_BINARY_DIR}/tracetap.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/tracetap.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(TARGET tracetap-http)
  configure_file(cmake/tracetap-http.pc.in ${CMAKE_BINARY_DIR}/tracetap-http.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/tracetap-http.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()

install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md" PATTERN "img/*.png")
