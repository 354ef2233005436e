"""The sums of the kill campaign: a second command or a verdict that says too much is never hidden in them."""

from __future__ import annotations

from typing import Any

from benchmarks.kills import table


def row(number: int, **more: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "move": number,
        "as": "move",
        "victim": "recorder",
        "killed": True,
        "commands": 1,
        "intents": 1,
        "runs": [],
    }
    return {**usual, **more}


def test_the_sums_name_second_commands_unknown_ones_and_verdicts_that_say_too_much() -> None:
    text = table([row(0), row(1, commands=2), row(2, intents=0), row(3, runs=[{"run": "x", "too_good": True}])], 1)
    assert "| moves with more than one command, or with one that the record does not know | 2 |" in text
    assert "| verdicts that claim a complete observation though a watcher was killed | 1 |" in text
    assert "| kills delivered | 4 (recorder 4) |" in text
