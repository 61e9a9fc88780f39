# SPDX-License-Identifier: LGPL-2.1-or-later
# Domain XML and capabilities: a library for the daemon, the tests and the fuzz target.

noinst_LIBRARIES += xml/libxmldomain.a
xml_libxmldomain_a_CPPFLAGS = $(AM_CPPFLAGS) -DVOLE_ARCH='"$(VOLE_ARCH)"'
xml_libxmldomain_a_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(LIBXML_CFLAGS) $(LIBVIRT_CFLAGS) \
	$(JANSSON_CFLAGS)
xml_libxmldomain_a_SOURCES = \
	cpu/x86_features.c cpu/x86_features.h \
	xml/caps.c xml/caps.h \
	xml/cpuset.c xml/cpuset.h \
	xml/device.c xml/device.h \
	xml/domain.c xml/domain.h xml/domain_priv.h \
	xml/cpu_features.c xml/cpu_features.h \
	xml/cpu_map.c xml/cpu_map.h \
	xml/cpu_model.c xml/cpu_model.h \
	xml/cpu_compare.c xml/cpu_compare.h \
	xml/cpu_resolve.c xml/cpu_resolve.h \
	xml/domain_blkio.c \
	xml/domain_chardevs.c \
	xml/domain_clock.c \
	xml/domain_cpu.c \
	xml/domain_names.c \
	xml/domain_numa.c \
	xml/domain_devices.c xml/domain_devices.h \
	xml/domain_disks.c \
	xml/domain_dropped.c \
	xml/format.c \
	xml/domain_iotune.c \
	xml/domain_machine.c \
	xml/domain_memory.c \
	xml/domain_net_parts.c \
	xml/domain_nets.c \
	xml/domain_parse.c \
	xml/domain_small_devices.c \
	xml/domain_values.c xml/domain_values.h \
	xml/domain_vcpus.c \
	xml/format_devices.c xml/format.h \
	xml/format_nets.c \
	xml/error.c xml/error.h \
	xml/launch.c xml/launch.h \
	xml/network_port.c xml/network_port.h \
	xml/reader.c xml/reader.h \
	xml/storage.c xml/storage.h \
	xml/writer.c xml/writer.h

# Unit tests: each is tests/unit/NAME.c; tests/golden holds the domains of test-xml-golden.
xml_test_cppflags = $(AM_CPPFLAGS) -DTOP_SRCDIR='"$(top_srcdir)"' -DVOLE_ARCH='"$(VOLE_ARCH)"'
xml_test_ldadd = xml/libxmldomain.a $(GLIB_LIBS) $(LIBXML_LIBS) $(JANSSON_LIBS)
xml_tests =

xml_tests += tests/unit/test-xml-golden
tests_unit_test_xml_golden_CPPFLAGS = $(xml_test_cppflags)
tests_unit_test_xml_golden_CFLAGS = $(xml_libxmldomain_a_CFLAGS)
tests_unit_test_xml_golden_LDADD = $(xml_test_ldadd)
EXTRA_DIST += tests/golden docs/domain-schema.md docs/domain-xml.md tests/e2e/test_virsh_xml.py

xml_tests += tests/unit/test-xml-network-port
tests_unit_test_xml_network_port_CFLAGS = $(xml_libxmldomain_a_CFLAGS)
tests_unit_test_xml_network_port_LDADD = $(xml_test_ldadd)

xml_tests += tests/unit/test-xml-refused
tests_unit_test_xml_refused_CPPFLAGS = $(xml_test_cppflags)
tests_unit_test_xml_refused_CFLAGS = $(xml_libxmldomain_a_CFLAGS)
tests_unit_test_xml_refused_LDADD = $(xml_test_ldadd)

xml_tests += tests/unit/test-xml-documents
tests_unit_test_xml_documents_CPPFLAGS = $(xml_test_cppflags)
tests_unit_test_xml_documents_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_xml_documents_LDADD = $(vmm_test_ldadd)

xml_tests += tests/unit/test-xml-reader
tests_unit_test_xml_reader_CFLAGS = $(xml_libxmldomain_a_CFLAGS)
tests_unit_test_xml_reader_LDADD = $(xml_test_ldadd)

xml_tests += tests/unit/test-xml-error
tests_unit_test_xml_error_CFLAGS = $(xml_libxmldomain_a_CFLAGS)
tests_unit_test_xml_error_LDADD = $(xml_test_ldadd)

xml_tests += tests/unit/test-xml-domain
tests_unit_test_xml_domain_CFLAGS = $(xml_libxmldomain_a_CFLAGS)
tests_unit_test_xml_domain_LDADD = $(xml_test_ldadd)

xml_tests += tests/unit/test-xml-device
tests_unit_test_xml_device_CFLAGS = $(xml_libxmldomain_a_CFLAGS)
tests_unit_test_xml_device_LDADD = $(xml_test_ldadd)

xml_tests += tests/unit/test-xml-cpus
tests_unit_test_xml_cpus_CFLAGS = $(xml_libxmldomain_a_CFLAGS)
tests_unit_test_xml_cpus_LDADD = $(xml_test_ldadd)

xml_tests += tests/unit/test-xml-cpu-models
tests_unit_test_xml_cpu_models_CPPFLAGS = $(xml_test_cppflags)
tests_unit_test_xml_cpu_models_CFLAGS = $(xml_libxmldomain_a_CFLAGS)
tests_unit_test_xml_cpu_models_LDADD = $(xml_test_ldadd)
EXTRA_DIST += tests/cpu_map

xml_tests += tests/unit/test-xml-caps
tests_unit_test_xml_caps_CFLAGS = $(xml_libxmldomain_a_CFLAGS)
tests_unit_test_xml_caps_LDADD = $(xml_test_ldadd)

check_PROGRAMS += $(xml_tests)
TESTS += $(xml_tests)

EXTRA_DIST += tests/fuzz/corpus/fuzz-domain-xml
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz-domain-xml
endif
tests_fuzz_fuzz_domain_xml_SOURCES = tests/fuzz/fuzz-domain-xml.c tests/fuzz/refusal.h
tests_fuzz_fuzz_domain_xml_CFLAGS = $(xml_libxmldomain_a_CFLAGS)
tests_fuzz_fuzz_domain_xml_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_domain_xml_LDADD = $(xml_test_ldadd)
