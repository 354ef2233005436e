"""One move in everyday noise, clean or with a loss, and what is said of it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.noise.everyday import World
from benchmarks.noise.losses import Loss
from benchmarks.noise.record import recorded
from lpmkit.analysis import analyse
from lpmkit.rules.question import AnswerState, Question


@dataclass(frozen=True)
class Trial:
    """The planted fault and what is wrong with the answers; empty where nothing is."""

    seed: int
    planted: str
    wrong: str = ""


def questions_of(world: World) -> dict[str, Question]:
    """The answers about the database and the SAP system of a world, by the keys of the questions."""
    with tempfile.TemporaryDirectory() as folder:
        found = analyse(recorded(world, Path(folder)))
    outcomes = [*found.sap, *found.databases]
    return {question.key: question for outcome in outcomes for question in outcome.questions}


def clean(seed: int) -> Trial:
    """A move in which nothing was lost: every question that counts has to pass."""
    wrong = [
        f"{question.title} {question.answer}"
        for question in questions_of(World(seed)).values()
        if question.counts and question.state is not AnswerState.PASSED
    ]
    return Trial(seed, "", "; ".join(wrong))


def planted(loss: Loss, seed: int) -> Trial:
    """A move with a loss: its question has to fail with its words."""
    world = World(seed)
    loss.plant(world)
    question = questions_of(world)[loss.question]
    right = question.state is AnswerState.FAILED and loss.words in question.answer
    return Trial(seed, loss.name, "" if right else f"{question.title} {question.state}: {question.answer}")


def table(trials: Sequence[Trial]) -> str:
    """The results in Markdown, by what was planted."""
    lines = ["| planted | moves | right |", "|---|---|---|"]
    for name in dict.fromkeys(trial.planted for trial in trials):
        mine = [trial for trial in trials if trial.planted == name]
        lines.append(f"| {name or 'nothing'} | {len(mine)} | {sum(not trial.wrong for trial in mine)} |")
    wrong = [f"- seed {trial.seed}, {trial.planted or 'nothing'}: {trial.wrong}" for trial in trials if trial.wrong]
    return "\n".join([*lines, "", *wrong]).rstrip() + "\n"
