"""Zones of log, session and host in a run: an error of the move is found, and one from before it is not the move's."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from benchmarks.noise.everyday import ASKED, BEGIN, END, RESUME, World
from benchmarks.noise.record import recorded
from lpmkit.analysis import analyse

#: Whole, half and quarter hours, from Honolulu to Kiritimati.
ZONES = st.sampled_from((-600, -480, -210, -180, 0, 60, 120, 330, 345, 525, 570, 765, 840))
ORA_600 = ("Errors in file /x/BX5_ora_1.trc:", "ORA-00600: internal error code, arguments: [kcbz_1]")


@dataclass
class Evening(World):
    """A database of which nothing is heard but a log switch now and then, and one internal error."""

    log_zone: int = 0
    session_zone: int = 0
    zoned: bool = False
    #: Summer time begins or ends: (when, by how many minutes).
    turn: tuple[float, int] = (1e9, 0)
    error_at: float = RESUME + 1

    def __post_init__(self) -> None:
        super().__post_init__()
        switch = ("Thread 1 advanced to log sequence 4711 (LGWR switch)",)
        self.log = [(float(at), switch) for at in range(-7000, int(END) - 5, 35)]
        self.log.append((self.error_at, ORA_600))

    @property
    def zone_minutes(self) -> tuple[int, int]:
        return self.log_zone, self.session_zone

    def log_zone_minutes(self, moment: float) -> int:
        return self.log_zone + (self.turn[1] if moment >= self.turn[0] else 0)

    @property
    def is_zoned(self) -> bool:
        return self.zoned


def verdict(evening: Evening) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        (database,) = analyse(recorded(evening, Path(folder))).databases
    question = next(one for one in database.questions if one.key == "oracle-alert-BX5")
    return question.state.value, question.answer


MOMENTS = st.one_of(
    st.sampled_from((-3600.0, -1800.0, -900.0, 5.0, ASKED - 8, ASKED + 5, RESUME + 0.5, RESUME + 1, END - 30)),
    st.floats(-5400, END - 10).filter(lambda at: abs(at - ASKED) > 5 and not BEGIN - 3 < at < RESUME),
)
TURNS = st.one_of(st.just((1e9, 0)), st.tuples(st.floats(-1800, END - 20), st.sampled_from((-60, 60, -30, 30))))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(log=ZONES, session=ZONES, zoned=st.booleans(), turn=TURNS, at=MOMENTS)
@example(log=0, session=120, zoned=True, turn=(1e9, 0), at=RESUME + 1)
@example(log=330, session=345, zoned=False, turn=(1e9, 0), at=RESUME + 1)
@example(log=60, session=120, zoned=False, turn=(RESUME, -60), at=RESUME + 1)
@example(log=60, session=0, zoned=False, turn=(ASKED - 20, 60), at=RESUME + 1)
@example(log=570, session=570, zoned=False, turn=(BEGIN - 30, 30), at=ASKED + 5)
@example(log=60, session=60, zoned=False, turn=(1e9, 0), at=-1800.0)
@example(log=120, session=60, zoned=False, turn=(RESUME, -60), at=-1800.0)
def test_whatever_zones_there_are_an_error_of_the_move_is_found_and_one_before_it_is_not(
    log: int, session: int, zoned: bool, turn: tuple[float, int], at: float
) -> None:
    state, answer = verdict(Evening(0, log_zone=log, session_zone=session, zoned=zoned, turn=turn, error_at=at))
    assert state == ("failed" if at > ASKED else "passed"), answer
