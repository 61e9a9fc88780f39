/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The first program of the benchmark's Linux guests (an initramfs, rdinit=/bench). It tells that it
 * runs, by one byte to the signal port, and then does what the words on the kernel's command line
 * after "--" ask for, one after the other:
 *
 *   hello                       nothing more than that
 *   idle                        waits for ever
 *   drivers                     loads the modules of the initramfs, in their order
 *   disk:NAME:KIND:SIZE:DEPTH:SECONDS
 *                               on /dev/vda, past the guest's page cache; KIND is read or write,
 *                               in sequence from the start, or randread or randwrite; SIZE bytes
 *                               each, DEPTH at a time
 *   net:NAME:KIND:PORT:SECONDS  one TCP stream with 192.0.2.1; KIND is send or receive
 *
 * Each of the last two prints a line "NAME BYTES OPERATIONS NANOSECONDS". All output goes to the
 * signal port, which costs every VMM the same, and outside of what is measured.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/fs.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SIGNAL_PORT 0x5e0 /* payload.py has it, too; no firmware or kernel writes there */
#define HOST        "192.0.2.1"
#define MAX_DEPTH   128
#define STREAM_SIZE (256 * 1024)

static void say(const char *format, ...)
{
    char line[256];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    for (const char *c = line; *c; c++)
        outb((unsigned char)*c, SIGNAL_PORT);
}

static void die(const char *what)
{
    say("error: %s: %s\n", what, strerror(errno));
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void load_drivers(void)
{
    FILE *order = fopen("/modules/order", "r");
    char name[128], path[160];

    if (!order)
        die("/modules/order");
    while (fgets(name, sizeof(name), order)) {
        int fd;

        name[strcspn(name, "\n")] = '\0';
        snprintf(path, sizeof(path), "/modules/%s", name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0)
            die(name);
        close(fd);
    }
    fclose(order);
}

/* ---- disk ---- */

struct disk_job {
    char name[32];
    char kind[16];
    unsigned size;
    unsigned depth;
    unsigned seconds;
    int fd;
    uint64_t blocks; /* of `size`, on the disk */
    uint64_t next;   /* of a sequence */
    uint64_t random;
};

static uint64_t next_block(struct disk_job *job)
{
    if (strncmp(job->kind, "rand", 4) != 0)
        return job->next++ % job->blocks;
    job->random ^= job->random << 13; /* xorshift; the same blocks for every VMM */
    job->random ^= job->random >> 7;
    job->random ^= job->random << 17;
    return job->random % job->blocks;
}

static void submit(struct disk_job *job, struct io_uring *ring, void *buffer)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    uint64_t offset = next_block(job) * job->size;

    if (strstr(job->kind, "write"))
        io_uring_prep_write(sqe, job->fd, buffer, job->size, offset);
    else
        io_uring_prep_read(sqe, job->fd, buffer, job->size, offset);
    io_uring_sqe_set_data(sqe, buffer);
}

static void run_disk_job(struct disk_job *job)
{
    struct io_uring ring;
    uint64_t begin, end, done = 0;
    unsigned busy;

    if (io_uring_queue_init(MAX_DEPTH, &ring, 0) < 0)
        die("io_uring");
    for (unsigned i = 0; i < job->depth; i++) {
        void *buffer = aligned_alloc(4096, job->size);

        if (!buffer)
            die("memory");
        memset(buffer, (int)('a' + i % 26), job->size);
        submit(job, &ring, buffer);
    }
    begin = now();
    end = begin + job->seconds * UINT64_C(1000000000);
    io_uring_submit(&ring);
    for (busy = job->depth; busy > 0;) {
        struct io_uring_cqe *cqe;
        bool more = now() < end;

        if (io_uring_wait_cqe(&ring, &cqe) < 0)
            die("io_uring_wait_cqe");
        /* All that is there, and then one call for all that follows. */
        do {
            if (cqe->res != (int)job->size) {
                errno = cqe->res < 0 ? -cqe->res : EIO;
                die(job->name);
            }
            done++;
            if (more)
                submit(job, &ring, io_uring_cqe_get_data(cqe));
            else
                busy--;
            io_uring_cqe_seen(&ring, cqe);
        } while (io_uring_peek_cqe(&ring, &cqe) == 0);
        if (more)
            io_uring_submit(&ring);
    }
    if (strstr(job->kind, "write") && fsync(job->fd) < 0)
        die("fsync");
    say("%s %llu %llu %llu\n", job->name, (unsigned long long)(done * job->size),
        (unsigned long long)done, (unsigned long long)(now() - begin));
    io_uring_queue_exit(&ring);
}

static void disk(const char *word)
{
    struct disk_job job = {.random = UINT64_C(0x9e3779b97f4a7c15)};
    uint64_t bytes;

    if (sscanf(word, "disk:%31[^:]:%15[^:]:%u:%u:%u", job.name, job.kind, &job.size, &job.depth,
               &job.seconds) != 5 ||
        job.depth == 0 || job.depth > MAX_DEPTH || job.size == 0) {
        errno = EINVAL;
        die(word);
    }
    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL); /* which may be there already */
    job.fd = open("/dev/vda", O_RDWR | O_DIRECT | O_CLOEXEC);
    if (job.fd < 0 || ioctl(job.fd, BLKGETSIZE64, &bytes) < 0)
        die("/dev/vda");
    job.blocks = bytes / job.size;
    run_disk_job(&job);
    close(job.fd);
}

/* ---- net ---- */

static void command(const char *line)
{
    char *argv[16];
    char copy[256];
    int n = 0, status;
    pid_t child;

    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok(copy, " "); word && n < 14; word = strtok(NULL, " "))
        argv[n++] = word;
    argv[n] = NULL;
    child = fork();
    if (child == 0) {
        execv(argv[0], argv);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        errno = EIO;
        die(line);
    }
}

static int connect_to_host(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    inet_pton(AF_INET, HOST, &address.sin_addr);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        die("connect");
    return fd;
}

static void net(const char *word)
{
    static char buffer[STREAM_SIZE];
    static bool up;
    char name[32], kind[16];
    unsigned port, seconds;
    uint64_t begin, end, bytes = 0, calls = 0;
    int fd;

    if (sscanf(word, "net:%31[^:]:%15[^:]:%u:%u", name, kind, &port, &seconds) != 4) {
        errno = EINVAL;
        die(word);
    }
    if (!up) {
        command("/bin/busybox ip address add 192.0.2.2/24 dev eth0");
        command("/bin/busybox ip link set eth0 up");
        up = true;
    }
    fd = connect_to_host(port);
    begin = now();
    end = begin + seconds * UINT64_C(1000000000);
    while (now() < end) {
        ssize_t n = strcmp(kind, "send") == 0 ? write(fd, buffer, sizeof(buffer))
                                              : read(fd, buffer, sizeof(buffer));

        if (n <= 0)
            die(name);
        bytes += (uint64_t)n;
        calls++;
    }
    /* What was sent has arrived when the host, which reads to the end, closes its side. */
    if (strcmp(kind, "send") == 0) {
        shutdown(fd, SHUT_WR);
        while (read(fd, buffer, sizeof(buffer)) > 0) {
        }
    }
    say("%s %llu %llu %llu\n", name, (unsigned long long)bytes, (unsigned long long)calls,
        (unsigned long long)(now() - begin));
    close(fd);
}

int main(int argc, char **argv)
{
    if (ioperm(SIGNAL_PORT, 1, 1) < 0)
        return 1;
    outb('!', SIGNAL_PORT);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "drivers") == 0)
            load_drivers();
        else if (strcmp(argv[i], "idle") == 0)
            for (;;)
                pause();
        else if (strncmp(argv[i], "disk:", 5) == 0)
            disk(argv[i]);
        else if (strncmp(argv[i], "net:", 4) == 0)
            net(argv[i]);
    }
    say("end\n");
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}
