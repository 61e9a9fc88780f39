/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The features of an x86 CPU: the names that libvirt has for them, where CPUID has them, and which
 * of them need which. The VMM and the daemon have to mean the same by a name, so this one table is
 * built into both; it knows neither of them.
 */
#ifndef VOLE_CPU_X86_FEATURES_H
#define VOLE_CPU_X86_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

enum x86_register { X86_EAX = 0, X86_EBX, X86_ECX, X86_EDX };

/* One register of one answer of CPUID. */
struct x86_feature_word {
    uint32_t function; /* in EAX */
    uint32_t index;    /* in ECX, or 0 */
    enum x86_register reg;
};

#define X86_FEATURE_WORDS 22
/* Features are numbered by word and bit; not every number has one. */
#define X86_FEATURE_LAST (X86_FEATURE_WORDS * 32)
/* Bytes of a feature's name, with the NUL. */
#define X86_FEATURE_NAME_MAX 32

struct x86_feature_set {
    uint32_t words[X86_FEATURE_WORDS]; /* a bit a feature, as CPUID has it */
};

/* The number of a name; false when there is none. */
bool x86_feature_find(const char *name, unsigned *feature);
/* NULL for a number that has no feature. */
const char *x86_feature_name(unsigned feature);
const struct x86_feature_word *x86_feature_word(unsigned index);

/* The bits of a word that are features. */
uint32_t x86_feature_word_mask(unsigned index);

bool x86_feature_set_has(const struct x86_feature_set *set, unsigned feature);
void x86_feature_set_add(struct x86_feature_set *set, unsigned feature);
void x86_feature_set_remove(struct x86_feature_set *set, unsigned feature);
bool x86_feature_set_is_empty(const struct x86_feature_set *set);
/* `set` less what is in `less`. */
struct x86_feature_set x86_feature_set_minus(const struct x86_feature_set *set,
                                             const struct x86_feature_set *less);

/* What guests get of what KVM supports: never virtualisation or enclaves of their own; and in any
 * case what KVM emulates, and a machine without other timers needs. */
void x86_feature_set_for_guest(struct x86_feature_set *set);
/* What a machine has whatever CPU is asked for: its interrupt controller and timer. */
struct x86_feature_set x86_feature_set_of_machine(void);
/* What a machine tells by its topology, whatever the host and the definition say. */
struct x86_feature_set x86_feature_set_of_topology(void);
/* Adds to a set of what is taken away what makes no sense without it: AVX2 goes with AVX. */
void x86_feature_set_add_dependents(struct x86_feature_set *off);

#endif
