# SPDX-License-Identifier: LGPL-2.1-or-later
# Unit tests stand in the local.mk of the part that they test; here is what all of them share, and
# the tests that drive the built programs (run by ./check, not by `make check`).

EXTRA_DIST += tests/.clang-tidy tests/unit/tap.h

EXTRA_DIST += docs/testing.md docs/getting-started.md docs/virt-manager.md
EXTRA_DIST += docs/images
EXTRA_DIST += docs/benchmarks.md docs/benchmarks.svg docs/benchmarks-libvirt.svg

EXTRA_DIST += \
	tests/bench/bench \
	tests/bench/bench-libvirt \
	tests/bench/drivers.py \
	tests/bench/guest.c \
	tests/bench/payload.py \
	tests/bench/plot.py \
	tests/bench/report.py \
	tests/bench/rows_boot.py \
	tests/bench/rows_driver.py \
	tests/bench/rows_load.py \
	tests/bench/rows_start.py \
	tests/bench/tools.py \
	tests/bench/trace.py \
	tests/bench/vmm.py \
	tests/check.py \
	tests/clean_files.py \
	tests/sessions.py \
	tests/stage.py \
	tests/e2e/conftest.py \
	tests/e2e/payloads/balloon.S \
	tests/e2e/payloads/echo.S \
	tests/e2e/payloads/flood.S \
	tests/e2e/payloads/hello.S \
	tests/e2e/payloads/panics.S \
	tests/e2e/payloads/spin.S \
	tests/e2e/pytest.ini \
	tests/e2e/support/__init__.py \
	tests/e2e/support/authority.py \
	tests/e2e/support/desktop.py \
	tests/e2e/support/schema.py \
	tests/e2e/test_schema.py \
	tests/e2e/test_other_clients.py \
	tests/lab/other-clients \
	tests/e2e/support/virt_manager.py \
	tests/e2e/support/virtinst.py \
	tests/e2e/test_virt_manager.py \
	tests/e2e/test_virtinst.py \
	tests/e2e/test_virtinst_media.py \
	tests/e2e/support/console.py \
	tests/e2e/support/elsewhere.py \
	tests/e2e/support/events.py \
	tests/e2e/support/guest.py \
	tests/e2e/support/newer_client.py \
	tests/e2e/support/limits.py \
	tests/e2e/support/payloads.py \
	tests/e2e/support/qmp.py \
	tests/e2e/support/rpc.py \
	tests/e2e/support/session.py \
	tests/e2e/support/libvirtd.py tests/e2e/support/virtvoled.py \
	tests/e2e/support/vole.py \
	tests/e2e/support/wait.py \
	tests/e2e/test_bad_input.py \
	tests/e2e/test_bench.py \
	tests/e2e/test_check_host.py \
	tests/e2e/test_flat.py \
	tests/e2e/test_guest.py \
	tests/e2e/test_guest_aarch64.py \
	tests/e2e/test_guest_devices.py \
	tests/e2e/test_guest_block.py \
	tests/e2e/test_guest_machine.py \
	tests/e2e/test_guest_platform.py \
	tests/e2e/test_driver_networks.py \
	tests/e2e/test_guest_net.py \
	tests/e2e/test_guest_networks.py \
	tests/e2e/test_qmp.py \
	tests/e2e/test_virsh.py \
	tests/e2e/test_virsh_cpu.py \
	tests/e2e/test_virsh_guest.py \
	tests/lab/agent.py \
	tests/lab/cache.py \
	tests/lab/client.py \
	tests/lab/foreign.py \
	tests/lab/foreign_root.py \
	tests/lab/clients.py \
	tests/lab/guest-image \
	tests/lab/guest.py \
	tests/lab/host.py \
	tests/lab/init \
	tests/lab/kernel.py \
	tests/lab/lab \
	tests/lab/need-lab \
	tests/lab/newer-clients \
	tests/lab/small.py \
	tests/lab/vmlinux.py \
	tests/lab/wire.py
