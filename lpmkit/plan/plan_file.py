"""The text of a plan that was made: YAML for `lpmkit.plan.load_plan`, with the reasons as comments."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ruamel.yaml import YAML

from lpmkit.config import Site
from lpmkit.errors import NotAllowed
from lpmkit.plan import MovePlan
from lpmkit.plan.by_place import PlaceOfPlan, by_place
from lpmkit.plan.evacuation import Made
from lpmkit.plan.packing import Left, Placed
from lpmkit.runs.files import cannot_write

#: Longest line of a comment.
WIDTH = 110


def plan_text(made: Made, purpose: str, wall_ns: int, notes: Sequence[str] = ()) -> str:
    """The plan as YAML with comments: why each partition goes where it goes, and why others cannot go.

    ``purpose`` is the first line, ``wall_ns`` the time of the facts, ``notes`` are what else is to be known.

    Raises `NotAllowed` if nothing can go.
    """
    if made.plan is None:
        raise NotAllowed(f"{purpose}: nothing can go", answered="; ".join(map(_left, made.left)) or None)
    head = [
        purpose,
        f"Made from the facts of {datetime.fromtimestamp(wall_ns / 1e9, tz=UTC):%Y-%m-%d %H:%M} UTC. "
        "`lpmkit plan check FILE` looks again; `lpmkit plan run FILE` asks for the title, then starts.",
        "Order: longest copies first; a database after the application servers of its SAP system.",
        *notes,
    ]
    if made.left:
        head += ["", f"{len(made.left)} cannot go:", *(f"  {_left(left)}" for left in made.left)]
    lines = [*_comment(head), *_yaml(made.plan)]
    return "\n".join(_explained(lines, made)) + "\n"


def _left(left: Left) -> str:
    return f"{left.need.partition}: {left.sentence() or 'there is no target'}"


def _yaml(plan: MovePlan) -> list[str]:
    text, writer = io.StringIO(), YAML()
    writer.default_flow_style = None
    writer.width = 4096  # one move, one line
    writer.dump(plan.as_data(), text)
    return text.getvalue().splitlines()


def _explained(lines: Iterable[str], made: Made) -> Iterator[str]:
    """The lines, with the comment of each move above it. Moves stand in the plan's order, each begins with ``- ``."""
    moves = iter(made.plan.moves if made.plan else ())
    in_moves = False
    for line in lines:
        in_moves = line == "moves:" or (in_moves and line[:1] in "- ")
        if in_moves and line.startswith("- "):
            yield from _comment(_why(made.placed(next(moves).partition)))
        yield line


def _why(placed: Placed) -> Iterator[str]:
    """The figures that a placement was decided by, and its remarks."""
    need = placed.need
    figures = [f"{need.memory_mb} MB with its page table", f"{need.processors:g} processors"]
    if need.adapters:
        figures.append(f"{need.adapters} server adapters")
    figures += [f"pool {need.pool}"] * (need.pool is not None) + ["not activated"] * need.inactive
    yield f"{need.partition}: {', '.join(figures)}"
    for remark in placed.remarks:
        yield f"  {remark}"


def _comment(paragraphs: Iterable[str]) -> Iterator[str]:
    """Comment lines. Names and answers of machines may hold anything, a line break too."""
    for paragraph in paragraphs:
        printable = "".join(char if char.isprintable() else " " for char in paragraph)
        indent = " " * (len(printable) - len(printable.lstrip(" ")))
        wrapped = textwrap.wrap(
            printable.strip(), WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=False
        )
        yield from (f"# {line}".rstrip() for line in wrapped or [""])


def write_plans(made: Made, purpose: str, wall_ns: int, path: Path, site: Site) -> list[tuple[Path, PlaceOfPlan]]:
    """Write what was made: one file, or one for each place from which its moves are driven, with the place in its name.
    None where nothing can go.

    Raises `NotAllowed` if there is one of the files already; none is written then.
    """
    if made.plan is None:
        return []
    parts = by_place(made.plan, site)
    if len(parts) == 1:
        return [(write_new(plan_text(made, purpose, wall_ns), path), parts[0])]
    steps = parts[-1].step
    files = [(path.with_name(path.stem + part.suffix(steps) + path.suffix), part) for part in parts]
    for file, _ in files:
        refuse_existing(file)
    written = []
    for number, (file, part) in enumerate(files):
        # What cannot go stands in the first file.
        packing = made.packing if number == 0 else replace(made.packing, left=())
        text = plan_text(replace(made, plan=part.plan, packing=packing), purpose, wall_ns, list(_notes(files, part)))
        written.append((write_new(text, file), part))
    return written


def _notes(files: Sequence[tuple[Path, PlaceOfPlan]], part: PlaceOfPlan) -> Iterator[str]:
    """The sentences on how the plan of one place belongs to those of the others."""
    others = [file.name for file, other in files if other.step == part.step and other is not part]
    earlier = [file.name for file, other in files if other.step < part.step]
    if earlier:
        yield f"Start it once these are over, since moves of it wait for moves of theirs: {', '.join(earlier)}."
    if others:
        yield f"It may run at the same time as {', '.join(others)}: limits of frames, links, movers hold across them."


def refuse_existing(path: Path) -> None:
    """Raise `NotAllowed` if there is a file."""
    if path.exists():
        raise NotAllowed("there is a file of that name", where=str(path), next_step="Name another one with --output.")


def write_new(text: str, path: Path) -> Path:
    """Write a plan's file. Raises `NotAllowed` if there is a file already: it may have been edited."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise NotAllowed(
            "there is a file of that name; it was not changed",
            where=str(path),
            next_step="Name another one with --output.",
        ) from None
    except OSError as error:
        raise cannot_write(path, error) from error
    return path
