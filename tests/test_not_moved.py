"""Why a partition stayed where it was, from the events of a run."""

from __future__ import annotations

import pytest

from lpmkit.analysis.not_moved import AT_HOME, Interruption, interruptions, why_it_stayed
from lpmkit.migration.phases import Observation
from lpmkit.timeline import Event

ORDER = {"partition": "bxaix85", "source": "bvio82", "target": "bvio83"}
HOME = "runs on the source; no migration under way"
HALF = ("reading", {"where": "bvio82", "bytes_transmitted": 50, "bytes_remaining": 50})
RECOVERY = (
    ("request", {"what": "recover", "by": "root", "force": False}),
    ("intent", {"what": "recover", "force": False}),
)


def phase(name: str, why: str = "", **more: object) -> tuple[str, dict[str, object]]:
    return "phase", {"phase": name, "why": why, **more}


def events(*told: tuple[str, dict[str, object]]) -> list[Event]:
    return [Event(at, at, 1, "recorder", kind, data) for at, (kind, data) in enumerate(told, 1)]


STARTED = (phase("asked"), phase("copying"), HALF)


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        (
            (*STARTED, phase("needs-recovery"), *RECOVERY, phase("failed", HOME)),
            "the migration was interrupted at 50 % and rolled back by recovery",
        ),
        ((*STARTED, phase("needs-recovery"), phase("failed", HOME)), "the migration was interrupted at 50 % and was rolled back"),
        (
            (phase("asked"), ("answer", {"what": "migrate", "status": 1, "text": "HSCLA27C  no\n room"}), phase("failed", HOME)),
            "the migration was refused by the manager: HSCLA27C no room",
        ),
        (
            (*STARTED, ("answer", {"what": "migrate", "status": 1, "text": "HSCL"}), phase("failed", HOME)),
            "the migration failed at 50 % and was rolled back: HSCL",
        ),
        ((*STARTED, phase("failed", HOME)), "the migration was rolled back at 50 %; the manager gave no message"),
        ((phase("asked"), phase("failed", HOME)), "the manager started no migration and gave no message"),
        ((*STARTED, phase("stopped", HOME)), "the migration was stopped at 50 % as asked for"),
        (
            (phase("asked"), phase("copying"), ("request", {"what": "stop", "by": "guard", "why": "too slow"}), phase("stopped")),
            "the guard stopped the copy: too slow",
        ),
    ],
)  # fmt: skip
def test_it_says_where_the_partition_runs_and_why(told: tuple[tuple[str, dict[str, object]], ...], cause: str) -> None:
    assert why_it_stayed(events(*told), ORDER) == ("bxaix85 runs on bvio82 as before", cause)


def test_nothing_is_said_of_the_place_that_is_not_known() -> None:
    gone = "not asked for: bxaix85 is not on bvio82 any more; nothing was moved by this run"
    assert why_it_stayed(events(phase("failed", gone)), ORDER) == (gone,)
    left = events(*STARTED, phase("needs-recovery"))
    assert why_it_stayed(left, ORDER) == ("the migration was interrupted at 50 % and needs recovery",)


def test_an_interruption_lasts_until_the_next_phase_and_names_who_recovered() -> None:
    told = events(*STARTED, phase("needs-recovery"), *RECOVERY, phase("failed", HOME))
    assert list(interruptions(told, "operator")) == [Interruption(4, 7, 50, "root")]
    unnamed = events(*STARTED, phase("needs-recovery"), RECOVERY[1], phase("settled"))
    assert [one.recovered_by for one in interruptions(unnamed, "operator")] == ["operator"]
    lasting = events(*STARTED, phase("needs-recovery"))
    assert list(interruptions(lasting, "operator")) == [Interruption(4, None, 50)]


@pytest.mark.parametrize(("seen", "is_home"), [("at-home", True), (None, False), ("broken", False)])
def test_a_code_tells_that_the_partition_is_on_its_source_and_no_sentence(seen: str | None, is_home: bool) -> None:
    told = phase("failed", f"{HOME} in other words", seen=seen)
    assert (why_it_stayed(events(told), ORDER)[0] == "bxaix85 runs on bvio82 as before") is is_home
    assert Observation.AT_HOME.code == AT_HOME
    reworded = phase("failed", "it is where it was", seen="at-home")
    assert why_it_stayed(events(reworded), ORDER)[0] == "bxaix85 runs on bvio82 as before"
