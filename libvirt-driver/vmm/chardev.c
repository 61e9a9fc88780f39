/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/vmm/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>

#include "libvirt-driver/util.h"

static int make_terminal(GError **error)
{
    auto_close int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    auto_close int slave = -1;
    struct termios raw;
    char path[64];

    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 ||
        ptsname_r(master, path, sizeof(path)) != 0) {
        libvirt_error_set_errno(error, errno, "cannot make a pseudo-terminal");
        return -1;
    }
    /* Opening the far end once, and closing it, is also what tells the VMM that nobody is there:
     * until then the terminal would take the guest's first 4 KiB and then block it. */
    slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0 || tcgetattr(slave, &raw) < 0) {
        libvirt_error_set_errno(error, errno, "cannot open '%s'", path);
        return -1;
    }
    cfmakeraw(&raw);
    if (tcsetattr(slave, TCSANOW, &raw) < 0) {
        libvirt_error_set_errno(error, errno, "cannot set up '%s'", path);
        return -1;
    }
    return steal_fd(&master);
}

static int open_terminal(struct domain_chardev *chardev, int *kept, GError **error)
{
    char path[64];

    if (*kept < 0)
        *kept = make_terminal(error);
    if (*kept < 0)
        return -1;
    if (ptsname_r(*kept, path, sizeof(path)) == 0) {
        g_free(chardev->path);
        chardev->path = g_strdup(path);
    }
    return fcntl(*kept, F_DUPFD_CLOEXEC, 0);
}

static int open_output_file(const struct domain_chardev *chardev, GError **error)
{
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY |
                (chardev->append == DOMAIN_SWITCH_ON ? O_APPEND : O_TRUNC);
    /* Not waiting for somebody to read, if it is a FIFO. */
    int fd = open(chardev->path, flags | O_NONBLOCK, 0600);

    if (fd < 0)
        libvirt_error_set_errno(error, errno, "cannot open '%s'", chardev->path);
    else
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    return fd;
}

int chardev_listen(const char *path, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct stat st;

    if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >= sizeof(address.sun_path)) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "UNIX socket path '%s' is too long",
                          path);
        return -1;
    }
    /* A socket that an earlier start left behind; anything else is not ours to remove. */
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4) < 0) {
        libvirt_error_set_errno(error, errno, "cannot listen on '%s'", path);
        return -1;
    }
    return steal_fd(&fd);
}

int chardev_open(struct domain_chardev *chardev, int *terminal, GError **error)
{
    switch (chardev->type) {
    case DOMAIN_CHARDEV_PTY:
        return open_terminal(chardev, terminal, error);
    case DOMAIN_CHARDEV_FILE:
        return open_output_file(chardev, error);
    case DOMAIN_CHARDEV_UNIX:
        return chardev_listen(chardev->path, error);
    case DOMAIN_CHARDEV_NULL:
        break;
    }
    return CHARDEV_NEEDS_NONE;
}
