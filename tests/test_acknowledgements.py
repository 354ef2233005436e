"""Acknowledgements of the host's kernel as witnesses: real sockets, the probe, and made runs without echo requests."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lpmkit.analysis import Analysis, analyse
from lpmkit.analysis.model import OutageKind, Suspension
from lpmkit.probes.acks import AckProbe, FollowedSession, SentQuestions
from lpmkit.probes.icmp import CannotProbe
from lpmkit.probes.loop import Aside
from lpmkit.probes.orders import ProbeOrder
from lpmkit.probes.syn import GIVE_UP_NS, PATIENCE_NS, REST_NS, SynRequests
from lpmkit.rules.question import AnswerState
from lpmkit.ssh.client import Route
from lpmkit.ssh.rx_timestamps import StampedSocket
from lpmkit.timeline import Clock, Outcome, Sample, TroubleCode
from tests.made_runs import MS, START, Made, MadeClock, S, make

STOP = 30.0
ORDER = ProbeOrder("ssh-acks", "ack", 100 * MS, "h")


# --- sockets ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def pair() -> Iterator[tuple[StampedSocket, socket.socket]]:
    """Both ends of a connection; nobody reads the second one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = StampedSocket.around(socket.create_connection(server.getsockname()))
        theirs, _ = server.accept()
        with ours, theirs:
            ours.settimeout(0.05)
            yield ours, theirs


def test_a_kernel_acknowledges_what_no_program_reads(pair: tuple[StampedSocket, socket.socket]) -> None:
    ours, _ = pair
    stamps = ours.follow_acknowledgements()
    assert stamps is not None
    before = Clock().mono_ns()
    ours.send(b"one")
    ours.sendall(b"three")
    told: list[tuple[int, int]] = []
    while not told or told[-1][0] < len(b"onethree"):
        with pytest.raises(TimeoutError):  # the bytes that the peer never sent
            ours.recv(100)
        told += stamps.taken()
    assert stamps.sent_bytes == told[-1][0] == 8
    assert all(before <= at <= Clock().mono_ns() for _, at in told)


def test_a_followed_socket_reads_and_ends_like_any_other(pair: tuple[StampedSocket, socket.socket]) -> None:
    ours, theirs = pair
    assert ours.follow_acknowledgements() is not None
    ours.send(b"question")
    theirs.sendall(b"answer")
    assert ours.recv(100) == b"answer"
    assert ours.arrived_ns is not None
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    with pytest.raises(ConnectionResetError):
        ours.recv(100)


# --- the probe --------------------------------------------------------------------------------------------------------


class Recorded:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.of_acks: list[Sample] = []
        self.events: list[tuple[str, dict[str, Any]]] = []

    def sample(self, probe: str, sample: Sample) -> None:
        self.samples.append(sample)
        self.of_acks += [sample] if probe == ORDER.name else []

    def event(self, probe: str, kind: str, /, **data: Any) -> None:
        self.events.append((kind, data))

    def observation(self, probe: str, row: Any, /) -> None:
        raise NotImplementedError


class StopsAfter:
    """Lets a probe go through its loop a number of times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


def _played(probe: AckProbe, times: int, sink: Recorded) -> None:
    """Take so many turns of a probe, without waiting."""
    turns = probe.turns(StopsAfter(times), sink)  # type: ignore[arg-type]
    with suppress(StopIteration):
        wish = next(turns)
        while True:
            if not isinstance(wish, Aside):
                wish = turns.send(False)
                continue
            try:
                result = wish.work()
            except CannotProbe as error:
                wish = turns.throw(error)
            else:
                wish = turns.send(result)


def _probe(questions: SentQuestions, hostname: str = "192.0.2.85", **route: Any) -> AckProbe:
    return AckProbe(ORDER, Route("h", hostname, 22, "root", **route), questions)


@pytest.mark.parametrize(
    ("hostname", "route", "why"),
    [("127.0.0.1", {}, "an address of this machine"), ("192.0.2.85", {"jumps": ("jump",)}, "through another one")],
)
def test_a_kernel_that_acknowledges_for_another_is_no_witness(hostname: str, route: dict[str, Any], why: str) -> None:
    sink = Recorded()
    _played(_probe(SentQuestions(), hostname, **route), 1, sink)
    ((kind, data),) = sink.events
    assert (kind, data["code"]) == ("probe-trouble", TroubleCode.BY_DESIGN.value)
    assert why in data["what"]


def test_a_session_over_another_transport_or_to_ourselves_is_told(pair: tuple[StampedSocket, socket.socket]) -> None:
    for wire, why in ((object(), "a connection of our own"), (pair[0], "an address of this machine")):
        questions, sink = SentQuestions(), Recorded()
        questions.wanted = True
        assert not FollowedSession(wire, questions).before()
        _played(_probe(questions), 1, sink)
        assert any(why in data.get("what", "") for _, data in sink.events)


def test_every_followed_question_yields_a_sample(
    pair: tuple[StampedSocket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, _ = pair
    monkeypatch.setattr("lpmkit.probes.acks.is_own", lambda _: False)
    questions, sink = SentQuestions(), Recorded()
    questions.wanted = True
    session = FollowedSession(ours, questions)
    for seq in (1, 2):
        assert session.before()
        sent = Clock().mono_ns()
        ours.sendall(b"%d\n" % seq)
        session.sent(seq, sent, sent)
    stamps = ours.follow_acknowledgements()
    assert stamps is not None
    held: list[tuple[int, int]] = []
    while not held or held[-1][0] < stamps.sent_bytes:
        with pytest.raises(TimeoutError):
            ours.recv(100)
        held += stamps.taken()
    monkeypatch.setattr(stamps, "taken", lambda: held[:1])  # the second one was never acknowledged
    _played(_probe(questions), 4, sink)
    first, second = sink.of_acks
    assert first.answered_ns == held[0][1]
    assert first.sent_ns is not None
    assert first.sent_ns <= held[0][1]
    assert (second.answered_ns, second.outcome) == (None, Outcome.SILENT)


def test_requests_begin_with_patience_end_with_an_answer_and_rest(pair: tuple[StampedSocket, socket.socket]) -> None:
    clock, sink = MadeClock(), Recorded()
    requests = SynRequests("tcp-syn", "h", clock)
    requests.along(pair[0])
    requests.look(clock.now_ns, sink)
    assert not requests.is_asking()
    oldest, clock.now_ns = clock.now_ns, clock.now_ns + PATIENCE_NS
    requests.look(oldest, sink)
    requests.answers.select(5.0)
    requests.look(oldest, sink)
    (answered,) = sink.samples
    assert answered.outcome is Outcome.ANSWERED
    clock.now_ns += REST_NS - 1
    requests.look(oldest, sink)
    assert not requests.is_asking()
    clock.now_ns += 2
    requests.look(oldest, sink)
    assert requests.is_asking()
    requests.end(sink)


def test_an_answer_of_another_tcp_is_none_of_the_hosts(
    pair: tuple[StampedSocket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, sink = MadeClock(), Recorded()
    requests = SynRequests("tcp-syn", "h", clock)
    requests.along(pair[0])
    monkeypatch.setattr("lpmkit.probes.syn.agreed_options", lambda _: (0, 0))
    oldest, clock.now_ns = clock.now_ns, clock.now_ns + PATIENCE_NS
    requests.look(oldest, sink)
    requests.answers.select(5.0)
    clock.now_ns += 2 * REST_NS
    requests.look(oldest, sink)
    assert [one.outcome for one in sink.samples] == [Outcome.REFUSED]
    assert not requests.is_asking()


def test_a_request_without_an_answer_is_one_packet_and_lost() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.create_connection(full.getsockname())]
        clock, sink = MadeClock(), Recorded()
        requests = SynRequests("tcp-syn", "h", clock)
        requests.along(waiting[0])
        oldest, clock.now_ns = clock.now_ns, clock.now_ns + PATIENCE_NS
        for _ in range(12):  # the queue of connections is full after one more: the kernel drops what follows
            requests.look(oldest, sink)
            clock.now_ns += GIVE_UP_NS // 4
        lost = [one for one in sink.samples if one.outcome is Outcome.SILENT]
        assert lost
        assert all(one.answered_ns is None for one in lost)
        requests.end(sink)
        waiting[0].close()


# --- made runs --------------------------------------------------------------------------------------------------------


def _resumed(limp_s: float, **more: Any) -> Made:
    """A host that answers no echo requests, whose kernel is there ``limp_s`` before its processes."""
    world: dict[str, Any] = {"dropped": True, "acks": True, **more}
    return Made(mode="watch", limp_s=limp_s, **world)


def _only(analysis: Analysis) -> Suspension:
    (host,) = analysis.hosts
    (still,) = host.suspensions
    return still


def _at(seconds: float) -> int:
    return START + round(seconds * S)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("length_s", "limp_s"), [(1.537, 0.06), (1.537, 0.6), (0.3, 0.8), (4.2, 0.12)])
def test_the_suspension_ends_with_the_kernels_answer_where_echo_requests_are_filtered(
    tmp_path: Path, length_s: float, limp_s: float, seed: int
) -> None:
    suspend = (STOP, STOP + length_s)
    analysis = analyse(make(tmp_path / "with", _resumed(limp_s, suspend=suspend, seed=seed)))
    still, truth = _only(analysis), round(length_s * S)
    assert not still.contradicted
    assert still.ended_by == "tcp-syn"
    assert still.begin.lo_ns <= _at(STOP)
    assert 0 <= still.end.hi_ns - _at(suspend[1]) <= 30 * MS
    assert still.length.contains(truth)
    assert still.likely.widened(2 * MS).contains(truth)
    assert abs(still.best_ns - truth) <= 20 * MS
    blind = _resumed(limp_s, suspend=suspend, seed=seed, acks=False, connect=False)
    assert _only(analyse(make(tmp_path / "without", blind))).best_ns - truth >= 50 * MS


@pytest.mark.parametrize("seed", range(2))
def test_a_hung_host_whose_kernel_acknowledges_is_not_called_suspended(tmp_path: Path, seed: int) -> None:
    made = Made(mode="watch", suspend=None, starved=((STOP, STOP + 2.0),), seed=seed, acks=True)
    question = analyse(make(tmp_path / "with", made)).verdict.question("outages")
    assert question.state is AnswerState.NOT_EVALUATED
    assert "while a kernel answered" in question.answer
    blind = _only(analyse(make(tmp_path / "without", replace(made, acks=False))))
    assert not blind.contradicted  # nobody could see it


def test_a_network_that_is_cut_is_not_a_suspension(tmp_path: Path) -> None:
    made = Made(mode="watch", suspend=None, acks=True, network_out=((STOP, STOP + 2.0),))
    (host,) = analyse(make(tmp_path, made)).hosts
    assert not host.suspensions
    assert {one.kind for one in host.outages} == {OutageKind.NETWORK}


def test_an_answer_and_its_acknowledgement_are_one_mechanism(tmp_path: Path) -> None:
    made = Made(mode="watch", ticks=False, connect=False, acks=True, dropped=True)
    analysis = analyse(make(tmp_path, made))
    assert analysis.suspension is None
    assert analysis.verdict.question("outages").state is not AnswerState.PASSED


def test_a_starved_process_while_tcp_waits_is_not_called_suspended(tmp_path: Path) -> None:
    """The link is cut for 0.9 s. TCP sends again half a second after it is back; a starved process stops meanwhile."""
    cut = (STOP, STOP + 0.9)
    made = Made(mode="watch", suspend=None, acks=True, connect=False, network_out=(cut,), micro_stops=((30.98, 31.18),))
    (host,) = analyse(make(tmp_path, made)).hosts
    assert not host.suspensions


def test_acknowledgements_leave_the_hosts_own_noise_as_it_is(tmp_path: Path) -> None:
    """Many suspensions in a short record, as in a benchmark: what was sent meanwhile is acknowledged after each."""
    often = tuple((4.0 + 2 * number, 4.6 + 2 * number) for number in range(16))
    made = Made(mode="watch", duration_s=40.0, suspend=None, again=often, icmp=True, dropped=True, acks=True)
    noises = [
        analyse(make(tmp_path / str(acks), replace(made, acks=acks))).hosts[0].own_noise_ns for acks in (True, False)
    ]
    assert noises[0] == noises[1]
