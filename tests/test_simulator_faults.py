"""Faults: every refusal follows from the state, moves fail where they are told to, replies are cut, hang, and drop."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import paramiko
import pytest

from lpmkit.simulator import Fault, Simulator
from lpmkit.simulator.chassis import World
from lpmkit.simulator.faults import ALIASES, KINDS, FaultBook, FaultProblem, parse
from lpmkit.simulator.landscape import load
from lpmkit.simulator.perturbation import CHANGES, perturb
from lpmkit.simulator.validation import Question, refusals, warnings
from tests.simulator_cases import FAST, connected, events, migrate, ssh, until
from tests.test_simulator_frames import REFUSALS as FRAME_REFUSALS

#: What each refusal must mention; the wording is recalled, the cause is not.
REFUSALS = {
    "no-room-memory": "memory",
    "no-room-processors": "processing units",
    "physical-adapter": "physical adapter",
    "logical-volume": "lv_bxaix85",
    "file-backed": "not a physical volume",
    "optical-media": "aix53tl7_1.iso",
    "lun-not-seen": "not available",
    "pvid-differs": "00c72ea90badd15c",
    "lun-in-use": "in use",
    "path-lost": "No path",
    "reserve-policy": "single_path",
    "no-sea": "virtual LAN",
    "vlan-missing": "virtual LAN 20",
    "region-size": "region size",
    "compat-mode": "compatibility mode POWER6",
    "not-enterprise": "Enterprise",
    "no-vasi": "Virtual Asynchronous Services Interface",
    "rmc-inactive": "cannot communicate",
    "not-running": "Open Firmware",
    "name-taken": "already exists",
    "slots-full": "virtual slot",
    "migration-limit": "supported number 4",
    "old-vios": "Virtual Asynchronous Services Interface",
    "old-system": "not ready",
    "no-power": "Power Off",
}

#: The same under an HMC, where the I/O server is not the manager.
HMC_REFUSALS = {"no-msp": "mover service partition", "vios-rmc-inactive": "cannot communicate with partition p7b-vios1"}


def question(world: World) -> Question:
    moved = world.home("bxaix85")
    assert moved is not None
    return Question(world, moved, world.frame("bvio82"), world.frame("bvio83"))


def alive(client: paramiko.SSHClient) -> bool:
    transport = client.get_transport()
    return transport is not None and transport.is_active()


def test_nothing_is_wrong_with_the_landscape() -> None:
    assert refusals(question(load())) == []


@pytest.mark.parametrize("name", sorted(REFUSALS))
def test_every_landscape_fault_is_refused_for_its_reason(name: str) -> None:
    messages = refusals(question(perturb(load(), Fault(name))))
    assert messages
    assert REFUSALS[name] in messages[0]
    assert re.match(r"\[VIOSE\w{8}-\d{4}\] ", messages[0])


@pytest.mark.parametrize("name", sorted(HMC_REFUSALS))
def test_what_an_hmc_asks_of_an_io_server_is_refused_there_and_nothing_to_an_ivm(name: str) -> None:
    world = perturb(load(Path("p7pair")), Fault(name))
    moved = world.home("p7aix01")
    assert moved is not None
    (said,) = refusals(Question(world, moved, world.frame("p7a"), world.frame("p7b")))
    assert HMC_REFUSALS[name] in said
    assert refusals(question(perturb(load(), Fault(name)))) == []


def test_every_landscape_fault_is_tested_here() -> None:
    others = {"keys-not-exchanged", "one-path-lost", "sap-licence-missing", *HMC_REFUSALS, *FRAME_REFUSALS}
    # tests/test_checks_agree.py takes every one, these it has for itself
    others |= {
        "one-vios",
        "pool-missing",
        "vterm-open",
        "wwpn-not-masked",
        "sea-limbo",
        "sriov-port",
        "node-down",
        "free-io",
        "vtpm",
    }
    others |= {"cluster"}  # tests/test_estate.py; the firmware knows nothing of it
    others |= {"remote-restart", "simplified-restart", "affinity-group", "second-profile"}
    assert set(REFUSALS) | others == set(CHANGES) == {kind.name for kind in KINDS.values() if kind.where == "landscape"}


def test_a_lost_path_is_a_warning() -> None:
    asked = question(perturb(load(), Fault("one-path-lost")))
    assert refusals(asked) == []
    assert "VIOSI" in warnings(asked)[0]


SEEN = {
    "no-room-memory": ("bvio83", "lshwres -r mem --level sys -F curr_avail_sys_mem", "2048"),
    "physical-adapter": (
        "bvio82",
        "lshwres -r io --rsubtype slot --filter lpar_names=bxaix85 -F drc_index",
        "21010203",
    ),
    "optical-media": ("bvio82", "ioscli lsvopt", "aix53tl7_1.iso"),
    "pvid-differs": ("bvio83", "ioscli lspv", "00c72ea90badd15c"),
    "path-lost": ("bvio83", "ioscli lspath -dev hdisk3", "Failed"),
    "reserve-policy": ("bvio83", "ioscli lsdev -dev hdisk3 -attr reserve_policy", "single_path"),
    "no-sea": ("bvio83", "ioscli lsmap -all -net", "SEA                 NO SHARED ETHERNET ADAPTER FOUND"),
    "rmc-inactive": ("bvio82", "lssyscfg -r lpar -F name,rmc_state", "bxaix85,inactive"),
    "keys-not-exchanged": ("bvio82", "mkauthkeys --test --ip 192.0.2.83 -u padmin 2>&1", "not set up"),
    "migration-limit": ("bvio83", "lslparmigr -r sys -F num_active_migrations_in_progress", "4"),
}


@pytest.mark.parametrize("name", sorted(SEEN))
def test_a_fault_shows_in_the_listings_and_refuses_over_ssh(name: str) -> None:
    host, line, sign = SEEN[name]
    with Simulator(speed=FAST, faults=[name]) as simulator:
        assert sign in ssh(simulator, host, line).out
        for operation in ("v", "m"):
            answer = ssh(simulator, "bvio82", migrate(operation))
            assert answer.status != 0
            assert answer.err.startswith("[VIOSE")
        assert "bxaix85" not in ssh(simulator, "bvio83", "lssyscfg -r lpar -F name").out
        assert not events(simulator, "suspended")


def test_keys_are_exchanged_by_the_command_that_the_remedy_names() -> None:
    with Simulator(speed=FAST, faults=["keys-not-exchanged"]) as simulator:
        assert ssh(simulator, "bvio82", migrate("v")).status != 0
        assert ssh(simulator, "bvio82", "mkauthkeys -g --ip 192.0.2.83 -u padmin").status == 0
        assert ssh(simulator, "bvio82", "mkauthkeys --test --ip 192.0.2.83 -u padmin").out == ""
        assert ssh(simulator, "bvio82", migrate("v")).status == 0


def test_a_physical_adapter_shows_inside_the_partition_too() -> None:
    with Simulator(speed=FAST, faults=["physical-adapter"]) as simulator:
        assert "PCI-E 1Gb Ethernet Adapter" in ssh(simulator, "bxaix85", "lsdev -Cc adapter").out


def test_the_mover_dies_and_recovery_rolls_back() -> None:
    with Simulator(speed=FAST, faults=["mover-dies"]) as simulator:
        answer = ssh(simulator, "bvio82", migrate())
        assert answer.status != 0
        assert "Recover" in answer.err
        for host in ("bvio82", "bvio83"):
            assert "bxaix85,Migrating - Running" in ssh(simulator, host, "lssyscfg -r lpar -F name,state").lines
        assert ssh(simulator, "bxaix85", "uname -L").out == "2 bxaix85\n"
        assert ssh(simulator, "bvio82", "migrlpar -o s -p bxaix85").status != 0
        assert ssh(simulator, "bvio82", "migrlpar -o r -p bxaix85 --ip 192.0.2.83 -u padmin").status == 0
        assert "bxaix85,Running" in ssh(simulator, "bvio82", "lssyscfg -r lpar -F name,state").lines
        assert "bxaix85" not in ssh(simulator, "bvio83", "lssyscfg -r lpar -F name").out
        assert ssh(simulator, "bvio82", "migrlpar -o r -p bxaix85").status != 0
        assert ssh(simulator, "bvio82", migrate()).status == 0


def test_a_hanging_mover_wants_stop_and_then_recover() -> None:
    with Simulator(speed=FAST, faults=["mover-hangs"]) as simulator:
        ssh(simulator, "bvio82", migrate(extra="--async"))
        until(lambda: events(simulator, "mover-hangs"))
        assert ssh(simulator, "bvio82", "migrlpar -o r -p bxaix85").status != 0
        assert ssh(simulator, "bvio82", "migrlpar -o s -p bxaix85").status == 0
        assert "bxaix85,Migrating - Running" in ssh(simulator, "bvio82", "lssyscfg -r lpar -F name,state").lines
        assert ssh(simulator, "bvio82", "migrlpar -o r -p bxaix85").status == 0
        assert "bxaix85,Running" in ssh(simulator, "bvio82", "lssyscfg -r lpar -F name,state").lines


def test_a_copy_that_waits_goes_on_when_its_file_is_there_and_can_be_stopped_before(tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    with Simulator(speed=FAST, faults=[f"copy-waits:{go_on}"]) as simulator:
        ssh(simulator, "bvio82", migrate(extra="--async"))
        until(lambda: events(simulator, "copy-waits"))
        assert ssh(simulator, "bvio82", "migrlpar -o s -p bxaix85").status == 0
        until(lambda: "bxaix85,Running" in ssh(simulator, "bvio82", "lssyscfg -r lpar -F name,state").lines)
        ssh(simulator, "bvio82", migrate(extra="--async"))
        until(lambda: len(events(simulator, "copy-waits")) == 2)
        assert not events(simulator, "suspended")
        go_on.touch()
        until(lambda: events(simulator, "gone-from-source"))


def test_an_unfinished_end_is_finished_by_recovery() -> None:
    with Simulator(speed=FAST, faults=["finish-fails"]) as simulator:
        assert ssh(simulator, "bvio82", migrate()).status != 0
        assert "bxaix85" in ssh(simulator, "bvio82", "lssyscfg -r lpar -F name").out
        assert ssh(simulator, "bxaix85", "uname -L").out == "3 bxaix85\n"
        assert ssh(simulator, "bvio82", "migrlpar -o r -p bxaix85").status == 0
        assert "bxaix85" not in ssh(simulator, "bvio82", "lssyscfg -r lpar -F name").out
        assert "bxaix85,Running" in ssh(simulator, "bvio83", "lssyscfg -r lpar -F name,state").lines


@pytest.mark.parametrize("spec", ["suspend-refused", "not-converging:fail"])
def test_a_move_that_rolls_itself_back(spec: str) -> None:
    with Simulator(speed=FAST, faults=[spec]) as simulator:
        answer = ssh(simulator, "bvio82", migrate())
        assert answer.status != 0
        assert "bxaix85,2,Running" in ssh(simulator, "bvio82", "lssyscfg -r lpar -F name,lpar_id,state").lines
        assert "bxaix85" not in ssh(simulator, "bvio83", "lssyscfg -r lpar -F name").out
        assert "Aborted" in ssh(simulator, "bxaix85", "errpt").out


def test_a_partition_that_writes_too_fast_is_suspended_longer() -> None:
    with Simulator(speed=2000, faults=["not-converging"]) as simulator:
        assert ssh(simulator, "bvio82", migrate()).status == 0
        seconds = events(simulator, "resumed")[0]["mono_ns_before"] - events(simulator, "suspended")[0]["mono_ns_after"]
        assert seconds / 1e9 > 3


def test_rmc_comes_back_late() -> None:
    with Simulator(speed=FAST, faults=["rmc-late:1"]) as simulator:
        ssh(simulator, "bvio82", migrate())
        line = "lssyscfg -r lpar --filter lpar_names=bxaix85 -F rmc_state"
        assert ssh(simulator, "bvio83", line).out == "inactive\n"
        until(lambda: ssh(simulator, "bvio83", line).out == "active\n")


def test_dropped_connections_do_not_end_the_move() -> None:
    with (
        Simulator(speed=FAST, faults=["drop-ssh:bvio82,delay=0.5"]) as simulator,
        connected(simulator, "bvio82") as client,
    ):
        _, out, _ = client.exec_command(migrate())
        assert out.channel.recv_exit_status() == -1
        assert not alive(client)
        until(lambda: events(simulator, "gone-from-source"))
        until(lambda: ssh(simulator, "bvio82", "ioscli hostname").status == 0)
        assert len(events(simulator, "ssh-dropped")) == 1


def test_a_partitions_connections_can_be_dropped_too() -> None:
    with Simulator(speed=FAST) as simulator, connected(simulator, "bxaix85") as client:
        simulator.drop("bxaix85", 0.3)
        until(lambda: not alive(client))
        until(lambda: ssh(simulator, "bxaix85", "hostname").status == 0)


def test_replies_are_cut_hang_wait_and_turn_german() -> None:
    faults = [
        "cut-reply:bvio82:lssyscfg,times=1",
        "refuse:bvio83:ioslevel:out of order",
        "language:bvio83",
        "slow:bvio83:0.3",
    ]
    with Simulator(speed=FAST, faults=[*faults, "hang:bxaix85:oslevel", "cut-reply:bxaix85:errpt"]) as simulator:
        cut, whole = (ssh(simulator, "bvio82", "lssyscfg -r prof") for _ in range(2))
        assert not cut.out.endswith("\n")
        assert whole.out.startswith(cut.out)
        assert ssh(simulator, "bvio83", "ioscli ioslevel").err == "out of order\n"
        began = time.monotonic()
        assert "keine" in ssh(simulator, "bvio83", "lshwres -r io --rsubtype slot --filter lpar_names=bxlin90").err
        assert time.monotonic() - began > 0.3
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(["ssh", "-F", simulator.ssh_config, "bxaix85", "oslevel -s"], timeout=1, check=False)
        assert not ssh(simulator, "bxaix85", "errpt").out.endswith("\n")
        assert ssh(simulator, "bxaix85", "hostname").out == "bxaix85\n"


def test_a_fault_waits_for_its_turn() -> None:
    book = FaultBook([Fault("hang", host="a", command="^x", after=1, times=2)])
    struck = [bool(book.on_command("a", "x y")) for _ in range(5)]
    assert struck == [False, True, True, False, False]
    assert book.on_command("b", "x") == []
    assert book.on_command("a", "yx") == []


def test_a_fault_waits_for_its_moment() -> None:
    book = FaultBook([parse("hang:a:x,when=copy@50%")])
    assert book.on_command("a", "x") == []
    book.stands_at("copy", 0.4)
    assert book.on_command("a", "x") == []
    book.stands_at("copy", 0.6)
    assert len(book.on_command("a", "x")) == 1
    book.stands_at(None)
    assert book.on_command("a", "x") == []


@pytest.mark.parametrize(
    "text", ["nonsense", "hang:a:b:c", "hang:a:(", "hang,when=tea", "hang,times=often", "slow:a:long"]
)
def test_a_fault_that_cannot_be_understood_is_refused(text: str) -> None:
    with pytest.raises(FaultProblem):
        parse(text)


def test_short_names_mean_existing_faults() -> None:
    assert {parse(f"validate:{name}").effect for name in ALIASES} <= set(KINDS)
