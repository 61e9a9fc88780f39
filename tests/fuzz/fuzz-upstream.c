/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whatever one of the host's libvirt daemons answers, to a client whose calls are handed on to it:
 * two calls and one that opens a stream are under way, and the input is what comes back, behind as
 * much of an honest opening as its first byte says. Each call has one answer at most, and all are
 * answered when the daemon has hung up.
 */
#include <glib-unix.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libvirt-driver/api/events.h"
#include "libvirt-driver/client.h"
#include "libvirt-driver/domain/list.h"
#include "libvirt-driver/rpc/packet.h"
#include "libvirt-driver/server.h"
#include "libvirt-driver/storage/storage.h"
#include "libvirt-driver/util.h"

#define CALLS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct daemon *daemon_new(const char *root)
{
    struct daemon *daemon = g_new0(struct daemon, 1);

    paths_init(&daemon->paths, false, root);
    settings_init(&daemon->settings);
    daemon->server = server_new(daemon);
    daemon->domains = domain_list_new();
    daemon->events = events_new();
    daemon->storage = storage_new(&daemon->paths);
    return daemon;
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4) < 0)
        abort();
    return fd;
}

static char socket_path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];

/* The directories above the socket, up to the one that was made for it. */
static void remove_socket(void)
{
    unlink(socket_path);
    for (int i = 0; i < 3; i++) {
        *strrchr(socket_path, '/') = '\0';
        rmdir(socket_path);
    }
}

/* The one daemon, and the socket on which the host's has to be. */
static struct daemon *get_daemon(int *listener)
{
    static struct daemon *daemon;
    static int fd;

    if (!daemon) {
        g_autofree char *root = g_dir_make_tmp("vole-fuzz-XXXXXX", NULL);

        daemon = daemon_new(root);
        if (g_mkdir_with_parents(daemon->paths.socket_dir, 0700) < 0)
            abort();
        g_snprintf(socket_path, sizeof(socket_path), "%s/libvirt-sock", daemon->paths.socket_dir);
        fd = listen_at(socket_path);
        if (atexit(remove_socket) != 0)
            abort();
    }
    *listener = fd;
    return daemon;
}

static void settle(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

static void put(int fd, GBytes *packet)
{
    gsize len;
    const void *data = g_bytes_get_data(packet, &len);

    if (write(fd, data, len) != (ssize_t)len)
        abort();
    g_bytes_unref(packet);
}

static void make_calls(int fd)
{
    static const int procedures[CALLS] = {71, 71, 209}; /* pools are counted; a download */

    for (guint32 i = 0; i < CALLS; i++) {
        struct rpc_header call = {
            RPC_PROGRAM_REMOTE, RPC_PROGRAM_VERSION, procedures[i], RPC_CALL, i + 1, RPC_OK};

        put(fd, rpc_packet_new_raw(&call, NULL, 0));
    }
    settle();
}

/* Answers one question of an opening, as an honest daemon does. */
static void let_in(int fd)
{
    static const guint8 no_proof[8] = {0, 0, 0, 1, 0, 0, 0, 0};
    guint8 bytes[256];
    ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    g_autoptr(GBytes) packet = n >= RPC_PACKET_MIN ? g_bytes_new(bytes, (gsize)n) : NULL;
    struct rpc_header header;

    if (!packet)
        abort();
    rpc_header_decode(packet, &header);
    header = rpc_reply_header(&header, RPC_OK);
    put(fd, rpc_packet_new_raw(&header, no_proof, header.procedure == 66 ? sizeof(no_proof) : 0));
    settle();
}

/* Reads what the client has been sent so far; counts the replies to each call. */
static void take_answers(int fd, struct rpc_reader *reader, guint counts[CALLS + 1])
{
    guint8 bytes[65536];
    GBytes *packet;
    ssize_t n;

    while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        rpc_reader_add(reader, bytes, (gsize)n);
        settle();
    }
    while (rpc_reader_next(reader, &packet) == 1) {
        struct rpc_header header;

        rpc_header_decode(packet, &header);
        g_bytes_unref(packet);
        if (header.type == RPC_REPLY && header.serial >= 1 && header.serial <= CALLS &&
            counts[header.serial]++ > 0)
            abort();
    }
}

/* Wakes the main loop once, for what a worker has sent. */
static gboolean on_readable(gint fd, GIOCondition condition, gpointer watched)
{
    *(bool *)watched = false;
    return G_SOURCE_REMOVE;
}

static void await_answers(int fd)
{
    struct rpc_reader reader = {0};
    guint counts[CALLS + 1] = {0};
    bool watched = false;
    guint watch = 0;

    for (;;) {
        take_answers(fd, &reader, counts);
        if (counts[1] && counts[2] && counts[3])
            break;
        /* Of a daemon without the driver, the calls are answered by workers here. One that never
         * is answered is found by the fuzzer's own timeout. */
        if (!watched)
            watch = g_unix_fd_add(fd, G_IO_IN, on_readable, &watched);
        watched = true;
        g_main_context_iteration(NULL, TRUE);
    }
    if (watched)
        g_source_remove(watch);
    rpc_reader_clear(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct client_peer peer = {getpid(), geteuid(), getegid()};
    int listener;
    struct daemon *daemon = get_daemon(&listener);
    struct client *client;
    int ends[2];
    int upstream;

    if (!size || size > 60000 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return 0;
    client = client_new(daemon, ends[0], &peer, false, AUTH_NONE);
    client_open(client, "vole:///system", false);
    make_calls(ends[1]);
    upstream = accept(listener, NULL, NULL);
    for (int i = 0; i < data[0] % 3; i++)
        let_in(upstream);
    if (write(upstream, data + 1, size - 1) != (ssize_t)(size - 1))
        abort();
    settle();
    close(upstream);
    settle();
    await_answers(ends[1]);
    close(ends[1]);
    client_close(client);
    client_unref(client);
    settle();
    return 0;
}
