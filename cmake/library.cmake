# libfastlog, shared and static, and what lets others find it: a pkg-config file and a CMake package. The shared one
# exports fastlog_* and nothing else; both hold our components, so nothing of ours has to be installed beside them.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(FASTLOG_ABI 1)  # FASTLOG_ABI_VERSION
set(FASTLOG_PARTS base record wire ring segment)  # client's row of the layer table

set(objects $<TARGET_OBJECTS:fastlogd_client>)
add_library(fastlog SHARED ${objects})
set_target_properties(fastlog PROPERTIES VERSION ${FASTLOG_ABI}.${PROJECT_VERSION} SOVERSION ${FASTLOG_ABI}
  LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/fastlog.map LINKER_LANGUAGE CXX
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
target_link_options(fastlog PRIVATE -Wl,--version-script=${CMAKE_SOURCE_DIR}/cmake/fastlog.map)
if(NOT FASTLOGD_SANITIZE)  # a sanitizer's run time is in the program alone
  target_link_options(fastlog PRIVATE -Wl,--no-undefined)
endif()
target_link_libraries(fastlog PRIVATE fastlogd_client)

foreach(part IN LISTS FASTLOG_PARTS)
  get_target_property(kind fastlogd_${part} TYPE)
  if(kind STREQUAL "STATIC_LIBRARY")
    list(APPEND objects $<TARGET_OBJECTS:fastlogd_${part}>)
  endif()
endforeach()
add_library(fastlog_static STATIC ${objects})
set_target_properties(fastlog_static PROPERTIES OUTPUT_NAME fastlog LINKER_LANGUAGE CXX
  ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

# What a program that links the static one links besides.
set(FASTLOG_STATIC_NEEDS fmt isal stdc++ m)
list(TRANSFORM FASTLOG_STATIC_NEEDS PREPEND -l OUTPUT_VARIABLE FASTLOG_STATIC_FLAGS)
list(JOIN FASTLOG_STATIC_FLAGS " " FASTLOG_STATIC_FLAGS)

# ".." once for each folder of the library directory (lib, or lib/x86_64-linux-gnu).
string(REGEX REPLACE "[^/]+" ".." FASTLOG_UP "${CMAKE_INSTALL_LIBDIR}")

# Both are made when the prefix is known, which may be as late as `cmake --install --prefix`: they find themselves by
# where they lie.
configure_file(cmake/fastlog.pc.in ${CMAKE_BINARY_DIR}/fastlog.pc @ONLY)
configure_file(cmake/fastlogConfig.cmake.in ${CMAKE_BINARY_DIR}/fastlogConfig.cmake @ONLY)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/fastlogConfigVersion.cmake VERSION ${PROJECT_VERSION}
  COMPATIBILITY SameMinorVersion)

install(TARGETS fastlog fastlog_static LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/fastlog DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${CMAKE_BINARY_DIR}/fastlog.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${CMAKE_BINARY_DIR}/fastlogConfig.cmake ${CMAKE_BINARY_DIR}/fastlogConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/fastlog)
