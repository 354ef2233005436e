"""Lines that no program of ours can have written: they cost themselves and no more."""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import Any, cast

import pytest

from lpmkit.errors import ConnectionLost
from lpmkit.probes.loop import Wait
from lpmkit.probes.orders import ProbeOrder, Sink
from lpmkit.probes.ssh import MAX_LINE_BYTES, MAX_ODD_LINES, Lines, TickProbe
from lpmkit.ssh.client import SshSession
from lpmkit.timeline import Sample

ORDER = ProbeOrder("ssh-ticks", "ticks", 10_000_000, host="bxaix85")


class _Sink:
    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.events: list[tuple[str, dict[str, Any]]] = []

    def sample(self, probe: str, sample: Sample) -> None:
        self.samples.append(sample)

    def event(self, probe: str, kind: str, **data: Any) -> None:
        self.events.append((kind, data))


class _Lines:
    """Gives its lines once, then asks the probe to stop."""

    def __init__(self, texts: list[str], stop: threading.Event) -> None:
        self._texts, self._stop = texts, stop

    def can_send(self) -> bool:
        return True

    def next(self, limit_s: float) -> Generator[Wait, None, list[tuple[int, str]]]:
        self._stop.set()
        yield Wait(limit_s)
        return list(enumerate(self._texts))


def _watched(texts: list[str]) -> _Sink:
    probe = TickProbe(ORDER, cast(SshSession, None))
    probe._begin(["lpmkit-ticks", "1", "1", "0", "0", "10000000", "1000"])
    stop, sink = threading.Event(), _Sink()
    list(probe._watch(cast(Lines, _Lines(texts, stop)), stop, cast(Sink, sink)))
    return sink


@pytest.mark.parametrize("odd", ["2\0 0 0", "", "2 0", "2 0 0 0", "two 0 0", "lpmkit-pace", "lpmkit-pace x y"])
def test_an_odd_line_costs_one_tick_and_is_recorded(odd: str) -> None:
    sink = _watched(["1 0 0", odd, "3 0 0"])
    assert [sample.seq for sample in sink.samples] == [1, 3]
    assert [data["what"] for kind, data in sink.events if kind == "probe-trouble"] == [
        f"a line that is none of the probe's: {odd!r}"
    ]


def test_a_line_without_end_ends_the_connection_and_not_the_memory() -> None:
    class Channel:
        eof_received = closed = False
        received = 0

        def fileno(self) -> int:
            return 0

        def recv_ready(self) -> bool:
            return True

        def recv(self, size: int) -> bytes:
            self.received += size
            return b"A" * size

    channel = Channel()
    lines = Lines(cast(Any, channel), cast(Any, None))
    while channel.received + 65536 <= MAX_LINE_BYTES:
        assert lines.wait(0) == []
    with pytest.raises(ConnectionLost, match="a line without end"):
        lines.wait(0)
    assert channel.received < 2 * MAX_LINE_BYTES


def test_a_flood_of_odd_lines_does_not_fill_the_record() -> None:
    sink = _watched(["?"] * 1000 + ["7 0 0"])
    assert [sample.seq for sample in sink.samples] == [7]
    assert sum(kind == "probe-trouble" for kind, _ in sink.events) == MAX_ODD_LINES
