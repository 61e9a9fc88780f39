/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the checks share; for check_host.c and arch/. */
#ifndef VOLE_CHECK_HOST_PRIV_H
#define VOLE_CHECK_HOST_PRIV_H

#include "vmm/check_host.h"
#include "vmm/kvm.h"
#include "vmm/util.h"

struct host {
    const char *root;
    bool kvm_opens; /* /dev/kvm does */
    struct kvm kvm; /* `fd` is -1 when it cannot be used */
};

PRINTF_LIKE(3, 4)
void host_say(struct host_finding *f, enum host_verdict verdict, const char *fmt, ...);
PRINTF_LIKE(2, 3)
void host_advise(struct host_finding *f, const char *fmt, ...);
/* The text of the host's file, to be freed, or NULL where it cannot be read. */
char *host_read_file(const struct host *h, const char *path);

#endif
