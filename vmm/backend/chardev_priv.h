/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a kind of chardev (chardev_tty.c, chardev_socket.c, chardev_file.c) and the common part
 * (chardev.c) know of each other. A kind opens descriptors and says how to read and write them;
 * buffering, waiting and telling the front end are common.
 */
#ifndef VOLE_BACKEND_CHARDEV_PRIV_H
#define VOLE_BACKEND_CHARDEV_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "vmm/backend/chardev.h"
#include "vmm/socket.h"

#define CHARDEV_INPUT ((size_t)4096)

struct chardev_ops {
    /* As read(2) and write(2), but negative errno and never blocking. -EAGAIN: later. 0 from read,
     * and any other error from either, means that the other side is gone. NULL: never any input;
     * output vanishes. */
    ssize_t (*read)(struct chardev *chr, void *buf, size_t len);
    ssize_t (*write)(struct chardev *chr, const void *buf, size_t len);
    /* Whether somebody is there, where that can change without an event. NULL: `connected` says
     * so. Lock held. */
    bool (*probe)(struct chardev *chr);
    /* The other side is gone, and all that it sent was read: close what has to be closed. Loop's
     * thread, no lock held. NULL: nothing to do. */
    void (*hung_up)(struct chardev *chr);
    /* chardev_lingers(), after each pump. Loop's thread, no lock held. NULL: nothing to do. */
    void (*lingers)(struct chardev *chr);
    /* Attached, detached: watch what is the kind's own. Loop's thread. NULL: nothing. */
    void (*start)(struct chardev *chr);
    void (*stop)(struct chardev *chr);
    /* Gives back what the kind's open made, but for the descriptors. NULL: nothing. */
    void (*close)(struct chardev *chr);
};

struct chardev {
    const struct chardev_ops *ops;
    struct loop *loop;
    char *label;
    char *filename;
    char *path; /* a pty's */

    /* Set by chardev_attach(); NULL while detached. Loop's thread. */
    const struct chardev_events *events;
    void *opaque;

    /* Other threads' way to have chardev_pump() run. */
    int kick_fd;
    struct loop_watch kick_watch;

    /* Input; loop's thread, but for `held`. */
    int in_fd; /* -1: none, or none any more */
    struct loop_watch in_watch;
    uint8_t in[CHARDEV_INPUT];
    size_t in_start;
    size_t in_end;
    atomic_bool held; /* the front end is being offered bytes, or has refused some */
    bool hung_up;     /* the other side is seen to be gone, which reading has yet to meet */
    bool told_connected;

    /* Output; all under the lock. */
    pthread_mutex_t lock;
    int out_fd; /* -1: none; closed by the loop's thread with the lock held */
    struct loop_watch out_watch;
    bool connected;
    bool starved; /* a writer was refused: `writable` is owed */
    bool warned;  /* a write failed, and that was said */
    uint8_t *out; /* ring of CHARDEV_BUFFER bytes */
    size_t out_start;
    size_t out_len;

    /* Sockets. */
    struct unix_listener listener;
    struct loop_watch listen_watch;

    /* Terminals. */
    bool escapes; /* Ctrl-A is ours */
    bool in_escape;
};

/* The openers: fill the struct, or return -1 with `err` set (the label is put in front). What was
 * filled by then is given back by chardev_close(). `arg` is what stands behind the colon. */
int chardev_open_stdio(struct chardev *chr, const char *arg, struct error *err);
int chardev_open_pty(struct chardev *chr, const char *arg, struct error *err);
int chardev_open_unix(struct chardev *chr, const char *arg, struct error *err);
int chardev_open_file(struct chardev *chr, const char *arg, struct error *err);
int chardev_open_null(struct chardev *chr, const char *arg, struct error *err);
int chardev_open_fd(struct chardev *chr, const char *arg, struct error *err);

/* Parts of chardev_open_fd(): `fd` is taken over. */
int chardev_adopt_pty(struct chardev *chr, int fd, struct error *err);
int chardev_adopt_tty(struct chardev *chr, int fd, struct error *err);
int chardev_adopt_listener(struct chardev *chr, int fd, struct error *err);
int chardev_adopt_socket(struct chardev *chr, int fd, struct error *err);

/* For ops tables: read(2) and write(2) on in_fd and out_fd. */
ssize_t chardev_plain_read(struct chardev *chr, void *buf, size_t len);
ssize_t chardev_plain_write(struct chardev *chr, const void *buf, size_t len);

/* A client came. Loop's thread. `fd` becomes both in_fd and out_fd. */
void chardev_client(struct chardev *chr, int fd);
/* The client's descriptor, which is not watched and not used any more, or -1. Loop's thread. */
int chardev_take_client(struct chardev *chr);
/* The other side has hung up, but what it sent waits for a front end that takes no more. Loop's
 * thread. */
bool chardev_lingers(struct chardev *chr);

#endif
