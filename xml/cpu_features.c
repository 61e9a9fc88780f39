/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/cpu_features.h"

#include <string.h>

static uint32_t register_of(const struct cpuid_entry *entry, enum x86_register reg)
{
    const uint32_t values[] = {[X86_EAX] = entry->eax, entry->ebx, entry->ecx, entry->edx};

    return values[reg];
}

static const struct cpuid_entry *find_entry(const struct cpuid_entry *entries, unsigned count,
                                            uint32_t function, uint32_t index)
{
    for (unsigned i = 0; i < count; i++) {
        if (entries[i].function == function && entries[i].index == index)
            return &entries[i];
    }
    return NULL;
}

/* Families and models have outgrown their fields, and go on in others. */
static void read_signature(struct cpu_host *host, uint32_t eax)
{
    host->family = eax >> 8 & 0xf;
    host->model = eax >> 4 & 0xf;
    host->stepping = eax & 0xf;
    if (host->family == 6 || host->family == 15)
        host->model |= (eax >> 16 & 0xf) << 4;
    if (host->family == 15)
        host->family += eax >> 20 & 0xff;
}

void cpu_host_init(struct cpu_host *host, const struct cpuid_entry *entries, unsigned count)
{
    const struct cpuid_entry *first = find_entry(entries, count, 0, 0);
    const struct cpuid_entry *signature = find_entry(entries, count, 1, 0);

    *host = (struct cpu_host){""};
    if (!first || !signature)
        return;
    memcpy(host->vendor, &first->ebx, 4);
    memcpy(host->vendor + 4, &first->edx, 4);
    memcpy(host->vendor + 8, &first->ecx, 4);
    read_signature(host, signature->eax);
    for (unsigned i = 0; i < X86_FEATURE_WORDS; i++) {
        const struct x86_feature_word *word = x86_feature_word(i);
        const struct cpuid_entry *e = find_entry(entries, count, word->function, word->index);

        host->features.words[i] = e ? register_of(e, word->reg) & x86_feature_word_mask(i) : 0;
    }
}

bool cpu_feature_is_known(const char *name)
{
    unsigned feature;

    return x86_feature_find(name, &feature);
}

bool cpu_host_has(const struct cpu_host *host, const char *name)
{
    unsigned feature;

    return x86_feature_find(name, &feature) && x86_feature_set_has(&host->features, feature);
}
