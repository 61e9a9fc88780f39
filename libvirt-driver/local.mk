# SPDX-License-Identifier: LGPL-2.1-or-later
# The daemon: everything but main.c is a library, so that unit tests and fuzz targets link the same
# objects as the program.

# What rpcgen writes is compiled apart: it is not held to the project's warnings.
noinst_LIBRARIES += libvirt-driver/librpc.a
libvirt_driver_librpc_a_CPPFLAGS = $(AM_CPPFLAGS) $(TIRPC_CFLAGS)
$(libvirt_driver_librpc_a_OBJECTS): libvirt-driver/rpc/protocol.h
libvirt_driver_librpc_a_CFLAGS = -std=gnu11 $(HARDEN_CFLAGS) -w
nodist_libvirt_driver_librpc_a_SOURCES = \
	libvirt-driver/rpc/protocol.h libvirt-driver/rpc/protocol_xdr.c
BUILT_SOURCES += libvirt-driver/rpc/protocol.h
CLEANFILES += libvirt-driver/rpc/protocol.h libvirt-driver/rpc/protocol_xdr.c
EXTRA_DIST += libvirt-driver/rpc/protocol.x

# rpcgen includes the header by the name it was given for the source: it has to run beside it.
libvirt-driver/rpc/protocol.h: libvirt-driver/rpc/protocol.x
	$(AM_V_GEN)$(MKDIR_P) $(@D) && (cd $(srcdir)/libvirt-driver/rpc && \
	  $(RPCGEN) -h protocol.x) > $@.tmp && mv $@.tmp $@
libvirt-driver/rpc/protocol_xdr.c: libvirt-driver/rpc/protocol.x
	$(AM_V_GEN)$(MKDIR_P) $(@D) && (cd $(srcdir)/libvirt-driver/rpc && \
	  $(RPCGEN) -c protocol.x) > $@.tmp && mv $@.tmp $@

driver_cppflags = -D_GNU_SOURCE -DG_LOG_DOMAIN='"virtvoled"' -DG_LOG_USE_STRUCTURED -DVOLE_BINDIR='"$(bindir)"' \
	-DVOLE_LIBEXECDIR='"$(libexecdir)"' -DVOLE_SYSCONFDIR='"$(sysconfdir)"' \
	$(GLIB_CFLAGS) $(LIBVIRT_CFLAGS) $(LIBXML_CFLAGS) $(JANSSON_CFLAGS) $(TIRPC_CFLAGS)
driver_libs = libvirt-driver/libdriver.a libvirt-driver/librpc.a xml/libxmldomain.a \
	$(GLIB_LIBS) $(LIBXML_LIBS) $(JANSSON_LIBS) $(TIRPC_LIBS)

noinst_LIBRARIES += libvirt-driver/libdriver.a
libvirt_driver_libdriver_a_CPPFLAGS = $(AM_CPPFLAGS) $(driver_cppflags)
$(libvirt_driver_libdriver_a_OBJECTS): libvirt-driver/rpc/protocol.h
libvirt_driver_libdriver_a_SOURCES = \
	libvirt-driver/api/api.h libvirt-driver/api/common.c \
	libvirt-driver/api/addresses.c \
	libvirt-driver/api/bandwidth.c \
	libvirt-driver/api/blkio.c \
	libvirt-driver/api/block.c libvirt-driver/api/block.h \
	libvirt-driver/api/connect.c \
	libvirt-driver/api/cpu.c \
	libvirt-driver/api/console.c libvirt-driver/api/console.h \
	libvirt-driver/api/definition.c \
	libvirt-driver/api/devices.c \
	libvirt-driver/api/events.c libvirt-driver/api/events.h \
	libvirt-driver/api/info.c \
	libvirt-driver/api/interface.c libvirt-driver/api/interface.h \
	libvirt-driver/api/lifecycle.c \
	libvirt-driver/api/list.c \
	libvirt-driver/api/memory.c libvirt-driver/api/memory.h \
	libvirt-driver/api/metadata.c \
	libvirt-driver/api/node.c \
	libvirt-driver/api/numa.c \
	libvirt-driver/api/params.c libvirt-driver/api/params.h \
	libvirt-driver/api/pin.c \
	libvirt-driver/api/scheduler.c \
	libvirt-driver/api/secondary.c \
	libvirt-driver/api/stats.c \
	libvirt-driver/api/sysinfo.c \
	libvirt-driver/api/tune.c \
	libvirt-driver/api/vcpus.c \
	libvirt-driver/client.c libvirt-driver/client.h \
	libvirt-driver/cpus.c libvirt-driver/cpus.h \
	libvirt-driver/daemon.h \
	libvirt-driver/domain/affinity.c libvirt-driver/domain/affinity.h \
	libvirt-driver/domain/borrow.c libvirt-driver/domain/borrow.h \
	libvirt-driver/domain/change.c libvirt-driver/domain/change.h \
	libvirt-driver/domain/detached.c \
	libvirt-driver/domain/domain.c libvirt-driver/domain/domain.h \
	libvirt-driver/domain/list.c libvirt-driver/domain/list.h \
	libvirt-driver/domain/log_watch.c libvirt-driver/domain/log_watch.h \
	libvirt-driver/domain/process.c libvirt-driver/domain/process.h \
	libvirt-driver/domain/process_events.c libvirt-driver/domain/process_priv.h \
	libvirt-driver/domain/quotas.c libvirt-driver/domain/quotas.h \
	libvirt-driver/domain/restore.c libvirt-driver/domain/restore.h \
	libvirt-driver/domain/store.c libvirt-driver/domain/store.h \
	libvirt-driver/host.c libvirt-driver/host.h \
	libvirt-driver/host_libvirt.c libvirt-driver/host_libvirt.h \
	libvirt-driver/log.c libvirt-driver/log.h \
	libvirt-driver/paths.c libvirt-driver/paths.h \
	libvirt-driver/polkit.c libvirt-driver/polkit.h \
	libvirt-driver/rpc/dispatch.c libvirt-driver/rpc/dispatch.h \
	libvirt-driver/rpc/error.c libvirt-driver/rpc/error.h \
	libvirt-driver/rpc/packet.c libvirt-driver/rpc/packet.h \
	libvirt-driver/rpc/procedures.def \
	libvirt-driver/rpc/shapes.c libvirt-driver/rpc/shapes.h \
	libvirt-driver/rpc/stream.c libvirt-driver/rpc/stream.h \
	libvirt-driver/rpc/writer.c libvirt-driver/rpc/writer.h \
	libvirt-driver/rpc/unserved.def \
	libvirt-driver/server.c libvirt-driver/server.h \
	libvirt-driver/proxy/connect.c libvirt-driver/proxy/connect.h \
	libvirt-driver/proxy/procedures.def \
	libvirt-driver/proxy/proxy.c libvirt-driver/proxy/proxy.h \
	libvirt-driver/proxy/registrations.c libvirt-driver/proxy/registrations.h \
	libvirt-driver/proxy/table.c libvirt-driver/proxy/table.h \
	libvirt-driver/proxy/upstream.c libvirt-driver/proxy/upstream.h \
	libvirt-driver/settings.c libvirt-driver/settings.h \
	libvirt-driver/sockets.c libvirt-driver/sockets.h \
	libvirt-driver/storage/api_pools.c libvirt-driver/storage/api_volumes.c \
	libvirt-driver/storage/events.c libvirt-driver/storage/events.h \
	libvirt-driver/storage/files.c libvirt-driver/storage/files.h \
	libvirt-driver/storage/image.c libvirt-driver/storage/image.h \
	libvirt-driver/storage/pools.c \
	libvirt-driver/storage/storage.h \
	libvirt-driver/storage/transfer.c libvirt-driver/storage/transfer.h \
	libvirt-driver/storage/volumes.c \
	libvirt-driver/util.c libvirt-driver/util.h \
	libvirt-driver/vmm/cgroup.c libvirt-driver/vmm/cgroup.h \
	libvirt-driver/vmm/chardev.c libvirt-driver/vmm/chardev.h \
	libvirt-driver/vmm/cpuid.h \
	libvirt-driver/vmm/identity.c libvirt-driver/vmm/identity.h \
	libvirt-driver/vmm/image.c libvirt-driver/vmm/image.h \
	libvirt-driver/vmm/inherit.c libvirt-driver/vmm/inherit.h \
	libvirt-driver/vmm/macvtap.c libvirt-driver/vmm/macvtap.h \
	libvirt-driver/vmm/netlink.c libvirt-driver/vmm/netlink.h \
	libvirt-driver/vmm/passt.c libvirt-driver/vmm/passt.h \
	libvirt-driver/vmm/launch.c libvirt-driver/vmm/launch.h \
	libvirt-driver/vmm/log_file.c libvirt-driver/vmm/log_file.h \
	libvirt-driver/vmm/monitor.c libvirt-driver/vmm/monitor.h \
	libvirt-driver/vmm/outfit.c libvirt-driver/vmm/outfit.h \
	libvirt-driver/vmm/tap.c libvirt-driver/vmm/tap.h \
	libvirt-driver/vmm/terminals.c libvirt-driver/vmm/terminals.h \
	libvirt-driver/vmm/vmm.c libvirt-driver/vmm/vmm.h \
	libvirt-driver/watch.c libvirt-driver/watch.h
if ARCH_X86_64
libvirt_driver_libdriver_a_SOURCES += libvirt-driver/vmm/cpuid.c
else
libvirt_driver_libdriver_a_SOURCES += libvirt-driver/vmm/cpuid_none.c
endif

sbin_PROGRAMS += virtvoled
virtvoled_SOURCES = libvirt-driver/main.c
virtvoled_CPPFLAGS = $(AM_CPPFLAGS) $(driver_cppflags)
virtvoled_LDADD = $(driver_libs)

# Asks the host's own libvirt; the only program that is linked with its library.
libexec_PROGRAMS = virtvoled-helper
virtvoled_helper_SOURCES = libvirt-driver/helper.c
virtvoled_helper_CPPFLAGS = $(AM_CPPFLAGS) $(LIBVIRT_CFLAGS) $(JANSSON_CFLAGS)
virtvoled_helper_LDADD = $(LIBVIRT_LIBS) $(JANSSON_LIBS)

dist_man_MANS += docs/man/virtvoled.8
EXTRA_DIST += docs/networking.md docs/virtvoled.md

# Where libvirt's own daemons have theirs.
libvirtconfdir = $(sysconfdir)/libvirt
dist_libvirtconf_DATA = libvirt-driver/virtvoled.conf libvirt-driver/vole.conf

systemdunitdir = $(prefix)/lib/systemd/system
dist_systemdunit_DATA = \
	libvirt-driver/systemd/virtvoled.socket libvirt-driver/systemd/virtvoled-ro.socket
nodist_systemdunit_DATA = libvirt-driver/systemd/virtvoled.service
systemduserunitdir = $(prefix)/lib/systemd/user
dist_systemduserunit_DATA = libvirt-driver/systemd/user/virtvoled.socket
nodist_systemduserunit_DATA = libvirt-driver/systemd/user/virtvoled.service
EXTRA_DIST += libvirt-driver/systemd/virtvoled.service.in \
	libvirt-driver/systemd/user/virtvoled.service.in
CLEANFILES += $(nodist_systemdunit_DATA) $(nodist_systemduserunit_DATA)

libvirt-driver/systemd/virtvoled.service: libvirt-driver/systemd/virtvoled.service.in
	$(AM_V_GEN)$(MKDIR_P) $(@D) && sed 's|@sbindir[@]|$(sbindir)|' $< > $@.tmp && mv $@.tmp $@
libvirt-driver/systemd/user/virtvoled.service: libvirt-driver/systemd/user/virtvoled.service.in
	$(AM_V_GEN)$(MKDIR_P) $(@D) && sed 's|@sbindir[@]|$(sbindir)|' $< > $@.tmp && mv $@.tmp $@

# Unit tests: each is tests/unit/NAME.c.
driver_tests = tests/unit/test-rpc-packet tests/unit/test-rpc-table tests/unit/test-driver-store \
	tests/unit/test-driver-polkit tests/unit/test-driver-stats tests/unit/test-driver-storage \
	tests/unit/test-watch tests/unit/test-proxy-table
tests_unit_test_rpc_packet_CPPFLAGS = $(AM_CPPFLAGS) $(driver_cppflags)
tests_unit_test_rpc_packet_LDADD = $(driver_libs)
tests_unit_test_rpc_table_CPPFLAGS = $(AM_CPPFLAGS) $(driver_cppflags)
tests_unit_test_rpc_table_LDADD = $(driver_libs)
tests_unit_test_driver_store_CPPFLAGS = $(AM_CPPFLAGS) $(driver_cppflags)
tests_unit_test_driver_store_LDADD = $(driver_libs)
tests_unit_test_driver_polkit_CPPFLAGS = $(AM_CPPFLAGS) $(driver_cppflags)
tests_unit_test_driver_polkit_LDADD = $(driver_libs)
tests_unit_test_driver_stats_CPPFLAGS = $(AM_CPPFLAGS) $(driver_cppflags)
tests_unit_test_driver_stats_LDADD = $(driver_libs)
tests_unit_test_driver_storage_CPPFLAGS = $(AM_CPPFLAGS) $(driver_cppflags)
tests_unit_test_driver_storage_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=image_probe -Wl,--wrap=pool_dir_scan
tests_unit_test_driver_storage_LDADD = $(driver_libs)
tests_unit_test_watch_CPPFLAGS = $(AM_CPPFLAGS) $(driver_cppflags)
tests_unit_test_watch_LDADD = $(driver_libs)
tests_unit_test_proxy_table_CPPFLAGS = $(AM_CPPFLAGS) $(driver_cppflags) \
	-DTOP_SRCDIR='"$(top_srcdir)"'
tests_unit_test_proxy_table_LDADD = $(driver_libs)
EXTRA_DIST += tests/unit/libvirt-procedures
check_PROGRAMS += $(driver_tests)
TESTS += $(driver_tests)

# The daemon as a whole, with a stand-in for the VMM.
dist_check_SCRIPTS = tests/unit/test-virtvoled tests/unit/test-virtvoled-hostile \
	tests/unit/test-virtvoled-restart tests/unit/test-virtvoled-wire
TESTS += $(dist_check_SCRIPTS)
EXTRA_DIST += tests/unit/fake-vole tests/unit/virtvoled_host.py
EXTRA_DIST += tests/e2e/test_devices.py \
	tests/e2e/test_driver_api.py tests/e2e/test_driver_daemon.py \
	tests/e2e/test_driver_stress.py tests/e2e/test_install.py tests/e2e/test_newer_clients.py \
	tests/e2e/test_session.py tests/e2e/test_storage.py
EXTRA_DIST += tests/e2e/test_proxy.py tests/e2e/test_proxy_lies.py

EXTRA_DIST += tests/fuzz/corpus/fuzz-rpc
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz-rpc
endif
tests_fuzz_fuzz_rpc_SOURCES = tests/fuzz/fuzz-rpc.c
tests_fuzz_fuzz_rpc_CPPFLAGS = $(AM_CPPFLAGS) $(driver_cppflags)
tests_fuzz_fuzz_rpc_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_rpc_LDADD = $(driver_libs)

EXTRA_DIST += tests/fuzz/corpus/fuzz-storage
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz-storage
endif
tests_fuzz_fuzz_storage_SOURCES = tests/fuzz/fuzz-storage.c tests/fuzz/refusal.h
tests_fuzz_fuzz_storage_CPPFLAGS = $(AM_CPPFLAGS) $(driver_cppflags)
tests_fuzz_fuzz_storage_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_storage_LDADD = $(driver_libs)

EXTRA_DIST += tests/fuzz/corpus/fuzz-upstream
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz-upstream
endif
tests_fuzz_fuzz_upstream_SOURCES = tests/fuzz/fuzz-upstream.c
tests_fuzz_fuzz_upstream_CPPFLAGS = $(AM_CPPFLAGS) $(driver_cppflags)
tests_fuzz_fuzz_upstream_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_upstream_LDADD = $(driver_libs)
