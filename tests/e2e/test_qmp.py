# SPDX-License-Identifier: LGPL-2.1-or-later
"""The control socket on a running machine; its parser has unit tests of its own."""

import fcntl
import socket

import pytest

from support.qmp import QMPError


def test_greeting_and_negotiation(payloads, vole):
    machine = vole("--flat", payloads.spin)
    client = machine.another_qmp(negotiate=False)
    assert "package" in client.greeting["QMP"]["version"]
    client.send_raw(b'{"execute": "query-status", "id": 7}\n')
    refused = client.receive()
    assert refused["error"]["class"] == "CommandNotFound" and refused["id"] == 7
    client.execute("qmp_capabilities")
    assert client.execute("query-status")["running"] is True


def test_query_commands_lists_what_is_served(payloads, vole):
    machine = vole("--flat", payloads.spin)
    names = {command["name"] for command in machine.qmp.execute("query-commands")}
    assert names >= {"qmp_capabilities", "query-status", "query-version", "query-commands", "stop",
                     "cont", "quit", "system_reset", "system_powerdown", "query-cpus-fast",
                     "query-block"}


def test_stop_and_cont(payloads, vole):
    machine = vole("--kernel", payloads.echo, "--memory", "16M")
    machine.serial.expect("ready")
    machine.qmp.execute("stop")
    machine.qmp.event("STOP")
    assert machine.qmp.execute("query-status") == {
        "running": False, "singlestep": False, "status": "paused"}
    machine.serial.send("a")  # waits in the serial port until the guest goes on
    machine.qmp.execute("cont")
    machine.qmp.event("RESUME")
    machine.serial.expect("a")
    machine.serial.send("Q")
    shutdown = machine.qmp.event("SHUTDOWN")
    assert shutdown["data"] == {"guest": True, "reason": "guest-shutdown"}
    assert machine.wait() == 0


def test_stop_and_cont_twice_are_once(payloads, vole):
    machine = vole("--flat", payloads.spin)
    for command, status in (("stop", "paused"), ("stop", "paused"),
                            ("cont", "running"), ("cont", "running")):
        assert machine.qmp.execute(command) == {}
        assert machine.qmp.execute("query-status")["status"] == status


def test_paused_runs_nothing_before_cont(payloads, vole):
    machine = vole("--flat", payloads.hello, "--debug-port", "0xf1", paused=True)
    assert machine.qmp.execute("query-status")["status"] == "prelaunch"
    assert machine.stdout() == ""
    machine.qmp.execute("cont")
    assert machine.wait() == 0
    assert machine.stdout() == "Hello\n"


def test_reset_starts_again(payloads, vole):
    machine = vole("--kernel", payloads.echo, "--memory", "16M")
    machine.serial.expect("ready")
    pid = machine.pid
    machine.qmp.execute("system_reset")
    assert machine.qmp.event("RESET")["data"] == {"guest": False, "reason": "host-qmp-system-reset"}
    machine.serial.expect("ready")
    machine.serial.send("R")
    assert machine.qmp.event("RESET")["data"] == {"guest": True, "reason": "guest-reset"}
    machine.serial.expect("ready")
    assert machine.pid == pid and machine.process.poll() is None


def test_reset_of_a_paused_machine_waits(payloads, vole):
    machine = vole("--kernel", payloads.echo, "--memory", "16M")
    machine.serial.expect("ready")
    machine.qmp.execute("stop")
    machine.qmp.execute("system_reset")
    assert machine.qmp.execute("query-status")["status"] == "paused"
    machine.qmp.execute("cont")
    machine.serial.expect("ready")


def test_no_reboot_ends(payloads, vole):
    machine = vole("--kernel", payloads.echo, "--memory", "16M", "--no-reboot")
    machine.serial.expect("ready")
    machine.serial.send("R")
    assert machine.qmp.event("SHUTDOWN")["data"] == {"guest": True, "reason": "guest-reset"}
    assert machine.wait() == 0


@pytest.mark.parametrize("request_text, names", [
    (b'{"execute": "no-such-command"}\n', "no-such-command"),
    (b'{"execute": "stop", "arguments": {"now": true}}\n', "now"),
    (b'{"execute": "stop", "extra": 1}\n', "extra"),
    (b'{"execute": 5}\n', "execute"),
    (b'[]\n', "object"),
])
def test_a_bad_request_gets_an_error_that_names_it(payloads, vole, request_text, names):
    machine = vole("--flat", payloads.spin)
    machine.qmp.send_raw(request_text)
    assert names in machine.qmp.receive()["error"]["desc"]
    assert machine.qmp.execute("query-status")["running"] is True  # and nothing else happened


def test_what_is_no_json_gets_an_error(payloads, vole):
    machine = vole("--flat", payloads.spin)
    machine.qmp.send_raw(b"stop, please\n")
    assert machine.qmp.receive()["error"]["class"] == "GenericError"
    assert machine.qmp.execute("query-status")["running"] is True


def test_several_clients_see_the_events(payloads, vole):
    machine = vole("--flat", payloads.spin)
    other = machine.another_qmp()
    machine.qmp.execute("stop")
    assert other.event("STOP")["timestamp"]["seconds"] > 0


def test_a_client_that_goes_is_not_missed(payloads, vole):
    machine = vole("--flat", payloads.spin)
    for _ in range(40):  # more, one after the other, than there are places
        client = machine.another_qmp(negotiate=False)
        client.send_raw(b'{"execute": "qmp_cap')
        client.close()
    assert machine.qmp.execute("query-status")["running"] is True


def test_query_machine_tells_the_document(payloads, vole):
    # Paused: a second processor that waits to be woken is more than some KVMs can.
    machine = vole("--kernel", payloads.echo, "--memory", "16M", "--name", "web1", "--cpus", "2",
                   "--uuid", "6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11", paused=True)
    document = machine.qmp.execute("query-machine")
    assert (document["name"], document["cpus"], document["uuid"]) == (
        "web1", 2, "6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11")
    assert machine.qmp.execute("query-name") == {"name": "web1"}
    assert len(machine.qmp.execute("query-cpus-fast")) == 2


def test_query_block(payloads, vole, folder):
    disk = folder / "disk.img"
    disk.write_bytes(bytes(1 << 20))
    machine = vole("--kernel", payloads.echo, "--memory", "16M",
                   "--disk", f"{disk},readonly=on,id=data")
    (block,) = machine.qmp.execute("query-block")
    assert block["device"] == "data"
    inserted = block["inserted"]
    assert (inserted["file"], inserted["ro"]) == (str(disk), True)
    assert inserted["image"]["virtual-size"] == 1 << 20


def test_the_connection_ends_when_disks_are_free_again(payloads, vole, folder):
    disk = folder / "disk.img"
    disk.write_bytes(bytes(1 << 20))
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least there is
    machine = vole("--kernel", payloads.echo, "--memory", "16M", "--disk", disk, "--serial",
                   f"fd:{theirs.fileno()}", "--on-panic", "ignore", serial=False,
                   pass_fds=[theirs.fileno()])
    with ours, theirs, open(disk, "r+b") as image:
        ours.sendall(bytes(200) + b"P")  # nobody reads the echo, for which vole waits at its end
        machine.qmp.event("GUEST_PANICKED")
        with pytest.raises(BlockingIOError):
            fcntl.lockf(image, fcntl.LOCK_EX | fcntl.LOCK_NB)
        machine.qmp.execute("quit")
        with pytest.raises(EOFError):
            machine.qmp.event("nothing more")
        fcntl.lockf(image, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert machine.wait() == 0


def test_the_error_for_a_wrong_state_changes_nothing(payloads, vole):
    machine = vole("--flat", payloads.spin, paused=True)
    with pytest.raises(QMPError):
        machine.qmp.execute("qmp_capabilities")
    assert machine.qmp.execute("query-status")["status"] == "prelaunch"


def test_a_guest_cannot_flood_its_listeners(payloads, vole):
    machine = vole("--kernel", payloads.flood, "--memory", "16M", "--balloon")
    times = []
    for _ in range(6):
        stamp = machine.qmp.event("BALLOON_CHANGE")["timestamp"]
        times.append(stamp["seconds"] * 1000000 + stamp["microseconds"])
    # The guest makes hundreds of thousands of changes in this time.
    assert times[-1] - times[0] > 100000
    assert machine.qmp.execute("query-status")["running"]


def test_what_was_left_to_tell_is_told_before_the_end(payloads, vole):
    machine = vole("--kernel", payloads.balloon, "--memory", "16M", "--balloon")
    machine.serial.send("1")
    machine.serial.expect("1")
    first = machine.qmp.event("BALLOON_CHANGE")["data"]["actual"]
    machine.serial.send("2")
    machine.serial.expect("2")  # too soon after the last one to be told at once
    machine.qmp.execute("quit")
    assert machine.qmp.event("BALLOON_CHANGE")["data"]["actual"] == first - 4096
    machine.qmp.event("SHUTDOWN")
