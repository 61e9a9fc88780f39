# SPDX-License-Identifier: LGPL-2.1-or-later
"""The smallest guests: real-mode programs."""

import signal
import subprocess

import pytest

from support.vole import run_vole
from support.wait import until


def test_hello(payloads):
    done = run_vole("--flat", payloads.hello, "--debug-port", "0xf1")
    assert done.stdout == "Hello\n"
    assert done.stderr == ""
    assert done.returncode == 0


def test_debug_port_in_a_document(payloads, folder):
    document = folder / "machine.json"
    document.write_text(f'{{"version": 1, "boot": {{"flat": "{payloads.hello}"}}, '
                        '"debug_port": 241}', encoding="utf-8")
    done = run_vole("--config", document)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hello\n", "")


def test_without_the_debug_port_nothing_comes(payloads):
    done = run_vole("--flat", payloads.hello)
    assert (done.returncode, done.stdout) == (0, "")


def test_cpu_features_that_there_are_not(payloads):
    for flags, why in [("vmx=on,sgx=on", "this host cannot give a guest: vmx, sgx"),
                       ("no-such=off", '"no-such" is no feature of an x86 CPU that is known'),
                       ("sse=off,sse2=on", "sse2 is asked for, but what it needs is taken away")]:
        # Before anything else: the file is not there either.
        done = run_vole("--kernel", "/none", "--cpu", flags)
        assert (done.returncode, done.stderr) == (1, f"vole: cpu.features: {why}\n")


def test_panics_that_are_ignored_are_told_once(payloads):
    done = run_vole("--flat", payloads.panics, "--on-panic", "ignore")
    assert done.returncode == 0
    assert sorted(done.stderr.splitlines()) == [
        "vole: the guest panicked, and its crash kernel takes over",
        "vole: the guest reports a panic",
    ]


def test_quit_and_signal_end_it_with_status_0(payloads, vole):
    machine = vole("--flat", payloads.spin)
    machine.qmp.execute("quit")
    assert machine.wait() == 0

    machine = vole("--flat", payloads.spin)
    machine.process.send_signal(signal.SIGTERM)
    assert machine.wait() == 0
    assert machine.stderr() == ""


# What a host is like whose storage hangs: the thread that asked does not come back. It says first that
# it is there: one that is asked to stop before would just not go.
HANGING_HOST = r"""
#include <linux/kvm.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

int ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    long argument;

    va_start(ap, request);
    argument = va_arg(ap, long);
    va_end(ap);
    if (request == KVM_RUN && write(STDOUT_FILENO, "hangs", 5) != 5)
        return -1;
    while (request == KVM_RUN)
        pause();
    return (int)syscall(SYS_ioctl, fd, request, argument);
}
"""


@pytest.fixture
def hanging_host(tmp_path, monkeypatch):
    library = tmp_path / "hanging-host.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-o", library, "-"], check=True, text=True,
                   input=HANGING_HOST)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("ASAN_OPTIONS", "verify_asan_link_order=0")


def test_a_host_that_hangs_cannot_keep_it(payloads, vole, hanging_host):
    def hanging():
        machine = vole("--flat", payloads.spin)
        until(lambda: machine.stdout() == "hangs", "a vCPU that hangs")
        return machine

    asked = hanging()
    asked.qmp.send_raw(b'{"execute": "quit"}')
    assert asked.qmp.event("SHUTDOWN")["data"]["reason"] == "host-qmp-quit"

    stopping = hanging()
    stopping.qmp.send_raw(b'{"execute": "stop"}')  # and the main loop waits for it, for good

    def ends_when_asked():
        stopping.process.send_signal(signal.SIGTERM)
        return stopping.process.poll() is not None

    until(ends_when_asked, "its end, which is not put off by asking again")
    for machine in (asked, stopping):
        assert machine.wait() == 0
        assert machine.stderr() == (
            "vole: ended without waiting any longer for the host's storage\n")


def test_ignored_signals_stay_ignored(payloads, vole):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does; children inherit it
    try:
        machine = vole("--flat", payloads.spin)
    finally:
        signal.signal(signal.SIGHUP, before)
    machine.process.send_signal(signal.SIGHUP)
    for _ in range(3):
        assert machine.qmp.execute("query-status")["status"] == "running"
    machine.process.send_signal(signal.SIGTERM)
    assert machine.wait() == 0


def test_sockets_are_removed_at_the_end(payloads, vole):
    machine = vole("--flat", payloads.spin)
    assert machine.qmp_path.exists() and machine.serial_path.exists()
    machine.qmp.execute("quit")
    machine.wait()
    assert not machine.qmp_path.exists() and not machine.serial_path.exists()
