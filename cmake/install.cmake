# Where a package puts things. Programs, units and manual pages go below the prefix, the configuration to /etc, where
# the programs look for it.
include(GNUInstallDirs)

foreach(program IN ITEMS fastlogd fastlogctl)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()

# An edited configuration is its owner's: it is never written over.
install(CODE "
  if(NOT EXISTS \"\$ENV{DESTDIR}/etc/fastlogd/fastlogd.yaml\")
    file(INSTALL DESTINATION /etc/fastlogd TYPE FILE FILES \"${CMAKE_CURRENT_SOURCE_DIR}/config/fastlogd.yaml\")
  endif()")
install(FILES config/fastlogd.yaml config/minimal.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(FILES docs/examples/log.cpp docs/examples/follow.c docs/examples/follow.py DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(FILES docs/examples/go/go.mod docs/examples/go/follow.go DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples/go)

# What the manual pages refer to; a name of its own for each FORMAT.md.
install(FILES docs/operating.md docs/profiling.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES src/segment/FORMAT.md DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME segment-format.md)
install(FILES src/wire/FORMAT.md DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME native-protocol.md)

# The service names its programs by their full paths, and the prefix may be given as late as `cmake --install --prefix`.
set(FASTLOGD_SYSTEMD_UNIT_DIR lib/systemd/system CACHE STRING "Where systemd units go")
install(CODE "
  file(READ \"${CMAKE_CURRENT_SOURCE_DIR}/systemd/fastlogd.service\" unit)
  string(REPLACE \"=/usr/bin/\" \"=\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/\" unit \"\${unit}\")
  file(WRITE \"${CMAKE_BINARY_DIR}/fastlogd.service\" \"\${unit}\")")
install(FILES ${CMAKE_BINARY_DIR}/fastlogd.service systemd/fastlogd-app.socket systemd/fastlogd-log.socket
  DESTINATION ${FASTLOGD_SYSTEMD_UNIT_DIR})
install(FILES systemd/sysusers.conf DESTINATION lib/sysusers.d RENAME fastlogd.conf)
install(FILES systemd/tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME fastlogd.conf)

# docs/NAME.SECTION.scd becomes share/man/manSECTION/NAME.SECTION.
find_program(SCDOC scdoc)
if(SCDOC)
  file(GLOB pages CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/*.scd)
  foreach(page IN LISTS pages)
    get_filename_component(name ${page} NAME_WLE)
    string(REGEX REPLACE ".*\\." "" section ${name})
    set(made ${CMAKE_BINARY_DIR}/man/${name})
    add_custom_command(OUTPUT ${made}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/man
      COMMAND sh -c "'${SCDOC}' < '${page}' > '${made}'"
      DEPENDS ${page} VERBATIM)
    list(APPEND made_pages ${made})
    install(FILES ${made} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} OPTIONAL)
  endforeach()
endif()
add_custom_target(man ALL DEPENDS ${made_pages})  # nothing without scdoc
