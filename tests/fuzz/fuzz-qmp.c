/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a client of the monitor sends, cut into pieces (a byte 0xff ends a piece). Whatever it is,
 * each line that comes back is a JSON object, and nothing else happens to the process.
 */
#include <jansson.h>
#include <stdint.h>
#include <sys/socket.h>

#include "tests/unit/fake-machine.h"
#include "vmm/qmp/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void served(void *opaque)
{
}

static void check_lines(const char *text, size_t len)
{
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        json_t *message;

        if (!end)
            abort();
        message = json_loadb(text, (size_t)(end - text), 0, NULL);
        if (!json_is_object(message))
            abort();
        json_decref(message);
        len -= (size_t)(end + 1 - text);
        text = end + 1;
    }
}

/* Everything that the client was sent. The socket takes more than one piece can make. */
static void read_answers(int fd)
{
    static char text[1024 * 1024];
    ssize_t n;

    n = recv(fd, text, sizeof(text), MSG_DONTWAIT);
    if (n > 0)
        check_lines(text, (size_t)n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct loop *loop;
    struct machine m = {.state = MACHINE_CREATED};
    char *no_sockets = NULL;
    struct qmp_client *client;
    struct error err;
    int pair[2];

    if (!loop)
        loop = loop_new(&err);
    config_init(&m.config);
    m.qmp = qmp_new(&m, loop, &no_sockets, 0, &err);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    client = qmp_client_new(pair[1], &m, loop, served, NULL, &err);
    if (size > 0 && data[0] == '{')
        qmp_client_feed(client, "{\"execute\": \"qmp_capabilities\"}", 31);
    while (size > 0 && qmp_client_is_open(client)) {
        const uint8_t *end = memchr(data, 0xff, MIN(size, 2048));
        size_t len = end ? (size_t)(end - data) + 1 : MIN(size, 2048);

        qmp_client_feed(client, (const char *)data, end ? len - 1 : len);
        read_answers(pair[0]);
        data += len;
        size -= len;
    }
    qmp_client_free(client);
    qmp_free(m.qmp);
    config_clear(&m.config);
    close(pair[0]);
    return 0;
}
