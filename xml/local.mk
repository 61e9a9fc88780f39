# SPDX-License-Identifier: LGPL-2.1-or-later
# Domain XML and capabilities: a library for the daemon, the tests and the fuzz target.

noinst_LIBRARIES += xml/libxmldomain.a
xml_libxmldomain_a_CPPFLAGS = $(AM_CPPFLAGS) -DVOLE_ARCH='"$(VOLE_ARCH)"'
xml_libxmldomain_a_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(LIBXML_CFLAGS) $(LIBVIRT_CFLAGS) \
	$(JANSSON_CFLAGS)
xml_libxmldomain_a_SOURCES = \
	xml/caps.c xml/caps.h \
	xml/domain.c xml/domain.h xml/domain_priv.h \
	xml/domain_chardevs.c \
	xml/domain_devices.c xml/domain_devices.h \
	xml/domain_disks.c \
	xml/domain_format.c \
	xml/domain_machine.c \
	xml/domain_nets.c \
	xml/domain_parse.c \
	xml/domain_values.c xml/domain_values.h \
	xml/error.c xml/error.h \
	xml/launch.c xml/launch.h \
	xml/reader.c xml/reader.h \
	xml/writer.c xml/writer.h
