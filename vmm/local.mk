# SPDX-License-Identifier: LGPL-2.1-or-later
# The VMM: everything but main.c is a library, so that unit tests and fuzz targets link the same
# objects as the program.

noinst_LIBRARIES += vmm/libvmm.a
vmm_libvmm_a_CFLAGS = $(AM_CFLAGS) -D_GNU_SOURCE $(JANSSON_CFLAGS) -pthread
vmm_libvmm_a_SOURCES = \
	vmm/backend/chardev.c vmm/backend/chardev.h vmm/backend/chardev_priv.h \
	vmm/backend/chardev_file.c vmm/backend/chardev_socket.c vmm/backend/chardev_tty.c \
	vmm/backend/disk.c vmm/backend/disk.h vmm/backend/disk_priv.h \
	vmm/backend/disk_blocking.c vmm/backend/disk_lock.c \
	vmm/backend/disk_threads.c vmm/backend/disk_uring.c \
	vmm/backend/netdev.c vmm/backend/netdev.h \
	vmm/backend/stream.c vmm/backend/stream.h \
	vmm/backend/tap.c vmm/backend/tap.h \
	vmm/backend/vhost.c vmm/backend/vhost.h \
	vmm/bus.c vmm/bus.h \
	vmm/coalesced.c vmm/coalesced.h \
	vmm/check_host.c vmm/check_host.h vmm/check_host_priv.h \
	vmm/config.c vmm/config.h vmm/config_priv.h vmm/config_args.c vmm/config_cpu.c \
	vmm/config_fields.c vmm/config_json.c vmm/config_parts.c vmm/config_types.c vmm/config_validate.c \
	vmm/devices/debug_port.c vmm/devices/debug_port.h \
	vmm/devices/i8042.c vmm/devices/i8042.h \
	vmm/devices/pl011.c vmm/devices/pl011.h \
	vmm/devices/pl031.c vmm/devices/pl031.h \
	vmm/devices/pl061.c vmm/devices/pl061.h \
	vmm/devices/power.c vmm/devices/power.h \
	vmm/devices/primecell.h \
	vmm/devices/pvpanic.c vmm/devices/pvpanic.h \
	vmm/devices/rtc.c vmm/devices/rtc.h \
	vmm/devices/serial.c vmm/devices/serial.h \
	vmm/devices/uart.c vmm/devices/uart.h \
	vmm/irq.c vmm/irq.h \
	vmm/kvm.c vmm/kvm.h \
	vmm/kvm_stats.c vmm/kvm_stats.h \
	vmm/loader/arm64.c vmm/loader/arm64.h \
	vmm/loader/dt_writer.c vmm/loader/dt_writer.h \
	vmm/loader/elf.c vmm/loader/flat.c vmm/loader/kind.c \
	vmm/loader/loader.c vmm/loader/loader.h \
	vmm/loader/unpack.c vmm/loader/unpack.h \
	vmm/loop.c vmm/loop.h \
	vmm/machine.c vmm/machine.h vmm/machine_devices.c vmm/machine_priv.h \
	vmm/machine_stats.c \
	vmm/memory.c vmm/memory.h vmm/memory_backing.c \
	vmm/qmp/client.c vmm/qmp/client.h vmm/qmp/commands.c vmm/qmp/commands.h \
	vmm/qmp/dispatch.c vmm/qmp/events.c vmm/qmp/events.h vmm/qmp/handlers.h \
	vmm/qmp/handlers_block.c vmm/qmp/handlers_devices.c vmm/qmp/handlers_machine.c \
	vmm/qmp/handlers_net.c vmm/qmp/handlers_stats.c \
	vmm/qmp/qmp.c vmm/qmp/qmp.h \
	vmm/socket.c vmm/socket.h \
	vmm/throttle.c vmm/throttle.h \
	vmm/util.c vmm/util.h \
	vmm/vcpu.c vmm/vcpu.h \
	vmm/virtio/balloon.c vmm/virtio/rng.c \
	vmm/virtio/blk.c vmm/virtio/blk_priv.h vmm/virtio/blk_request.c \
	vmm/virtio/console.c vmm/virtio/console_ctrl.c vmm/virtio/console_priv.h \
	vmm/virtio/device.c vmm/virtio/device.h vmm/virtio/devices.h \
	vmm/virtio/mmio.c vmm/virtio/mmio.h \
	vmm/virtio/net.c vmm/virtio/net.h vmm/virtio/net_priv.h \
	vmm/virtio/net_ctrl.c vmm/virtio/net_queue.c vmm/virtio/net_vhost.c \
	vmm/virtio/queue.c vmm/virtio/queue.h \
	vmm/virtio/vhost.c vmm/virtio/vhost.h vmm/virtio/vsock.c \
	vmm/arch/arch.h

if ARCH_X86_64
vmm_libvmm_a_SOURCES += \
	vmm/arch/x86_64/acpi.c vmm/arch/x86_64/acpi.h \
	vmm/arch/x86_64/aml.c vmm/arch/x86_64/aml.h \
	vmm/arch/x86_64/boot.c \
	vmm/arch/x86_64/cpu.c \
	cpu/x86_features.c cpu/x86_features.h \
	vmm/arch/x86_64/cpuid.c vmm/arch/x86_64/cpuid.h \
	vmm/arch/x86_64/cpuid_features.c vmm/arch/x86_64/cpuid_features.h \
	vmm/arch/x86_64/host.c \
	vmm/arch/x86_64/irqchip.c \
	vmm/arch/x86_64/layout.h \
	vmm/arch/x86_64/platform.c vmm/arch/x86_64/platform.h \
	vmm/loader/bzimage.c vmm/loader/bzimage.h
endif

if ARCH_AARCH64
vmm_libvmm_a_SOURCES += \
	vmm/arch/aarch64/boot.c \
	vmm/arch/aarch64/cpu.c \
	vmm/arch/aarch64/devtree.c vmm/arch/aarch64/devtree.h \
	vmm/arch/aarch64/genid.c \
	vmm/arch/aarch64/host.c \
	vmm/arch/aarch64/irqchip.c \
	vmm/arch/aarch64/layout.h \
	vmm/arch/aarch64/platform.c vmm/arch/aarch64/platform.h
endif

# A program links of these what its architecture's objects need, and nothing else.
vmm_libs = vmm/libvmm.a $(JANSSON_LIBS) $(URING_LIBS) $(ZLIB_LIBS) $(ZSTD_LIBS) $(FDT_LIBS)

bin_PROGRAMS += vole
vole_SOURCES = vmm/main.c
vole_CFLAGS = $(vmm_libvmm_a_CFLAGS)
vole_LDADD = $(vmm_libs)
dist_man_MANS += docs/man/vole.1

# Unit tests: each is tests/unit/NAME.c.
vmm_test_ldadd = $(vmm_libs)
vmm_tests =

vmm_tests += tests/unit/test-util
tests_unit_test_util_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_util_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-throttle
tests_unit_test_throttle_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_throttle_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-bus
tests_unit_test_bus_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_bus_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-irq
tests_unit_test_irq_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_irq_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-coalesced
tests_unit_test_coalesced_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_coalesced_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-loop
tests_unit_test_loop_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_loop_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-config
tests_unit_test_config_SOURCES = tests/unit/test-config.c tests/unit/config-case.h
tests_unit_test_config_CPPFLAGS = $(AM_CPPFLAGS) -DTOP_SRCDIR='"$(top_srcdir)"'
tests_unit_test_config_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_config_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-config-document
tests_unit_test_config_document_SOURCES = \
	tests/unit/test-config-document.c tests/unit/config-case.h
tests_unit_test_config_document_CPPFLAGS = $(AM_CPPFLAGS) -DTOP_SRCDIR='"$(top_srcdir)"'
tests_unit_test_config_document_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_config_document_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-config-validate
tests_unit_test_config_validate_SOURCES = \
	tests/unit/test-config-validate.c tests/unit/config-case.h
tests_unit_test_config_validate_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_config_validate_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-check-host
tests_unit_test_check_host_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_check_host_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-chardev
tests_unit_test_chardev_SOURCES = tests/unit/test-chardev.c tests/unit/chardev-case.h
tests_unit_test_chardev_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_chardev_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-chardev-flow
tests_unit_test_chardev_flow_SOURCES = tests/unit/test-chardev-flow.c tests/unit/chardev-case.h
tests_unit_test_chardev_flow_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_chardev_flow_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-chardev-tty
tests_unit_test_chardev_tty_SOURCES = tests/unit/test-chardev-tty.c tests/unit/chardev-case.h
tests_unit_test_chardev_tty_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_chardev_tty_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-serial
tests_unit_test_serial_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_serial_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-i8042
tests_unit_test_i8042_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_i8042_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-debug-port
tests_unit_test_debug_port_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_debug_port_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-rtc
tests_unit_test_rtc_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_rtc_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-pvpanic
tests_unit_test_pvpanic_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_pvpanic_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-qmp
tests_unit_test_qmp_SOURCES = tests/unit/test-qmp.c tests/unit/fake-machine.h
tests_unit_test_qmp_CPPFLAGS = $(AM_CPPFLAGS) -DTOP_SRCDIR='"$(top_srcdir)"'
tests_unit_test_qmp_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_qmp_LDADD = $(vmm_test_ldadd)
EXTRA_DIST += docs/qmp.md docs/machine-config.md

vmm_tests += tests/unit/test-disk
tests_unit_test_disk_SOURCES = tests/unit/test-disk.c tests/unit/disk-bench.h \
	tests/unit/disk-image.h
tests_unit_test_disk_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_disk_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-disk-requests
tests_unit_test_disk_requests_SOURCES = tests/unit/test-disk-requests.c tests/unit/disk-bench.h \
	tests/unit/disk-image.h
tests_unit_test_disk_requests_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_disk_requests_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-disk-open
tests_unit_test_disk_open_SOURCES = tests/unit/test-disk-open.c tests/unit/disk-image.h
tests_unit_test_disk_open_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_disk_open_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-memory
tests_unit_test_memory_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_memory_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-queue
tests_unit_test_queue_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_queue_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-queue-model
tests_unit_test_queue_model_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_queue_model_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-virtio-balloon
tests_unit_test_virtio_balloon_SOURCES = \
	tests/unit/test-virtio-balloon.c tests/unit/virtio-loop-driver.h tests/unit/loop-round.h
tests_unit_test_virtio_balloon_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_virtio_balloon_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-virtio-console
tests_unit_test_virtio_console_SOURCES = \
	tests/unit/test-virtio-console.c tests/unit/virtio-loop-driver.h tests/unit/loop-round.h
tests_unit_test_virtio_console_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_virtio_console_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-virtio-blk
tests_unit_test_virtio_blk_SOURCES = tests/unit/test-virtio-blk.c tests/unit/virtio-driver.h
tests_unit_test_virtio_blk_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_virtio_blk_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-virtio-net
tests_unit_test_virtio_net_SOURCES = tests/unit/test-virtio-net.c tests/unit/net-case.h \
	tests/unit/virtio-driver.h
tests_unit_test_virtio_net_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_virtio_net_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-virtio-net-ctrl
tests_unit_test_virtio_net_ctrl_SOURCES = tests/unit/test-virtio-net-ctrl.c \
	tests/unit/net-case.h tests/unit/virtio-driver.h
tests_unit_test_virtio_net_ctrl_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_virtio_net_ctrl_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-virtio-net-stream
tests_unit_test_virtio_net_stream_SOURCES = tests/unit/test-virtio-net-stream.c tests/unit/net-case.h \
	tests/unit/virtio-driver.h
tests_unit_test_virtio_net_stream_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_virtio_net_stream_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-vhost
tests_unit_test_vhost_SOURCES = tests/unit/test-vhost.c tests/unit/virtio-driver.h
tests_unit_test_vhost_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_vhost_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-virtio-mmio
tests_unit_test_virtio_mmio_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_virtio_mmio_LDADD = $(vmm_test_ldadd)

if ARCH_X86_64
vmm_tests += tests/unit/test-acpi
tests_unit_test_acpi_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_acpi_LDADD = $(vmm_test_ldadd)
vmm_tests += tests/unit/test-cpuid
tests_unit_test_cpuid_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_cpuid_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-cpuid-features
tests_unit_test_cpuid_features_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_cpuid_features_LDADD = $(vmm_test_ldadd)
vmm_tests += tests/unit/test-loader
tests_unit_test_loader_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_loader_LDADD = $(vmm_test_ldadd)
endif

vmm_tests += tests/unit/test-arm64-devices
tests_unit_test_arm64_devices_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_arm64_devices_LDADD = $(vmm_test_ldadd)

vmm_tests += tests/unit/test-arm64-loader
tests_unit_test_arm64_loader_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_arm64_loader_LDADD = $(vmm_test_ldadd)

# The tree is the same wherever it is written.
vmm_tests += tests/unit/test-devtree
tests_unit_test_devtree_SOURCES = tests/unit/test-devtree.c \
	vmm/arch/aarch64/devtree.c vmm/arch/aarch64/devtree.h vmm/arch/aarch64/layout.h
tests_unit_test_devtree_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_unit_test_devtree_LDADD = $(vmm_test_ldadd)

check_PROGRAMS += $(vmm_tests)
TESTS += $(vmm_tests)

# Fuzz targets: CC=clang ./configure --enable-fuzzing --enable-sanitizers, then for example
# tests/fuzz/fuzz-qmp FOLDER-OF-INPUTS.
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz-config tests/fuzz/fuzz-qmp tests/fuzz/fuzz-serial
endif
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz-virtio-blk tests/fuzz/fuzz-virtio-net tests/fuzz/fuzz-net-stream
endif
EXTRA_DIST += tests/fuzz/corpus/fuzz-virtio-blk tests/fuzz/corpus/fuzz-virtio-net
tests_fuzz_fuzz_virtio_net_SOURCES = tests/fuzz/fuzz-virtio-net.c tests/fuzz/input.h tests/unit/virtio-driver.h
tests_fuzz_fuzz_virtio_net_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_fuzz_fuzz_virtio_net_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_virtio_net_LDADD = $(vmm_test_ldadd)
EXTRA_DIST += tests/fuzz/corpus/fuzz-net-stream
tests_fuzz_fuzz_net_stream_SOURCES = tests/fuzz/fuzz-net-stream.c
tests_fuzz_fuzz_net_stream_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_fuzz_fuzz_net_stream_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_net_stream_LDADD = $(vmm_test_ldadd)
tests_fuzz_fuzz_virtio_blk_SOURCES = tests/fuzz/fuzz-virtio-blk.c tests/fuzz/input.h tests/unit/virtio-driver.h
tests_fuzz_fuzz_virtio_blk_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_fuzz_fuzz_virtio_blk_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_virtio_blk_LDADD = $(vmm_test_ldadd)
EXTRA_DIST += tests/fuzz/corpus/fuzz-config
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz-config.c
tests_fuzz_fuzz_config_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_fuzz_fuzz_config_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_config_LDADD = $(vmm_test_ldadd)
tests_fuzz_fuzz_qmp_SOURCES = tests/fuzz/fuzz-qmp.c tests/unit/fake-machine.h
tests_fuzz_fuzz_qmp_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_fuzz_fuzz_qmp_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_qmp_LDADD = $(vmm_test_ldadd)
tests_fuzz_fuzz_serial_SOURCES = tests/fuzz/fuzz-serial.c \
	tests/fuzz/terminal.h tests/unit/loop-round.h
tests_fuzz_fuzz_serial_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_fuzz_fuzz_serial_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_serial_LDADD = $(vmm_test_ldadd)

if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz-rtc tests/fuzz/fuzz-arm64-devices
if ARCH_X86_64
noinst_PROGRAMS += tests/fuzz/fuzz-loader
endif
endif
EXTRA_DIST += tests/fuzz/corpus/fuzz-loader
tests_fuzz_fuzz_loader_SOURCES = tests/fuzz/fuzz-loader.c
tests_fuzz_fuzz_loader_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_fuzz_fuzz_loader_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_loader_LDADD = $(vmm_test_ldadd)
tests_fuzz_fuzz_arm64_devices_SOURCES = tests/fuzz/fuzz-arm64-devices.c \
	tests/fuzz/terminal.h tests/unit/loop-round.h
tests_fuzz_fuzz_arm64_devices_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_fuzz_fuzz_arm64_devices_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_arm64_devices_LDADD = $(vmm_test_ldadd)
tests_fuzz_fuzz_rtc_SOURCES = tests/fuzz/fuzz-rtc.c tests/unit/loop-round.h
tests_fuzz_fuzz_rtc_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_fuzz_fuzz_rtc_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_rtc_LDADD = $(vmm_test_ldadd)

if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz-virtqueue tests/fuzz/fuzz-virtio-mmio \
	tests/fuzz/fuzz-virtio-balloon tests/fuzz/fuzz-virtio-console tests/fuzz/fuzz-virtio-rng
endif
EXTRA_DIST += tests/fuzz/corpus/fuzz-virtqueue tests/fuzz/corpus/fuzz-virtio-mmio \
	tests/fuzz/corpus/fuzz-virtio-balloon tests/fuzz/corpus/fuzz-virtio-console \
	tests/fuzz/corpus/fuzz-virtio-rng
tests_fuzz_fuzz_virtqueue_SOURCES = tests/fuzz/fuzz-virtqueue.c
tests_fuzz_fuzz_virtqueue_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_fuzz_fuzz_virtqueue_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_virtqueue_LDADD = $(vmm_test_ldadd)
tests_fuzz_fuzz_virtio_mmio_SOURCES = tests/fuzz/fuzz-virtio-mmio.c \
	tests/fuzz/virtio-guest.h tests/unit/virtio-loop-driver.h tests/unit/loop-round.h
tests_fuzz_fuzz_virtio_mmio_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_fuzz_fuzz_virtio_mmio_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_virtio_mmio_LDADD = $(vmm_test_ldadd)
tests_fuzz_fuzz_virtio_balloon_SOURCES = tests/fuzz/fuzz-virtio-balloon.c \
	tests/fuzz/virtio-guest.h tests/unit/virtio-loop-driver.h tests/unit/loop-round.h
tests_fuzz_fuzz_virtio_balloon_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_fuzz_fuzz_virtio_balloon_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_virtio_balloon_LDADD = $(vmm_test_ldadd)
tests_fuzz_fuzz_virtio_console_SOURCES = tests/fuzz/fuzz-virtio-console.c \
	tests/fuzz/virtio-guest.h tests/unit/virtio-loop-driver.h tests/unit/loop-round.h
tests_fuzz_fuzz_virtio_console_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_fuzz_fuzz_virtio_console_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_virtio_console_LDADD = $(vmm_test_ldadd)
tests_fuzz_fuzz_virtio_rng_SOURCES = tests/fuzz/fuzz-virtio-rng.c \
	tests/fuzz/virtio-guest.h tests/unit/virtio-loop-driver.h tests/unit/loop-round.h
tests_fuzz_fuzz_virtio_rng_CFLAGS = $(vmm_libvmm_a_CFLAGS)
tests_fuzz_fuzz_virtio_rng_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_virtio_rng_LDADD = $(vmm_test_ldadd)
