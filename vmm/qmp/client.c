/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QMP has no frames: requests are JSON values one after the other, with or without space between
 * them. So the end of each is found here, by counting brackets outside of strings; whether the
 * brackets match and everything else about it is the JSON parser's business.
 *
 * A complete value that is no JSON gets an error, and the next one is read. Bytes that cannot begin
 * a request get one error, and the rest of the line is thrown away. A request that is too long or
 * too deep ends the connection, since nobody knows where the next one would begin.
 */
#include "vmm/qmp/client.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "vmm/qmp/commands.h"
#include "vmm/socket.h"

struct qmp_client {
    int fd; /* -1: given up */
    struct loop_watch watch;
    struct loop *loop;
    struct machine *machine;
    void (*served)(void *opaque);
    void *opaque;
    bool negotiated;

    /* The request that is coming in. */
    char *message; /* QMP_MESSAGE_MAX bytes */
    size_t message_len;
    unsigned depth;
    bool in_string;
    bool in_escape;
    bool skipping; /* the rest of a line of garbage */

    /* What the socket has not taken yet. */
    bool mute; /* nothing is sent any more */
    char *out;
    size_t out_start;
    size_t out_len;
    size_t out_size;
};

static void give_up(struct qmp_client *client)
{
    if (client->fd < 0)
        return;
    loop_remove(client->loop, &client->watch);
    close(client->fd);
    client->fd = -1;
    client->out_len = 0;
}

/* ---- output ---- */

/* From any place that sends: what the client said before is still carried out, and when the loop
 * meets the end of that it gives the client up. */
static void hang_up(struct qmp_client *client)
{
    client->mute = true;
    client->out_len = 0;
    (void)shutdown(client->fd, SHUT_RDWR);
}

/* Sends what the socket takes, and waits for room if that was not all. */
static void flush(struct qmp_client *client)
{
    while (client->out_len > 0) {
        ssize_t n = send(client->fd, client->out + client->out_start, client->out_len,
                         MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            hang_up(client);
            break;
        }
        client->out_start += (size_t)n;
        client->out_len -= (size_t)n;
    }
    loop_modify(client->loop, &client->watch, EPOLLIN | (client->out_len > 0 ? EPOLLOUT : 0));
}

static void append_output(struct qmp_client *client, const char *data, size_t len)
{
    size_t end = client->out_start + client->out_len;

    if (end + len > client->out_size && client->out_start > 0) {
        memmove(client->out, client->out + client->out_start, client->out_len);
        client->out_start = 0;
        end = client->out_len;
    }
    if (end + len > client->out_size) {
        size_t size = MAX(2 * client->out_size, end + len);
        char *grown = xcalloc(1, size);

        if (end > 0)
            memcpy(grown, client->out, end);
        free(client->out);
        client->out = grown;
        client->out_size = size;
    }
    memcpy(client->out + end, data, len);
    client->out_len += len;
}

void qmp_client_send(struct qmp_client *client, const json_t *message)
{
    cleanup_free char *text = NULL;
    size_t len;
    bool was_empty = client->out_len == 0;

    if (client->fd < 0 || client->mute)
        return;
    text = json_dumps(message, 0);
    if (!text) {
        log_warn("qmp: a message cannot be written as JSON");
        return;
    }
    len = strlen(text);
    if (client->out_len + len + 2 > QMP_OUTPUT_MAX) {
        log_warn("qmp: a client does not read what it is sent; it is disconnected");
        hang_up(client);
        return;
    }
    append_output(client, text, len);
    append_output(client, "\r\n", 2);
    if (was_empty)
        flush(client);
}

static void send_error(struct qmp_client *client, const char *desc)
{
    json_t *message = qmp_generic_error(desc);

    qmp_client_send(client, message);
    json_decref(message);
}

/* ---- input ---- */

static void handle_message(struct qmp_client *client)
{
    json_error_t parse_error;
    json_t *request = json_loadb(client->message, client->message_len,
                                 JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &parse_error);
    struct qmp_reply reply;
    struct error err;

    client->message_len = 0;
    if (!request) {
        error_set(&err, "JSON parse error: %s", parse_error.text);
        send_error(client, err.msg);
        return;
    }
    reply = qmp_dispatch(client->machine, &client->negotiated, request);
    json_decref(request);
    qmp_client_send(client, reply.message);
    json_decref(reply.message);
    if (reply.then)
        reply.then(client->machine);
}

/* A byte inside a request; true when it was the last one. */
static bool scan(struct qmp_client *client, char byte)
{
    if (client->in_string) {
        if (client->in_escape)
            client->in_escape = false;
        else if (byte == '\\')
            client->in_escape = true;
        else if (byte == '"')
            client->in_string = false;
        return false;
    }
    if (byte == '"')
        client->in_string = true;
    else if (byte == '{' || byte == '[')
        client->depth++;
    else if (byte == '}' || byte == ']')
        client->depth--;
    return client->depth == 0;
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* A byte between requests; true when it begins one. */
static bool begins_message(struct qmp_client *client, char byte)
{
    if (client->skipping) {
        client->skipping = byte != '\n';
        return false;
    }
    if (is_space(byte))
        return false;
    if (byte == '{' || byte == '[')
        return true;
    client->skipping = true;
    send_error(client, "JSON parse error: a request is an object");
    return false;
}

static void feed_byte(struct qmp_client *client, char byte)
{
    if (client->depth == 0 && !begins_message(client, byte))
        return;
    if (client->message_len == QMP_MESSAGE_MAX) {
        send_error(client, "the request is too long");
        give_up(client);
        return;
    }
    client->message[client->message_len++] = byte;
    if (scan(client, byte))
        handle_message(client);
    if (client->depth > QMP_DEPTH_MAX) {
        send_error(client, "the request is nested too deeply");
        give_up(client);
    }
}

void qmp_client_feed(struct qmp_client *client, const char *data, size_t len)
{
    for (size_t i = 0; i < len && client->fd >= 0; i++)
        feed_byte(client, data[i]);
}

static void receive(struct qmp_client *client)
{
    char data[4096];
    ssize_t n;

    do
        n = recv(client->fd, data, sizeof(data), MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        give_up(client);
    else
        qmp_client_feed(client, data, (size_t)n);
}

static void client_ready(void *opaque, uint32_t events)
{
    struct qmp_client *client = opaque;

    if (events & EPOLLOUT)
        flush(client);
    if (client->fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        receive(client);
    client->served(client->opaque);
}

/* ---- life ---- */

struct qmp_client *qmp_client_new(int fd, struct machine *m, struct loop *loop,
                                  void (*served)(void *opaque), void *opaque, struct error *err)
{
    struct qmp_client *client = xcalloc(1, sizeof(*client));
    json_t *greeting;

    client->fd = fd;
    client->loop = loop;
    client->machine = m;
    client->served = served;
    client->opaque = opaque;
    client->message = xcalloc(1, QMP_MESSAGE_MAX);
    if (loop_add(loop, &client->watch, fd, EPOLLIN, client_ready, client, err) < 0) {
        qmp_client_free(client);
        return NULL;
    }
    greeting = qmp_greeting();
    qmp_client_send(client, greeting);
    json_decref(greeting);
    return client;
}

void qmp_client_free(struct qmp_client *client)
{
    if (!client)
        return;
    give_up(client);
    free(client->message);
    free(client->out);
    free(client);
}

bool qmp_client_is_open(const struct qmp_client *client)
{
    return client->fd >= 0;
}

bool qmp_client_has_left(const struct qmp_client *client)
{
    struct pollfd p = {.fd = client->fd, .events = POLLRDHUP};

    return poll(&p, 1, 0) > 0;
}

bool qmp_client_is_ready(const struct qmp_client *client)
{
    return client->fd >= 0 && client->negotiated && !client->mute;
}
