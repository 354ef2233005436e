"""A whole move: the evidence before, while and after, the real stop, the way back, stop and recover."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

import lpmkit.simulator as package
from lpmkit.simulator import Simulator
from lpmkit.simulator.faults import parse
from lpmkit.simulator.host import all_stopped
from lpmkit.simulator.truth import read
from tests.simulator_cases import FAST, TICKER, connected, events, migrate, ssh, until


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(speed=FAST) as running:
        yield running


UNCHANGED = "hostname; oslevel -s; lspv; lsvg -o; who -b; ifconfig en0"


def test_a_move_and_everything_it_changes(simulator: Simulator) -> None:
    before = ssh(simulator, "bxaix85", UNCHANGED).out
    free_before = ssh(simulator, "bvio82", "lshwres -r mem --level sys -F curr_avail_sys_mem").out
    assert free_before == "9728\n"

    moved = ssh(simulator, "bvio82", migrate())
    assert (moved.out, moved.err, moved.status) == ("", "", 0)

    names = "lssyscfg -r lpar -F name,lpar_id,state"
    assert "bxaix85" not in ssh(simulator, "bvio82", names).out
    assert "bxaix85,3,Running" in ssh(simulator, "bvio83", names).lines
    assert ssh(simulator, "bvio82", "lshwres -r mem --level sys -F curr_avail_sys_mem").out == "13824\n"
    assert ssh(simulator, "bvio83", "lshwres -r proc --level sys -F curr_avail_sys_proc_units").out == "2.40\n"
    assert ssh(simulator, "bvio83", "lslparmigr -r sys -F num_active_migrations_in_progress").out == "0\n"

    assert ssh(simulator, "bxaix85", UNCHANGED).out == before
    identity = ssh(simulator, "bxaix85", "uname -m; uname -u; uname -f; uname -L; lsattr -El sys0 -a systemid").lines
    assert identity[:4] == ["000072EA4C00", "IBM,0310072EA", "8000BA02D0072EA3", "3 bxaix85"]
    assert "Machine Serial Number: 10072EA" in ssh(simulator, "bxaix85", "lsconf").lines
    assert "Partition Number                           : 3" in ssh(simulator, "bxaix85", "lparstat -i").lines


def test_a_move_in_the_error_logs(simulator: Simulator) -> None:
    ssh(simulator, "bvio82", migrate())
    summary = [row.split(None, 5)[5] for row in ssh(simulator, "bxaix85", "errpt").lines[1:4]]
    assert summary == [
        "Client Partition Migration Completed",
        "Partition ID changed since last boot.",
        "Client Partition Migration Started",
    ]
    entries = ssh(simulator, "bxaix85", "errpt -a -J CLIENT_PMIG_STARTED,CLIENT_PMIG_DONE").out
    assert re.findall(r"Machine Id: +(\w+)", entries) == ["000072EA4C00", "000071DA4C00"]
    assert "Client partition suspend issued" in ssh(simulator, "bvio82", "ioscli errlog").out
    assert "Migration completed successfully" in ssh(simulator, "bvio83", "ioscli errlog").out
    assert "DRMGR" in ssh(simulator, "bxaix85", "tail -1 /var/adm/messages").out


def test_chosen_names_are_kept_and_generated_ones_made_anew(simulator: Simulator) -> None:
    def mapped(host: str) -> list[str]:
        return re.findall(r"^VTD +(\S+)", ssh(simulator, host, "ioscli lsmap -all").out, re.MULTILINE)

    assert mapped("bvio82") == ["bxaix85_rvg", "bxaix85_sap1", "vtscsi2", "bxaix86_rvg"]
    ssh(simulator, "bvio82", migrate())
    assert mapped("bvio82") == ["bxaix86_rvg"]
    assert mapped("bvio83") == ["bxlin90_rvg", "bxaix85_rvg", "bxaix85_sap1", "vtscsi0"]
    assert "0x00000003" in ssh(simulator, "bvio83", "ioscli lsmap -vadapter vhost1").out


def test_there_and_back_again(simulator: Simulator) -> None:
    assert ssh(simulator, "bvio82", migrate()).status == 0
    assert ssh(simulator, "bvio83", migrate(back=True)).status == 0
    assert "bxaix85,2,Running" in ssh(simulator, "bvio82", "lssyscfg -r lpar -F name,lpar_id,state").lines
    assert ssh(simulator, "bxaix85", "uname -m; uname -L").lines == ["000071DA4C00", "2 bxaix85"]
    assert ssh(simulator, "bxaix85", "errpt | grep -c Completed").out == "2\n"
    assert len(events(simulator, "suspended")) == len(events(simulator, "resumed")) == 2
    bytes_out = re.search(r"^Bytes: (\d+)", ssh(simulator, "bvio82", "ioscli vasistat vasi0").out, re.MULTILINE)
    assert bytes_out is not None
    assert int(bytes_out[1]) > 3900 * 1024 * 1024


def test_while_it_copies(simulator: Simulator) -> None:
    """Both blades list the partition, the counters move, the target has its adapters already."""
    simulator.faults.add(parse("mover-hangs"))
    answer = ssh(simulator, "bvio82", migrate(extra="--async"))
    assert answer.status == 0
    until(lambda: events(simulator, "mover-hangs"))
    for host, lpar_id in (("bvio82", 2), ("bvio83", 3)):
        row = ssh(simulator, host, "lssyscfg -r lpar --filter lpar_names=bxaix85 -F name,lpar_id,state").out
        assert row == f"bxaix85,{lpar_id},Migrating - Running\n"
    fields = "migration_state,dest_sys_name,bytes_transmitted,bytes_remaining"
    values = (
        ssh(simulator, "bvio82", f"lslparmigr -r lpar --filter lpar_names=bxaix85 -F {fields}").out.strip().split(",")
    )
    assert values[:2] == ["Migration Starting", "Server-7998-61X-SN10072EA"]
    assert int(values[2]) > 1_000_000_000
    assert int(values[3]) > 0
    assert ssh(simulator, "bvio83", "lslparmigr -r sys -F num_active_migrations_in_progress").out == "1\n"
    assert ssh(simulator, "bvio83", "lshwres -r mem --level sys -F curr_avail_sys_mem").out == "7680\n"
    assert "vtscsi0" in ssh(simulator, "bvio83", "ioscli lsmap -all").out
    assert "Bytes Left to Transfer" in ssh(simulator, "bvio83", "ioscli vasistat -all vasi0").out
    assert "VIOSE" in ssh(simulator, "bvio82", migrate("v")).err


def test_the_partition_really_stands_still(simulator: Simulator) -> None:
    """A program in the partition sees the gap that the truth file tells of, and nothing of it runs in between."""
    ticks: list[float] = []
    with connected(simulator, "bxaix85") as client:
        _, out, _ = client.exec_command(f"perl -e '{TICKER}'")
        reader = threading.Thread(target=lambda: ticks.extend(float(line) for line in out), daemon=True)
        reader.start()
        until(lambda: ticks)
        ssh(simulator, "bvio82", migrate(extra="--async"))
        until(lambda: events(simulator, "suspended"))
        assert all_stopped(simulator.hosts["bxaix85"].pid)
        assert not events(simulator, "resumed")
        resumed = until(lambda: events(simulator, "resumed"))[0]
        until(lambda: ticks[-1] > resumed["mono_ns_after"] / 1e9 + 0.1)
        out.channel.close()
    reader.join(10)
    suspended = events(simulator, "suspended")[0]
    inside = [tick for tick in ticks if suspended["mono_ns_after"] < tick * 1e9 < resumed["mono_ns_before"]]
    assert inside == []
    gap, begins = max((after - before, before) for before, after in pairwise(ticks))
    assert suspended["mono_ns_before"] / 1e9 - 1 < begins < suspended["mono_ns_after"] / 1e9
    assert begins + gap > resumed["mono_ns_before"] / 1e9
    assert gap > 1.2


def test_the_truth_is_a_narrow_bracket_on_both_clocks(simulator: Simulator) -> None:
    ssh(simulator, "bvio82", migrate())
    suspended, resumed = events(simulator, "suspended")[0], events(simulator, "resumed")[0]
    for entry in (suspended, resumed):
        assert 0 <= entry["mono_ns_after"] - entry["mono_ns_before"] < 500_000_000
        assert 0 <= entry["wall_ns_after"] - entry["wall_ns_before"] < 500_000_000
    names = [entry["event"] for entry in _all_events(simulator)]
    order = ["ready", "move-begins", "copy-begins", "round", "suspend-begins", "suspended", "committed", "resumed"]
    assert [names.index(name) for name in order] == sorted(names.index(name) for name in order)
    assert names[-1] == "gone-from-source"


def _all_events(simulator: Simulator) -> list[dict[str, object]]:
    return read(simulator.truth_path)


@pytest.mark.parametrize("speed", [30.0, 2000.0])
def test_speed_never_shortens_the_suspension(speed: float) -> None:
    with Simulator(speed=speed) as simulator:
        ssh(simulator, "bvio82", migrate())
        suspended, resumed = events(simulator, "suspended")[0], events(simulator, "resumed")[0]
        seconds = (resumed["mono_ns_before"] - suspended["mono_ns_after"]) / 1e9
    assert 1.2 <= seconds <= 2.5


def test_a_validation_changes_nothing(simulator: Simulator) -> None:
    world = simulator.world
    answer = ssh(simulator, "bvio82", migrate("v"))
    assert (answer.out, answer.err, answer.status) == ("", "", 0)
    assert simulator.world == world


def test_stop_rolls_back_before_the_suspension(simulator: Simulator) -> None:
    simulator.faults.clear()
    with Simulator(speed=4) as slow:
        ssh(slow, "bvio82", migrate(extra="--async"))
        until(lambda: events(slow, "copy-begins"))
        assert ssh(slow, "bvio82", "migrlpar -o s -p bxaix85").status == 0
        assert "name=bxaix85,lpar_id=2,migration_state=Not Migrating" in ssh(slow, "bvio82", "lslparmigr -r lpar").lines
        assert "bxaix85,Running" in ssh(slow, "bvio82", "lssyscfg -r lpar -F name,state").lines
        assert "bxaix85" not in ssh(slow, "bvio83", "lssyscfg -r lpar -F name").out
        assert "Aborted" in ssh(slow, "bxaix85", "errpt").out
        assert ssh(slow, "bxaix85", "uname -m").out == "000071DA4C00\n"
        assert ssh(slow, "bvio82", "migrlpar -o s -p bxaix85").status != 0
        assert not events(slow, "suspended")


def test_stop_is_refused_after_the_suspension_began(simulator: Simulator) -> None:
    simulator.inject("suspend-for:3")
    ssh(simulator, "bvio82", migrate(extra="--async"))
    until(lambda: events(simulator, "suspended"))
    late = ssh(simulator, "bvio82", "migrlpar -o s --id 2")
    assert late.status != 0
    assert "VIOSE" in late.err
    until(lambda: events(simulator, "gone-from-source"))


def test_leaving_in_the_middle_of_a_suspension_leaves_nothing_behind() -> None:
    with Simulator(speed=FAST, faults=["suspend-for:60"]) as simulator:
        ssh(simulator, "bvio82", migrate(extra="--async"))
        until(lambda: events(simulator, "suspended"))
        pid = simulator.hosts["bxaix85"].pid
    until(lambda: not _alive(pid))


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_the_caller_may_leave_and_the_move_goes_on(simulator: Simulator) -> None:
    """Losing the session loses the exit status, not the move."""
    with connected(simulator, "bvio82") as client:
        client.exec_command(migrate())
        until(lambda: events(simulator, "move-begins"))
    until(lambda: events(simulator, "gone-from-source"))
    assert "bxaix85" in ssh(simulator, "bvio83", "lssyscfg -r lpar -F name").out


def test_a_partition_that_is_off_moves_without_a_suspension(simulator: Simulator, tmp_path: Path) -> None:
    built_in = Path(package.__file__).parent / "landscapes" / "js22.yaml"
    text = built_in.read_text().replace("backing: lv_bxaix86, kind: logical_volume", "backing: hdisk4")
    text = text.replace("backing: hdisk4}\n", "backing: hdisk4}\n", 1)
    head, _, tail = text.partition("  - name: bxlin90")
    landscape = tmp_path / "off.yaml"
    landscape.write_text(
        head + "  - name: bxlin90" + tail.replace("backing: hdisk4", "backing: lv_bxlin90, kind: logical_volume")
    )
    with Simulator(landscape, speed=FAST) as other:
        line = "migrlpar -o m -t '7998-61X*10072EA' --ip 192.0.2.83 -u padmin -p bxaix86"
        answer = ssh(other, "bvio82", line)
        assert (answer.err, answer.status) == ("", 0)
        assert "bxaix86,3,Not Activated" in ssh(other, "bvio83", "lssyscfg -r lpar -F name,lpar_id,state").lines
        assert not events(other, "suspended")
