/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Back ends in the host's kernel that are not there, or are something else; what they do when they
 * are there, guests try. */
#include "tests/unit/tap.h"
#include "vmm/backend/vhost.h"
#include "vmm/virtio/devices.h"

#include <fcntl.h>

static struct error err;

static void test_what_is_no_vhost(void)
{
    struct memory mem = {.fd = -1};
    struct vhost vhost;

    if (tap_skip_emulated("the emulator passes on no ioctl of vhost"))
        return;
    check(vhost_open(&vhost, "/dev/null", &mem, &err) < 0);
    check_str(err.msg, "/dev/null: vhost: not such a device: Inappropriate ioctl for device");
    check_int(vhost.fd, -1);
    check(vhost_open(&vhost, "/nowhere/vhost-net", &mem, &err) < 0);
    check_str(err.msg, "/nowhere/vhost-net: No such file or directory");
    check(vhost_open(&vhost, "fd:999", &mem, &err) < 0);
    check_str(err.msg, "fd:999: vole was started without such an open descriptor");
    check_int(vhost.fd, -1);
    vhost_close(&vhost);
}

/* Each call says what it wanted. */
static void test_calls_that_fail(void)
{
    struct vhost vhost = {.fd = open("/dev/null", O_RDWR | O_CLOEXEC)};
    struct vhost_ring ring = {.size = 8, .kick_fd = -1, .call_fd = -1, .err_fd = -1};
    uint16_t next_avail = 7;

    if (tap_skip_emulated("the emulator passes on no ioctl of vhost")) {
        vhost_close(&vhost);
        return;
    }
    check(vhost_set_features(&vhost, 0, &err) < 0);
    check_str(err.msg, "vhost: set features: Inappropriate ioctl for device");
    check(vhost_set_ring(&vhost, 0, &ring, &err) < 0);
    check_str(err.msg, "vhost: set a ring's size: Inappropriate ioctl for device");
    check(vhost_unset_ring(&vhost, 0, &next_avail, &err) < 0);
    check_int(next_avail, 7);
    check(vhost_net_set_backend(&vhost, 0, -1, &err) < 0);
    check_str(err.msg, "vhost: let go of the tap: Inappropriate ioctl for device");
    check(vhost_vsock_set_cid(&vhost, 3, &err) < 0);
    check_str(err.msg, "vhost: not a vhost-vsock");
    check(vhost_vsock_set_running(&vhost, true, &err) < 0);
    check_str(err.msg, "vhost: start: Inappropriate ioctl for device");
    vhost_close(&vhost);
    check_int(vhost.fd, -1);
}

static void test_vsock_without_its_kernel_part(void)
{
    struct memory mem = {.fd = -1};
    struct loop *loop = loop_new(&err);
    char spec[32];
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    check(virtio_vsock_new("vsock0", &mem, loop, 3, "/nowhere", &err) == NULL);
    check_str(err.msg, "vsock: /nowhere: No such file or directory");
    snprintf(spec, sizeof(spec), "fd:%d", fd);
    check(virtio_vsock_new("vsock0", &mem, loop, 3, spec, &err) == NULL);
    check(strstr(err.msg, "not such a device") != NULL);
    check(fcntl(fd, F_GETFD) < 0); /* it was taken over, and closed */
    if (access("/dev/vhost-vsock", F_OK) < 0) {
        check(virtio_vsock_new("vsock0", &mem, loop, 3, NULL, &err) == NULL);
        check_str(err.msg, "vsock: /dev/vhost-vsock is not there: the host needs the vhost_vsock "
                           "module (modprobe vhost_vsock)");
    }
    loop_free(loop);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_what_is_no_vhost),
        TAP(test_calls_that_fail),
        TAP(test_vsock_without_its_kernel_part),
        {0},
    });
}
