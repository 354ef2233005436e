"""Migrate, judge, and write ``qemu.json`` and ``qemu.md``: ``python -m benchmarks.qemu --moves N``.

``--from FILE`` judges the moves of an earlier call without migrating.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any

from benchmarks.qemu.judge import judged
from benchmarks.qemu.moves import Cell, cells, collect, read, undisturbed
from benchmarks.qemu.rig import has_kvm, missing


def main() -> int:
    """Migrate, judge, and write the results."""
    options = _arguments()
    moves_file = options.out / "qemu-moves.jsonl"
    options.out.mkdir(parents=True, exist_ok=True)
    if options.judge:
        moves = read(options.judge)
    else:
        lack = missing()
        if lack:
            print(f"{lack}; apt-get install -y --no-install-recommends qemu-system-x86 binutils", file=sys.stderr)
            return 1
        if not options.resume:
            moves_file.unlink(missing_ok=True)
        moves = collect(_wanted(options), moves_file)
    count, moves = len(moves), undisturbed(moves)
    plain = [move for move in moves if not move.cell.changes]
    figures = judged(plain, [move for move in moves if move.cell.changes])
    figures["disturbed"] = count - len(moves)
    figures["machine"] = {"system": platform.system(), "processor": platform.machine(), "kvm": has_kvm()}
    (options.out / "qemu.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    text = table(figures)
    (options.out / "qemu.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.qemu", description=__doc__)
    parser.add_argument("--moves", type=int, default=36, help="moves of the matrix (36 is each cell once)")
    parser.add_argument("--changed", type=int, default=0, help="more moves whose bandwidth is cut while they run")
    parser.add_argument("--tcg", type=int, default=0, help="more moves without hardware help")
    parser.add_argument(
        "--slower",
        type=float,
        default=1.0,
        help="divides every bandwidth: copies that last as long as in life, not seconds",
    )
    parser.add_argument("--seed", type=int, default=1, help="shuffles the order of the cells")
    parser.add_argument(
        "--resume", action="store_true", help="go on where an earlier call with the same numbers was ended"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder for the results")
    parser.add_argument("--from", dest="judge", type=Path, help="judge these moves (JSON lines) and move nothing")
    return parser.parse_args()


def _wanted(numbers: argparse.Namespace) -> list[Cell]:
    """The cells to migrate in, the matrix first."""
    accelerator, seed = "kvm" if has_kvm() else "tcg", numbers.seed
    plain = cells(numbers.moves, accelerator=accelerator, seed=seed, slower=numbers.slower)
    cut = cells(2 * numbers.changed, changes=True, accelerator=accelerator, seed=seed, slower=numbers.slower)
    slow = cells(6 * numbers.tcg, accelerator="tcg", seed=seed)
    return [
        *plain,
        *[cell for cell in cut if 0 < cell.share < 0.7][: numbers.changed],
        *[cell for cell in slow if cell.share <= 0.4 and cell.cap_bytes_per_s < 150e6][: numbers.tcg],
    ]


def table(figures: dict[str, Any]) -> str:
    """The figures as Markdown, with the targets that were met."""
    copy, rest, suspension, warned = (figures[key] for key in ("copy_left_out", "remaining", "suspension", "warnings"))
    unseen, first, cut_moves = figures["copy_unseen"], figures["copy_first_day"], figures["remaining_cut"]
    rows = [
        (
            "copy time before the start, median error",
            _part(copy["error"]["median"]),
            "≤ 10 %",
            copy["error"]["median"] <= 0.10,
        ),
        ("— P90 of the error", _part(copy["error"]["p90"]), "", None),
        ("— held by P10–P90", _part(copy["covered"]), "75–85 %", 0.75 <= copy["covered"] <= 0.85),
        ("— width of P10–P90 over P50, median", _part(copy["width"]), "", None),
        (
            "— no past move of the same cell: error / held",
            _pair(unseen["error"]["median"], unseen["covered"]),
            "",
            None,
        ),
        ("— no past move at all: error / held", _pair(first["error"]["median"], first["covered"]), "", None),
        *_rest_rows("rest of the copy, said half-way", rest["at_half"], judged_too=True),
        *_rest_rows("rest of the copy, from half-way to nine tenths", rest["from_half"], judged_too=True),
        *_rest_rows("of these, a second or more left", rest["from_half_much"], judged_too=True),
        (
            "of these, less than a second left: median error in seconds / held",
            f"{_number(rest['from_half_little']['seconds']['median'])} / {_part(rest['from_half_little']['covered'])}",
            "",
            None,
        ),
        *_rest_rows("the same when the bandwidth is cut to 60 %, half-way", cut_moves["at_half"], judged_too=False),
        *_still_rows(suspension),
        (
            "copies that never end: warned / of",
            f"{warned['warned']} / {warned['endless']}, after {_number(warned['after_s']['median'])} s",
            "",
            None,
        ),
        ("copies that end: warned wrongly / of", f"{warned['warned_wrongly']} / {warned['ended']}", "", None),
        ("QEMU's own downtime minus truth, median (ms)", _number(figures["own_downtime_ms"]["median"]), "", None),
    ]
    lost = (
        f" {figures['disturbed']} more are left out, whose guest was starved by the machine."
        if figures["disturbed"]
        else ""
    )
    head = (
        f"{figures['moves']} moves, {figures['ended']} of them came to an end.{lost}\n\n| figure | measured | "
        "target | met |\n|---|---|---|---|\n"
    )
    met = {True: "yes", False: "**no**", None: ""}
    return head + "".join(f"| {name} | {value} | {goal} | {met[good]} |\n" for name, value, goal, good in rows)


Row = tuple[str, str, str, bool | None]


def _rest_rows(name: str, rest: dict[str, Any], judged_too: bool) -> list[Row]:
    error, held = rest["of_rest"]["median"], rest["covered"]
    if error is None:
        return []
    goal = ("≤ 5 %", "75–85 %") if judged_too else ("", "")
    return [
        (f"{name}: median error, of the rest", _part(error), goal[0], error <= 0.05 if judged_too else None),
        ("— of the whole copy", _part(rest["of_copy"]["median"]), "", None),
        ("— P90 of the error, of the rest", _part(rest["of_rest"]["p90"]), "", None),
        ("— held by P10–P90", _part(held), goal[1], 0.75 <= held <= 0.85 if judged_too else None),
        ("— of each copy, the mean", _part(rest["covered_by_copy"]), "", None),
        ("— held by what the model alone claimed", _part(rest["covered_as_claimed"]), "", None),
        ("— width of P10–P90 over the rest, median", _part(rest["width"]), "", None),
        ("— percent drawn out in a line, of the rest", _part(rest["line_of_rest"]["median"]), "", None),
    ]


def _still_rows(suspension: dict[str, Any]) -> list[Row]:
    after = suspension["after_10"]["median"]
    return [
        ("suspension after 10 moves, median factor", _number(after), "≤ 1.5", after is not None and after <= 1.5),
        ("— P90 of the factor", _number(suspension["after_10"]["p90"]), "", None),
        ("— held by P10–P90", _part(suspension["after_10_covered"]), "", None),
        (
            "— QEMU's last expected-downtime, median factor",
            _number(suspension["emulator_last_guess"]["median"]),
            "",
            None,
        ),
    ]


def _part(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _pair(first: float | None, second: float | None) -> str:
    return f"{_part(first)} / {_part(second)}"


if __name__ == "__main__":
    sys.exit(main())
