"""The copy of a running partition's memory, played forward pass by pass. Pure functions of plain values.

A pass sends what is left; meanwhile the partition writes, and the next pass sends that. What is written within ``t`` seconds of a clean state is
concave, ``W (1 - exp(-d t / W))``: fast at first, never more than the writable set. (Where pages are written one after the other instead of anywhere it
is the smaller of ``d t`` and ``W``; a draw says which.) When little enough is left the partition is suspended; a
share of the rest goes over while it stands still, and the remainder is fetched after it runs again (PowerVM) or there is none (pure pre-copy).

Everything is an array with one entry for each draw, so that a thousand guesses about the parameters cost one pass over numpy.
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
    """How the manager's copy behaves, as far as one knows.

    ``stop_s``: it suspends once the rest can be sent in so many seconds (0: only ``Draws.stop_bytes`` decides).
    ``pass_ends_s``: a pass is over when what is left of it can be sent in so many seconds (0: when nothing is left of it).
    ``most_passes`` and ``window_s``: a copy that takes more passes, or more seconds, does not converge.
    """

    stop_s: float = 0.0
    pass_ends_s: float = 0.0
    most_passes: int = 40
    window_s: float = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Draws:
    """Guesses about one move, an entry each; all arrays are of one length."""

    touched_bytes: Floats
    bytes_per_s: Floats
    dirty_bytes_per_s: Floats
    writable_bytes: Floats
    in_order: Flags  #: the writable set is gone through page by page, and not hit anywhere
    stop_bytes: Floats  #: suspended as soon as no more than this is left
    fixed_s: Floats  #: the suspension without a byte to send
    switch_bytes_per_s: Floats  #: how fast what goes over during the suspension goes
    residual_share: Floats  #: the part of the rest that goes over during the suspension; the others are fetched later
    around_s: Floats  #: validation, preparation and clean-up: all of the move that is neither copy nor suspension

    def __len__(self) -> int:
        return len(self.bytes_per_s)


@dataclass(frozen=True, slots=True)
class Courses:
    """What becomes of each draw from here on. Where it does not converge, times are those at which it was given up."""

    copy_s: Floats
    whole_s: Floats
    sent_bytes: Floats
    suspended_s: Floats
    converged: Flags
    passes: Floats  #: begun from here on, the one that runs among them


def dirtied_bytes(
    dirty_bytes_per_s: Floats, writable_bytes: Floats, in_order: Flags, seconds: Floats | float
) -> Floats:
    """What is written within a time of a clean state.

    >>> once = np.array([9.0]), np.array([320.0]), np.array([False])
    >>> dirtied_bytes(*once, 1.0).round(2).tolist(), dirtied_bytes(*once, 1e6).tolist()
    ([8.87], [320.0])
    """
    span = np.maximum(writable_bytes, 1e-9)
    straight = dirty_bytes_per_s * seconds
    anywhere = span * -np.expm1(-straight / span)
    return np.asarray(np.where(in_order, np.minimum(straight, span), anywhere), dtype=np.float64)


def added_bytes(written: Floats, kept: Floats, writable_bytes: Floats, in_order: Flags, first: bool) -> Floats:
    """What writing adds to what is left unsent anyway (``kept``): a page of it that is written again adds nothing.

    What is left of a later pass was written, so it lies in the writable set: anywhere hits it in proportion, in order comes to it last. What is left
    of the first pass is the far end of all memory and counts as outside.
    """
    if first:
        return written
    span = np.maximum(writable_bytes, 1e-9)
    share = np.clip(kept / span, 0.0, 1.0)
    last = np.minimum(written, np.maximum(span - kept, 0.0))
    return np.asarray(np.where(in_order, last, written * (1 - share)), dtype=np.float64)


def play(
    draws: Draws,
    rules: CopyRules,
    left_bytes: Floats | float | None = None,
    pass_age_s: Floats | float = 0.0,
    first: bool = True,
) -> Courses:
    """Play the copy to its end: from the beginning, or from a moment within a pass.

    ``left_bytes`` is what this pass has still to send, without what was written meanwhile, ``pass_age_s`` how long ago it began, and ``first``
    whether it is the pass over all memory.
    """
    count = len(draws)
    left = np.broadcast_to(np.asarray(draws.touched_bytes if left_bytes is None else left_bytes, float), count).copy()
    age = np.broadcast_to(np.asarray(pass_age_s, float), count).copy()
    small = np.maximum(draws.stop_bytes, rules.stop_s * draws.bytes_per_s)
    floor = rules.pass_ends_s * draws.bytes_per_s
    copy, sent, passes = np.zeros(count), np.zeros(count), np.zeros(count)
    open_, converged = np.ones(count, bool), np.zeros(count, bool)
    for number in range(rules.most_passes):
        sending = np.where(open_, np.maximum(left - floor, 0.0), 0.0)
        copy += sending / draws.bytes_per_s
        sent += sending
        passes += open_
        seconds = age + sending / draws.bytes_per_s
        written = dirtied_bytes(draws.dirty_bytes_per_s, draws.writable_bytes, draws.in_order, seconds)
        kept = left - sending
        added = added_bytes(written, kept, draws.writable_bytes, draws.in_order, first and number == 0)
        after = np.minimum(kept + added, draws.touched_bytes)
        left, age = np.where(open_, after, left), np.zeros(count)
        converged |= open_ & (left <= small)
        open_ &= ~converged & (copy < rules.window_s)
        if not open_.any():
            break
    return _ended(draws, copy, sent, left, converged, passes)


def _ended(draws: Draws, copy_s: Floats, sent: Floats, left: Floats, converged: Flags, passes: Floats) -> Courses:
    urgent = left * draws.residual_share
    suspended = draws.fixed_s + urgent / draws.switch_bytes_per_s
    fetched_s = (left - urgent) / draws.bytes_per_s
    return Courses(copy_s, draws.around_s + copy_s + suspended + fetched_s, sent + left, suspended, converged, passes)
