"""Pre-copy of a running partition's memory, simulated pass by pass. Pure functions of plain values.

A pass sends the unsent memory; meanwhile the partition writes, and the next pass sends that.
The memory written within ``t`` seconds of a clean state is concave, ``W (1 - exp(-d t / W))``: fast at first, never
more
than the writable set. If pages are written in address order instead, it is the smaller of ``d t`` and ``W``; each draw
has a flag for this. When little enough is unsent, the partition is suspended; a share of the rest is sent during the
suspension, and the remainder is fetched after the resume (PowerVM) or there is none (pure pre-copy).

All values are arrays with one entry for each draw, so a thousand draws cost one pass through numpy.
Bytes, bytes per second, seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CopyRules:
    """Rules of the manager's pre-copy, as far as known.

    ``stop_s``: the partition is suspended once the rest can be sent in this time (0: only ``Draws.stop_bytes``
    decides).
    ``pass_ends_s``: a pass ends when its rest can be sent in this time (0: when nothing of it is unsent).
    ``max_passes`` and ``window_s``: a copy that needs more passes or more seconds does not converge.
    """

    stop_s: float = 0.0
    pass_ends_s: float = 0.0
    max_passes: int = 40
    window_s: float = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Draws:
    """Random draws of the parameters of one move; all arrays have the same length."""

    touched_bytes: Floats
    bytes_per_s: Floats
    dirty_bytes_per_s: Floats
    writable_bytes: Floats
    in_order: Flags  #: the writable set is written in address order, not at random
    stop_bytes: Floats  #: suspend when no more than this is unsent
    fixed_s: Floats  #: length of the suspension with nothing to send
    switch_bytes_per_s: Floats  #: bandwidth during the suspension
    residual_share: Floats  #: share of the rest that is sent during the suspension; the remainder is fetched later
    around_s: Floats  #: validation, preparation and clean-up: the move without copy and suspension

    def __len__(self) -> int:
        return len(self.bytes_per_s)


@dataclass(frozen=True, slots=True)
class CopyOutcomes:
    """Simulated outcome of each draw, from the given state on. If a draw does not converge, times end when the copy
    gives up.
    """

    copy_s: Floats
    whole_s: Floats
    sent_bytes: Floats
    suspended_s: Floats
    converged: Flags
    passes: Floats  #: number of passes from the given state on, including the running one


def dirtied_bytes(
    dirty_bytes_per_s: Floats, writable_bytes: Floats, in_order: Flags, seconds: Floats | float
) -> Floats:
    """Bytes written within a time, starting from a clean state.

    >>> once = np.array([9.0]), np.array([320.0]), np.array([False])
    >>> dirtied_bytes(*once, 1.0).round(2).tolist(), dirtied_bytes(*once, 1e6).tolist()
    ([8.87], [320.0])
    """
    span = np.maximum(writable_bytes, 1e-9)
    straight = dirty_bytes_per_s * seconds
    anywhere = span * -np.expm1(-straight / span)
    return np.asarray(np.where(in_order, np.minimum(straight, span), anywhere), dtype=np.float64)


def added_bytes(written: Floats, unsent_bytes: Floats, writable_bytes: Floats, in_order: Flags, first: bool) -> Floats:
    """Bytes that writing adds to the unsent remainder ``kept``; rewriting a page of it adds nothing.

    The rest of a later pass was written, so it lies in the writable set: random writes hit it in proportion, writes in
    address order reach it last. The rest of the first pass is the far end of all memory and counts as outside the set.
    """
    if first:
        return written
    span = np.maximum(writable_bytes, 1e-9)
    share = np.clip(unsent_bytes / span, 0.0, 1.0)
    last = np.minimum(written, np.maximum(span - unsent_bytes, 0.0))
    return np.asarray(np.where(in_order, last, written * (1 - share)), dtype=np.float64)


def run_copy(
    draws: Draws,
    rules: CopyRules,
    left_bytes: Floats | float | None = None,
    pass_age_s: Floats | float = 0.0,
    first: bool = True,
) -> CopyOutcomes:
    """Simulate the copy to its end, from its beginning or from a moment within a pass.

    ``left_bytes`` is the unsent part of this pass, without memory written since it began, ``pass_age_s`` the time since
    it
    began, and ``first`` marks the pass over all memory.
    """
    count = len(draws)
    unsent = np.broadcast_to(np.asarray(draws.touched_bytes if left_bytes is None else left_bytes, float), count).copy()
    age = np.broadcast_to(np.asarray(pass_age_s, float), count).copy()
    small = np.maximum(draws.stop_bytes, rules.stop_s * draws.bytes_per_s)
    floor = rules.pass_ends_s * draws.bytes_per_s
    copy, sent, passes = np.zeros(count), np.zeros(count), np.zeros(count)
    open_, converged = np.ones(count, bool), np.zeros(count, bool)
    for number in range(rules.max_passes):
        sending = np.where(open_, np.maximum(unsent - floor, 0.0), 0.0)
        copy += sending / draws.bytes_per_s
        sent += sending
        passes += open_
        seconds = age + sending / draws.bytes_per_s
        written = dirtied_bytes(draws.dirty_bytes_per_s, draws.writable_bytes, draws.in_order, seconds)
        remainder = unsent - sending
        added = added_bytes(written, remainder, draws.writable_bytes, draws.in_order, first and number == 0)
        after = np.minimum(remainder + added, draws.touched_bytes)
        unsent, age = np.where(open_, after, unsent), np.zeros(count)
        converged |= open_ & (unsent <= small)
        open_ &= ~converged & (copy < rules.window_s)
        if not open_.any():
            break
    return _ended(draws, copy, sent, unsent, converged, passes)


def _ended(
    draws: Draws, copy_s: Floats, sent: Floats, unsent: Floats, converged: Flags, passes: Floats
) -> CopyOutcomes:
    urgent = unsent * draws.residual_share
    suspended = draws.fixed_s + urgent / draws.switch_bytes_per_s
    fetched_s = (unsent - urgent) / draws.bytes_per_s
    return CopyOutcomes(
        copy_s, draws.around_s + copy_s + suspended + fetched_s, sent + unsent, suspended, converged, passes
    )
