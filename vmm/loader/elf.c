/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ELF kernels (System V ABI, object files): entered at the PVH entry that a Xen note tells, or at
 * their own.
 */
#include <elf.h>

#include "vmm/loader/loader.h"

#define MAX_PROGRAM_HEADERS 64
#define MAX_NOTES_SIZE      (64 * KiB)
#define XEN_NOTE_PHYS32     18 /* XEN_ELFNOTE_PHYS32_ENTRY */

bool elf_probe(const struct image *image)
{
    return image->head_len >= sizeof(Elf64_Ehdr) && memcmp(image->head, ELFMAG, SELFMAG) == 0;
}

/*
 * Finds the Xen note in a buffer of notes. A note is three words (name size, descriptor size,
 * type), then name and descriptor, each padded to four bytes. Returns whether it is there.
 */
static bool find_pvh_entry(const uint8_t *notes, size_t len, uint64_t *entry)
{
    while (len >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr note;
        size_t name_len;
        size_t desc_len;

        memcpy(&note, notes, sizeof(note));
        notes += sizeof(note);
        len -= sizeof(note);
        if (note.n_namesz > len || note.n_descsz > len)
            return false;
        name_len = ALIGN_UP(note.n_namesz, 4);
        desc_len = ALIGN_UP(note.n_descsz, 4);
        if (name_len > len || desc_len > len - name_len)
            return false;
        if (note.n_type == XEN_NOTE_PHYS32 && note.n_namesz == 4 && memcmp(notes, "Xen", 4) == 0 &&
            note.n_descsz >= 4) {
            uint64_t value = 0;

            memcpy(&value, notes + name_len, MIN(note.n_descsz, 8u));
            *entry = value;
            return true;
        }
        notes += name_len + desc_len;
        len -= name_len + desc_len;
    }
    return false;
}

static int read_notes(const struct image *image, const Elf64_Phdr *ph, struct elf_kernel *out,
                      struct error *err)
{
    cleanup_free uint8_t *notes = NULL;

    if (ph->p_filesz > MAX_NOTES_SIZE)
        return 0; /* not what we look for */
    notes = xcalloc(1, ph->p_filesz + 1);
    if (pread_full(image->fd, notes, ph->p_filesz, ph->p_offset) < 0)
        return error_set(err, "`%s` is truncated", image->name);
    find_pvh_entry(notes, ph->p_filesz, &out->pvh_entry);
    return 0;
}

static int load_segment(const struct image *image, const struct memory *mem, const Elf64_Phdr *ph,
                        uint64_t floor, struct elf_kernel *out, struct error *err)
{
    if (ph->p_filesz > ph->p_memsz || ph->p_offset > image->size ||
        ph->p_filesz > image->size - ph->p_offset)
        return error_set(err, "`%s` is truncated or damaged: a segment lies outside of it",
                         image->name);
    if (ph->p_paddr < floor)
        return error_set(err, "`%s` wants to lie at 0x%llx, where the boot data is", image->name,
                         (unsigned long long)ph->p_paddr);
    /* RAM is zero where the file gives nothing, so only the whole extent has to be there. */
    if (!memory_ptr(mem, ph->p_paddr, ph->p_memsz))
        return error_set(err,
                         "`%s` does not fit: it wants %llu KiB at 0x%llx; give the machine more "
                         "memory",
                         image->name, (unsigned long long)(ph->p_memsz / KiB),
                         (unsigned long long)ph->p_paddr);
    out->start = out->end ? MIN(out->start, ph->p_paddr) : ph->p_paddr;
    out->end = MAX(out->end, ph->p_paddr + ph->p_memsz);
    return memory_load(mem, ph->p_paddr, image->fd, ph->p_offset, ph->p_filesz, image->name, err);
}

static int check_header(const struct image *image, const Elf64_Ehdr *eh, unsigned machine,
                        struct error *err)
{
    if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_ident[EI_DATA] != ELFDATA2LSB)
        return error_set(err, "`%s` is an ELF file, but not a 64-bit little-endian one",
                         image->name);
    if (eh->e_machine != machine)
        return error_set(err, "`%s` is %s", image->name, image_kind(image));
    if (eh->e_phentsize != sizeof(Elf64_Phdr) || eh->e_phnum == 0 ||
        eh->e_phnum > MAX_PROGRAM_HEADERS)
        return error_set(err, "`%s` is an ELF file without usable program headers", image->name);
    return 0;
}

/* One of the two entries has to lie in memory. The PVH one is 32-bit code. */
static int check_entry(const struct image *image, const struct memory *mem, uint64_t floor,
                       const struct elf_kernel *k, struct error *err)
{
    if (k->pvh_entry != 0 && (k->pvh_entry > UINT32_MAX || !memory_ptr(mem, k->pvh_entry, 1)))
        return error_set(err, "`%s` is damaged: its PVH entry 0x%llx is not in memory", image->name,
                         (unsigned long long)k->pvh_entry);
    if (k->pvh_entry == 0 && (k->entry < floor || k->entry >= k->end))
        return error_set(err,
                         "`%s` has no PVH entry, and its 64-bit entry 0x%llx is not where it was "
                         "loaded",
                         image->name, (unsigned long long)k->entry);
    return 0;
}

int elf_load(const struct image *image, const struct memory *mem, unsigned machine, uint64_t floor,
             struct elf_kernel *out, struct error *err)
{
    Elf64_Phdr phs[MAX_PROGRAM_HEADERS];
    Elf64_Ehdr eh;

    *out = (struct elf_kernel){0};
    memcpy(&eh, image->head, sizeof(eh));
    if (check_header(image, &eh, machine, err) < 0)
        return -1;
    if (pread_full(image->fd, phs, eh.e_phnum * sizeof(phs[0]), eh.e_phoff) < 0)
        return error_set(err, "`%s` is truncated", image->name);

    for (unsigned i = 0; i < eh.e_phnum; i++) {
        int r = 0;

        if (phs[i].p_type == PT_NOTE)
            r = read_notes(image, &phs[i], out, err);
        else if (phs[i].p_type == PT_LOAD && phs[i].p_memsz > 0)
            r = load_segment(image, mem, &phs[i], floor, out, err);
        if (r < 0)
            return -1;
    }
    out->entry = eh.e_entry;
    return check_entry(image, mem, floor, out, err);
}
