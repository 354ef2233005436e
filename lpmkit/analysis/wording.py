"""English words for the codes of the analysis: methods, clock readings.

Nothing compares these texts; a change of one changes what is read, and no figure.
"""

from __future__ import annotations

from collections.abc import Mapping

from lpmkit.analysis.model import ClockVerdict, LikelyBy, Method

METHODS: Mapping[Method, str] = {
    Method.TICK_STAMPS: "the ticks' own stamps",
    Method.CLOCK_JUMP: "the jump of the guest clock's offset",
    Method.TICK_ARRIVALS: "the arrival of ticks",
    Method.QUESTIONS: "questions and their answers",
}

LIKELY_BY: Mapping[LikelyBy, str] = {
    LikelyBy.DRAWN: (
        "95 %: the last and the first sign of life even within what the clocks usually leave open of them, begin even "
        "from the last one to the first one missed, lateness as measured in the lead-in, wake-up dying away within its "
        "allowance; 4000 draws with a fixed seed"
    ),
    LikelyBy.COARSE: "the whole length: its witness is too coarse for a distribution",
    LikelyBy.CLOCK: (
        "what a clock of the host missed that stood still meanwhile, within the bounds of its offset before and after"
    ),
}

#: The rest of a sentence that begins with the clock's name.
CLOCK_VERDICTS: Mapping[ClockVerdict, str] = {
    ClockVerdict.COUNTED: "counted the suspension",
    ClockVerdict.STOPPED: "stood still during the suspension",
    ClockVerdict.SET_FORWARD: "was set forward by more than the suspension",
    ClockVerdict.SET_BACK: "was set back",
    ClockVerdict.COUNTED_ONE_SECOND: "counted one second of the suspension and no more",
    ClockVerdict.COUNTED_PARTLY: "counted only a part of the suspension",
}
