/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's disks: what goes through them, how large they are. */
#include "libvirt-driver/api/block.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/api/params.h"
#include "libvirt-driver/domain/process.h"
#include "libvirt-driver/util.h"

/* ---- statistics ---- */

bool block_stats_read(const json_t *reply, const char *alias, struct block_stats *stats)
{
    const json_t *from = api_device_stats(reply, alias);

    if (!from)
        return false;
    stats->rd_req += api_stat(from, "rd_operations");
    stats->rd_bytes += api_stat(from, "rd_bytes");
    stats->rd_times += api_stat(from, "rd_total_time_ns");
    stats->wr_req += api_stat(from, "wr_operations");
    stats->wr_bytes += api_stat(from, "wr_bytes");
    stats->wr_times += api_stat(from, "wr_total_time_ns");
    stats->flush_req += api_stat(from, "flush_operations");
    stats->flush_times += api_stat(from, "flush_total_time_ns");
    return true;
}

/* Job. Of one disk, or of all together when the path is empty. */
static bool ask_stats(struct domain *domain, const char *path, struct block_stats *stats,
                      GError **error)
{
    g_autoptr(json_ref) reply = NULL;
    g_autofree char *alias = NULL;

    if (!domain_check_runs(domain, error))
        return false;
    if (*path) {
        const struct domain_disk *disk = api_find_disk(domain->live, path);

        if (!disk) {
            libvirt_error_set(error, VIR_ERR_INVALID_ARG, "invalid path: %s", path);
            return false;
        }
        alias = g_strdup(disk->info.alias);
    }
    if (!domain_command(domain, "query-blockstats", NULL, &reply, error))
        return false;
    for (guint i = 0; i < domain->live->disks->len; i++) {
        const char *each = domain_disk_at(domain->live, i)->info.alias;

        if ((!alias || strcmp(alias, each) == 0) && !block_stats_read(reply, each, stats)) {
            libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "the VMM knows no disk '%s'", each);
            return false;
        }
    }
    return true;
}

static bool get_stats(struct call *call, const wire_domain *dom, const char *path,
                      struct block_stats *stats, GError **error)
{
    g_autoptr(locked_domain) domain = api_domain_with_job(call, dom, error);
    bool done;

    if (!domain)
        return false;
    done = ask_stats(domain, path, stats, error);
    domain_end_job(domain);
    return done;
}

bool api_domain_block_stats(struct call *call, const wire_dom_str *in, wire_block_stats *out,
                            GError **error)
{
    struct block_stats stats = {0};

    if (!get_stats(call, &in->dom, in->value, &stats, error))
        return false;
    *out = (wire_block_stats){
        .rd_req = stats.rd_req,
        .rd_bytes = stats.rd_bytes,
        .wr_req = stats.wr_req,
        .wr_bytes = stats.wr_bytes,
        .errs = -1, /* not told, as with QEMU */
    };
    return true;
}

bool api_domain_block_stats_flags(struct call *call, const wire_params_str_args *in,
                                  wire_params_count *out, GError **error)
{
    struct block_stats stats = {0};
    GArray *params;

    if (!api_check_flags(call, in->flags, VIR_TYPED_PARAM_STRING_OKAY, error) ||
        !get_stats(call, &in->dom, in->name, &stats, error))
        return false;
    params = params_new();
    params_add_long(params, stats.wr_bytes, VIR_DOMAIN_BLOCK_STATS_WRITE_BYTES);
    params_add_long(params, stats.wr_req, VIR_DOMAIN_BLOCK_STATS_WRITE_REQ);
    params_add_long(params, stats.rd_bytes, VIR_DOMAIN_BLOCK_STATS_READ_BYTES);
    params_add_long(params, stats.rd_req, VIR_DOMAIN_BLOCK_STATS_READ_REQ);
    params_add_long(params, stats.flush_req, VIR_DOMAIN_BLOCK_STATS_FLUSH_REQ);
    params_add_long(params, stats.wr_times, VIR_DOMAIN_BLOCK_STATS_WRITE_TOTAL_TIMES);
    params_add_long(params, stats.rd_times, VIR_DOMAIN_BLOCK_STATS_READ_TOTAL_TIMES);
    params_add_long(params, stats.flush_times, VIR_DOMAIN_BLOCK_STATS_FLUSH_TOTAL_TIMES);
    params_answer(params, in->room, out);
    return true;
}

bool api_domain_get_disk_errors(struct call *call, const wire_dom_uint_flags *in,
                                wire_disk_errors *out, GError **error)
{
    g_autoptr(locked_domain) domain = NULL;

    if (!api_check_flags(call, in->flags, 0, error))
        return false;
    domain = api_domain(call, &in->dom, error);
    /* A guest is told of an error at once; none keeps a disk from going on. */
    return domain && domain_check_runs(domain, error);
}

/* ---- sizes ---- */

bool block_size_read(const struct domain_disk *disk, struct block_size *size, GError **error)
{
    const char *path = disk->source ? disk->source : ""; /* a volume that nobody uses */
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    off_t end;

    if (fd < 0 || fstat(fd, &st) < 0) {
        libvirt_error_set_errno(error, errno, "cannot stat file '%s'", path);
        return false;
    }
    /* A block device's size is where it ends; so is a file's. */
    end = lseek(fd, 0, SEEK_END);
    if (end < 0) {
        libvirt_error_set_errno(error, errno, "failed to seek to end of %s", path);
        return false;
    }
    size->capacity = (uint64_t)end;
    size->physical = (uint64_t)end;
    size->allocation = S_ISREG(st.st_mode) ? (uint64_t)st.st_blocks * 512 : (uint64_t)end;
    return true;
}

bool api_domain_get_block_info(struct call *call, const wire_dom_str_flags *in,
                               wire_block_info *out, GError **error)
{
    g_autoptr(domain_def) def = NULL; /* a copy: the file is looked at without the lock */
    const struct domain_disk *disk;
    struct block_size size;

    if (!api_check_flags(call, in->flags, 0, error))
        return false;
    if (!*in->value) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "NULL or empty path");
        return false;
    }
    {
        g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);

        if (!domain)
            return false;
        def = domain_def_copy(domain_current_def(domain));
    }
    disk = api_find_disk(def, in->value);
    if (!disk) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "invalid path %s not assigned to domain",
                          in->value);
        return false;
    }
    if (!block_size_read(disk, &size, error))
        return false;
    out->capacity = size.capacity;
    out->allocation = size.allocation;
    out->physical = size.physical;
    return true;
}

/* Job. */
static bool resize(struct domain *domain, const char *path, uint64_t bytes, GError **error)
{
    const struct domain_disk *disk;

    if (!domain_check_runs(domain, error))
        return false;
    disk = api_find_disk(domain->live, path);
    if (!disk) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "disk '%s' was not found in the domain config", path);
        return false;
    }
    return domain_command(
        domain, "block_resize",
        json_pack("{s:s, s:I}", "device", disk->info.alias, "size", (json_int_t)bytes), NULL,
        error);
}

bool api_domain_block_resize(struct call *call, const wire_block_resize_args *in, wire_none *out,
                             GError **error)
{
    const uint64_t unit = in->flags & VIR_DOMAIN_BLOCK_RESIZE_BYTES ? 1 : 1024;
    g_autoptr(locked_domain) domain = NULL;
    bool done;

    if (!api_check_flags(call, in->flags, VIR_DOMAIN_BLOCK_RESIZE_BYTES, error))
        return false;
    if (!*in->disk) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "empty path");
        return false;
    }
    if (in->size == 0 || in->size > G_MAXINT64 / unit) {
        libvirt_error_set(error, VIR_ERR_OVERFLOW, "size must be between 1 and %" PRIu64,
                          G_MAXINT64 / unit);
        return false;
    }
    domain = api_domain_with_job(call, &in->dom, error);
    if (!domain)
        return false;
    done = resize(domain, in->disk, in->size * unit, error);
    domain_end_job(domain);
    return done;
}
