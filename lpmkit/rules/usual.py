"""The rate of everyday things: what comes as often as before a move says nothing of the move."""

from __future__ import annotations

from math import exp, lgamma, log

from lpmkit.rules.table import Class

#: A count that chance explains less often than this is the move's. Thirty moves with ten kinds of noise are 300 counts
#: (`python -m benchmarks.noise`).
RARE = 0.001
#: A count that chance explains less often than this is reported, though it is no failure by itself.
UNUSUAL = 0.02
NEGLIGIBLE = 1e-12


def chance_of(count: int, length: float, usual: int, usual_length: float) -> float:
    """The chance that this many fall into a stretch of time, where ``usual`` fell into another one and the rate is the
    same; 0 where nothing ever came before.

    Both counts are by chance: of all of them together each lies in the stretch by its share of the time. 0.5 is for
    everything that is likelier still.

    >>> [round(chance_of(count, 0.05, 4, 1.0), 3) for count in (0, 1, 2, 4)]
    [1.0, 0.216, 0.03, 0.0]
    >>> chance_of(1, 0.05, 0, 8.0), chance_of(90_000, 1.0, 91_000, 1.0), chance_of(91_000, 0.5, 90_000, 1.0) < 1e-9
    (0.0, 0.5, True)
    """
    if count <= 0:
        return 1.0
    if usual <= 0 or usual_length <= 0:
        return 0.0
    if length <= 0:
        return 1.0
    share, together = length / (length + usual_length), count + usual
    if count <= share * together:
        return 0.5  # no more than on average: at least as likely as not
    term = exp(
        lgamma(together + 1) - lgamma(count + 1) - lgamma(usual + 1) + count * log(share) + usual * log(1 - share)
    )
    total = 0.0
    for n in range(count, together + 1):
        total += term
        term *= (together - n) / (n + 1) * share / (1 - share)
        if term < NEGLIGIBLE:
            break
    return min(1.0, total)


def chance_by_rate(count: int, expected: float) -> float:
    """The chance of this many or more where ``expected`` are to be expected.

    >>> round(chance_by_rate(1, 0.1), 3), round(chance_by_rate(2, 0.1), 4)
    (0.095, 0.0047)
    """
    if count <= 0:
        return 1.0
    if expected <= 0:
        return 0.0
    term = below = exp(-expected)
    for n in range(1, count):
        term *= expected / n
        below += term
    return max(0.0, 1 - below)


def held_against_usual(meaning: Class, chance: float) -> Class:
    """The class of entries whose number chance explains with this probability: a failure needs more than a warning.

    >>> [held_against_usual(Class.FAIL, chance).value for chance in (0.0, 0.01, 0.1)]
    ['fail', 'warn', 'routine']
    >>> [held_against_usual(Class.WARN, chance).value for chance in (0.0, 0.01, 0.1)]
    ['warn', 'warn', 'routine']
    """
    if chance >= UNUSUAL:
        return Class.ROUTINE
    return meaning if chance < RARE or meaning is not Class.FAIL else Class.WARN
