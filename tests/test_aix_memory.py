"""A partition's word on its memory: understood where it is given, not known where it is not, and never a failure."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lpmkit.control.aix_memory import MemoryUse, MemoryWatch, read_svmon, read_vmstat_s, read_vmstat_v
from lpmkit.errors import UnexpectedReply
from lpmkit.ssh.session import Reply, command_line

SVMON = (
    "               size      inuse       free        pin    virtual\nmemory      1000        900        100       "
    " 200        600\n"
)
VMSTAT_V = (
    "    1000 memory pages\n    150 free pages\n    200 pinned pages\n    20.0 minperm percentage\n    250 file pages\n"
)
SECOND = 1_000_000_000


class Aix:
    """Answers these commands; ``pause_s`` lie between two looks at the counters, in which ``written`` pages
    are added.
    """

    def __init__(self, answers: dict[str, str], *, pause_s: float = 5.0, written: int = 1000) -> None:
        self.where, self.answers = "bxaix85", answers
        self.pause_ns, self.written, self.now_ns, self.pages = int(pause_s * SECOND), written, 0, 70_000

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        command = command_line(arguments).removeprefix("LANG=C ")
        if command not in self.answers:
            return Reply(self.where, command, 127, "", f"ksh: {command}:  not found.\n")
        began, text = self.now_ns, self.answers[command].replace("PAGES", str(self.pages))
        if command == "vmstat -s":
            self.now_ns, self.pages = self.now_ns + self.pause_ns, self.pages + self.written
        return Reply(self.where, command, 0, text, "", "", began, began)

    def close(self) -> None:
        """Nothing to close."""


COUNTERS = "    7 page ins\n    8 page outs\n    PAGES zero filled pages faults\n"
EVERYTHING = {"svmon -G": SVMON, "vmstat -v": VMSTAT_V, "vmstat -s": COUNTERS}


def watched(aix: Aix) -> MemoryUse:
    return MemoryWatch(aix).end(aix)


def test_what_both_commands_say_is_put_together() -> None:
    found = watched(Aix(EVERYTHING))
    assert found.memory is not None
    assert (found.memory.in_use, found.memory.size) == (900 * 4096, 1000 * 4096)
    assert (found.memory.virtual, found.memory.files) == (600 * 4096, 250 * 4096)


def test_paging_is_what_was_added_between_two_looks_over_the_time_between_them() -> None:
    found = watched(Aix(EVERYTHING, pause_s=5.0, written=1000))
    assert found.watched_s == pytest.approx(5.0)
    assert found.paging_bytes_per_s == pytest.approx(1000 * 4096 / 5.0)


@pytest.mark.parametrize(("pause_s", "written"), [(0.1, 10), (5.0, -100)])
def test_counters_that_were_watched_too_shortly_or_began_anew_give_no_rate(pause_s: float, written: int) -> None:
    found = watched(Aix(EVERYTHING, pause_s=pause_s, written=written))
    assert found.paging_bytes_per_s is None
    assert any("paging" in reason for reason in found.missing)


def test_without_root_the_memory_in_use_is_what_is_not_free() -> None:
    found = watched(Aix({"vmstat -v": VMSTAT_V, "vmstat -s": COUNTERS}))
    assert found.memory is not None
    assert found.memory.in_use == 850 * 4096
    assert any("svmon" in reason for reason in found.missing)


def test_a_level_that_has_none_of_the_commands_is_not_known_and_no_failure() -> None:
    found = watched(Aix({}))
    assert (found.memory, found.paging_bytes_per_s, found.mode) == (None, None, None)
    assert len(found.missing) == 4


@pytest.mark.parametrize(
    ("reader", "text"),
    [
        (read_svmon, "Unit: MB\n" + SVMON),
        (read_svmon, "svmon: 0506-601 not permitted\n"),
        (read_svmon, SVMON.replace("        600\n", "\n")),
        (read_vmstat_v, "    1000 memory pages\n"),
        (read_vmstat_v, "usage: vmstat [ -fsiItlw ]\n"),
        (read_vmstat_s, "    7 page ins\n    8 page outs\n"),
        (read_vmstat_s, "    7 page ins\n    8 page outs\n    many zero filled pages faults\n"),
    ],
)
def test_what_is_not_the_table_is_refused(reader: object, text: str) -> None:
    with pytest.raises(UnexpectedReply):
        reader(text)  # type: ignore[operator]
