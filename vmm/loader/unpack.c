/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/loader/unpack.h"

#include <errno.h>
#include <zlib.h>
#include <zstd.h>

#define CHUNK      (64 * KiB)
#define GZIP_ONLY  (15 + 16) /* for inflateInit2(): the largest window, and no zlib header */
#define OUTPUT_MAX (1 * MiB) /* a turn; zlib counts in unsigned int */

struct unpack {
    const struct image *image;
    enum unpack_format format;
    uint64_t pos; /* in the file, of what is read next */
    uint64_t end;
    bool ended; /* the compressed stream says that this is all */

    uint8_t in[CHUNK];
    size_t in_len;
    size_t in_pos;
    z_stream gzip;
    ZSTD_DStream *zstd;
};

static int damaged(const struct unpack *u, const char *why, struct error *err)
{
    return error_set(err, "`%s` is damaged: it does not unpack (%s)", u->image->name, why);
}

/* ---- the file ---- */

static ssize_t read_plain(struct unpack *u, void *buf, size_t len, struct error *err)
{
    size_t n = (size_t)MIN((uint64_t)len, u->end - u->pos);
    int r = pread_full(u->image->fd, buf, n, u->pos);

    if (r == -ENODATA)
        return error_set(err, "`%s` is truncated", u->image->name);
    if (r < 0)
        return error_set_errno(err, -r, "read `%s`", u->image->name);
    u->pos += n;
    return (ssize_t)n;
}

/* Sees to it that there is something to unpack. */
static int fill(struct unpack *u, struct error *err)
{
    ssize_t n;

    if (u->in_pos < u->in_len)
        return 0;
    n = read_plain(u, u->in, sizeof(u->in), err);
    if (n < 0)
        return -1;
    if (n == 0)
        return error_set(err, "`%s` is truncated: its compressed part has no end", u->image->name);
    u->in_pos = 0;
    u->in_len = (size_t)n;
    return 0;
}

/* ---- formats: a turn, which may give nothing yet ---- */

static ssize_t turn_gzip(struct unpack *u, void *buf, size_t len, struct error *err)
{
    int r;

    u->gzip.next_in = u->in + u->in_pos;
    u->gzip.avail_in = (uInt)(u->in_len - u->in_pos);
    u->gzip.next_out = buf;
    u->gzip.avail_out = (uInt)len;
    r = inflate(&u->gzip, Z_NO_FLUSH);
    u->in_pos = u->in_len - u->gzip.avail_in;
    if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
        return damaged(u, u->gzip.msg ? u->gzip.msg : "gzip", err);
    u->ended = r == Z_STREAM_END;
    return (ssize_t)(len - u->gzip.avail_out);
}

static ssize_t turn_zstd(struct unpack *u, void *buf, size_t len, struct error *err)
{
    ZSTD_inBuffer in = {u->in, u->in_len, u->in_pos};
    ZSTD_outBuffer out = {buf, len, 0};
    size_t r = ZSTD_decompressStream(u->zstd, &out, &in);

    u->in_pos = in.pos;
    if (ZSTD_isError(r))
        return damaged(u, ZSTD_getErrorName(r), err);
    u->ended = r == 0;
    return (ssize_t)out.pos;
}

ssize_t unpack_read(struct unpack *u, void *buf, size_t len, struct error *err)
{
    size_t done = 0;

    if (u->format == UNPACK_PLAIN)
        return read_plain(u, buf, len, err);
    while (done < len && !u->ended) {
        size_t want = MIN(len - done, (size_t)OUTPUT_MAX);
        ssize_t n;

        if (fill(u, err) < 0)
            return -1;
        n = u->format == UNPACK_GZIP ? turn_gzip(u, (uint8_t *)buf + done, want, err)
                                     : turn_zstd(u, (uint8_t *)buf + done, want, err);
        if (n < 0)
            return -1;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* ---- life ---- */

struct unpack *unpack_open(const struct image *image, uint64_t offset, uint64_t size,
                           enum unpack_format format, struct error *err)
{
    struct unpack *u = xcalloc(1, sizeof(*u));
    bool ready = true;

    u->image = image;
    u->format = format;
    u->pos = offset;
    u->end = offset + size;
    if (format == UNPACK_GZIP)
        ready = inflateInit2(&u->gzip, GZIP_ONLY) == Z_OK;
    else if (format == UNPACK_ZSTD)
        ready = (u->zstd = ZSTD_createDStream()) != NULL;
    if (ready)
        return u;
    error_set(err, "`%s`: no memory to unpack it", image->name);
    free(u);
    return NULL;
}

void unpack_close(struct unpack *u)
{
    if (!u)
        return;
    if (u->format == UNPACK_GZIP)
        inflateEnd(&u->gzip);
    ZSTD_freeDStream(u->zstd);
    free(u);
}
