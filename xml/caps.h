/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's capabilities and what a domain may have, as libvirt's XML. Only formatting: the caller
 * looks at the host. The formats are capability.rng and domaincaps.rng of libvirt.
 */
#ifndef VOLE_XML_CAPS_H
#define VOLE_XML_CAPS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "xml/cpu_model.h"
#include "xml/error.h"

struct host_cpu {
    unsigned id;
    unsigned socket;
    unsigned die;
    unsigned core;
    const char *siblings; /* the threads of its core, as a CPU list: "0,4" */
};

struct host_cell {
    unsigned id;
    uint64_t memory_kib;
    const struct host_cpu *cpus;
    unsigned cpu_count;
};

/* Borrowed strings; what may be NULL is left out of the XML. */
struct host_caps {
    const char *uuid; /* of the host; may be NULL */
    const char *arch; /* "x86_64" */
    /* Its CPU by libvirt's names, and what guests get of it; a NULL model: it is not known. */
    struct cpu_description cpu;
    struct cpu_description host_model;
    const struct cpu_map *map;    /* the models that there are; NULL: none */
    const struct cpu_host *guest; /* may be NULL */
    unsigned sockets;             /* topology of a cell; 0 when it is not known */
    unsigned dies;
    unsigned cores;
    unsigned threads;
    const struct host_cell *cells;
    unsigned cell_count;
    const unsigned *page_sizes_kib;
    unsigned page_size_count;
    bool kvm_usable;      /* /dev/kvm can be opened; without it there is no guest to offer */
    const char *emulator; /* the VMM's path */
    unsigned max_vcpus;
};

/* <capabilities>; to be freed with g_free(). */
char *caps_format(const struct host_caps *host);

/* Whether that is what this driver has; any argument may be NULL. VIR_ERR_INVALID_ARG otherwise. */
bool domain_caps_check(const struct host_caps *host, const char *emulator, const char *arch,
                       const char *machine, const char *virttype, GError **error);

/*
 * <domainCapabilities> for what the caller asks for; any argument may be NULL (the driver's own).
 * NULL with VIR_ERR_INVALID_ARG or VIR_ERR_CONFIG_UNSUPPORTED for an emulator, architecture,
 * machine or virtualisation type that there is not.
 */
char *domain_caps_format(const struct host_caps *host, const char *emulator, const char *arch,
                         const char *machine, const char *virttype, GError **error);

#endif
