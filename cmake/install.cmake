# Where a package puts things. Paths follow GNUInstallDirs; systemd's own directories are asked of pkg-config.
include(GNUInstallDirs)

foreach(program IN ITEMS fastlogd fastlogctl)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()

install(FILES config/fastlogd.yaml DESTINATION ${CMAKE_INSTALL_SYSCONFDIR}/fastlogd)
install(FILES config/minimal.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)

set(FASTLOGD_SYSTEMD_UNIT_DIR lib/systemd/system CACHE STRING "Where systemd units go")
install(FILES systemd/fastlogd.service systemd/fastlogd-app.socket systemd/fastlogd-log.socket
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
    install(FILES ${made} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
  endforeach()
  add_custom_target(man ALL DEPENDS ${made_pages})
endif()
