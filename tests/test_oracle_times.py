"""Entries of an alert log are of the move or not, whatever zones log, session and observer have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmkit.analysis.oracle_times import LogTimes, host_clock
from lpmkit.oracle.alert_log import read_alert_log
from lpmkit.oracle.event_rows import as_row, from_row
from lpmkit.oracle.judge import Judge, LogPosition, LogWindow
from lpmkit.oracle.rules import LogRules, Witness
from lpmkit.oracle.stamps import Moment, instants

S = 1_000_000_000
RULES = LogRules.standard()
#: Summer time of Berlin ended at this instant; three zones of the list change with it, one near it, the others never.
CHANGE = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)
ZONES = [
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("Europe/Lisbon"),
    ZoneInfo("Asia/Kathmandu"),
    ZoneInfo("Pacific/Kiritimati"),
    UTC,
    timezone(timedelta(hours=-9, minutes=-30)),
]
POLL = 2


def printed(at: datetime, style: str) -> str:
    if style == "ctime":
        return f"{at:%a %b %e %H:%M:%S %Y}"
    return at.isoformat(timespec="microseconds")


def entry(at: datetime, zone: Any, style: str, text: str) -> Any:
    (event,) = read_alert_log(f"{printed(at.astimezone(zone), style)}\n{text}\n")
    return event


def states(start: datetime, zone: Any, off_s: float) -> list[dict[str, Any]]:
    """The times that the database's session prints; its host's clock is wrong by ``off_s``."""
    there = (start + timedelta(seconds=off_s)).astimezone(zone).isoformat(timespec="microseconds")
    return [{"own": {"server_time": there}, "own_sent_ns": 0, "own_answered_ns": S // 100}]


@given(
    log_zone=st.sampled_from(ZONES),
    session_zone=st.sampled_from(ZONES),
    style=st.sampled_from(["ctime", "iso"]),
    start=st.integers(-7200, 7200),
    off_s=st.floats(-20, 20),
    begin_s=st.integers(120, 900),
    error_s=st.integers(60, 1800),
    usual=st.booleans(),
)
def test_an_error_of_the_move_is_found_and_one_before_it_is_not(
    log_zone: Any, session_zone: Any, style: str, start: int, off_s: float, begin_s: int, error_s: int, usual: bool
) -> None:
    """Instant 0 of our clock is ``start`` seconds from the change of summer time; the log is read every two seconds."""
    zero = CHANGE + timedelta(seconds=start)
    written = [(-600, "ORA-00600: of yesterday's batch"), (error_s, "ORA-00600: internal error code, arguments: [x]")]
    written += (
        [(second, "Thread 1 advanced to log sequence 8 (LGWR switch)") for second in range(7, 1800, 120)]
        if usual
        else []
    )
    rows = []
    for at_s, text in sorted(written):
        seen = max(0, (at_s // POLL + 1) * POLL)
        event = entry(zero + timedelta(seconds=at_s + off_s), log_zone, style, text)
        since = (seen - POLL) * S if at_s > 0 else None
        rows.append(as_row(event, "alert_BX5.log", seen * S, 0, since))
    times = LogTimes(host_clock(states(zero, session_zone, off_s)), rows, begin_s * S)
    judge = Judge(LogWindow())
    for row in rows:
        found = RULES.classify(from_row(row))
        place, after = times.position(times.place(found.event.when, row), timedelta(hours=1))
        judge.add_placed(found, place, after)
    verdict = judge.judgement().verdict
    if error_s > begin_s:
        assert verdict == "fail"
    elif error_s < begin_s - POLL - 1:
        assert verdict == "pass"


def test_log_and_session_of_different_zones_are_named() -> None:
    zero = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
    event = entry(zero + timedelta(seconds=61), UTC, "iso", "ORA-00600: internal error code, arguments: [x]")
    rows = [as_row(event, "alert_BX5.log", 62 * S, 0, 60 * S)]
    times = LogTimes(host_clock(states(zero, timezone(timedelta(hours=2)), 0.0)), rows, 60 * S)
    assert times.position(times.place(event.when, rows[0]), timedelta(hours=1))[0] is LogPosition.INSIDE
    assert times.zone_notes() == [
        "the alert log prints times of UTC+00:00, sessions of UTC+02:00: they were compared as instants"
    ]


@pytest.mark.parametrize("style", ["ctime", "iso"])
@pytest.mark.parametrize(("written_s", "position"), [(-100_000, LogPosition.BEFORE), (-80_000, LogPosition.INSIDE)])
def test_without_a_session_the_log_itself_tells_that_its_history_is_none_of_the_move(
    written_s: int, position: LogPosition, style: str
) -> None:
    """The first reading came after the move began, at 60 s; no logon worked. What zones may hide stays of the move."""
    zero = CHANGE + timedelta(days=1)

    def row(at_s: int, seen_s: int, since_s: int | None) -> dict[str, Any]:
        event = entry(zero + timedelta(seconds=at_s), UTC, style, "Database mounted in Exclusive Mode.")
        return as_row(event, "alert_BX5.log", seen_s * S, 0, None if since_s is None else since_s * S)

    first, later = row(written_s, 64, None), row(71, 72, 70)
    alone, told = LogTimes(None, [first], 60 * S), LogTimes(None, [first, later], 60 * S)
    for times, expected in ((alone, LogPosition.INSIDE), (told, position)):
        found, _ = times.position(times.place(from_row(first).when, first), timedelta(0))
        assert found is expected
    found, _ = told.position(told.place(from_row(later).when, later), timedelta(0))
    assert found is LogPosition.INSIDE


def test_an_entry_whose_zone_nobody_knows_counts_as_of_the_move_and_that_is_said() -> None:
    zero = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
    event = entry(zero + timedelta(seconds=10), ZoneInfo("Asia/Tokyo"), "ctime", "ORA-00600: x")
    rows = [as_row(event, "alert_BX5.log", 4000 * S, 0, None)]
    times = LogTimes(host_clock(states(zero, UTC, 0.0)), rows, 60 * S)
    assert times.position(times.place(event.when, rows[0]), timedelta(hours=1))[0] is LogPosition.INSIDE
    assert "zone of the alert log's stamps is not known" in times.zone_notes()[0]


@given(zone=st.sampled_from(ZONES), at=st.integers(-90_000, 90_000))
def test_an_instant_lies_in_what_its_printed_time_can_be(zone: Any, at: int) -> None:
    instant = CHANGE + timedelta(seconds=at)
    local = instant.astimezone(zone).replace(tzinfo=None)
    for known in (zone, None):
        span = instants(Moment(local, local + timedelta(seconds=1)), known)
        assert span.earliest <= instant < span.latest


# --- what VKTM prints -------------------------------------------------------------------------------------------------


STAMP = "*** 2026-03-01 10:00:05.000\n"


def witnesses(text: str) -> list[Witness | None]:
    return [RULES.classify(event).witness for event in read_alert_log(text)]


@pytest.mark.parametrize(
    ("line", "seconds", "at"),
    [
        (
            (
                "kstmchkdrift (kstmrmtickcntkeeper:lowres): Time jumped forward by (18000000)usec at (1772359205) "
                "whereas (5000000) is allowed"
            ),
            18.0,
            1772359205,
        ),
        (
            (
                "kstmchkdrift (kstmrmtickcntkeeper:highres): Time jumped forward by (1604372)usec at "
                "(1772359205120331) whereas (1000000) is allowed"
            ),
            1.604372,
            1772359205,
        ),
        (
            (
                "kstmchkdrift (kstmhighrestimecntkeeper:highres): Time jumped forward by (1542116)usec at "
                "(16609084909585) whereas (1000000) is allowed"
            ),
            1.542116,
            None,
        ),
        (
            (
                "kstmchkdrift (kstmhighrestimecntkeeper:highres): Stall, backward drift ended at 1772359207000000 "
                "drift: 2000000"
            ),
            2.0,
            1772359207,
        ),
        (
            "kstmchkdrift (kstmhighrestimecntkeeper:lowres): Time moved backward by (2000000)microsecs at 1772359205",
            -2.0,
            1772359205,
        ),
        (
            "Time drifted forward by (1043293) micro seconds at 3436684671088 whereas allowed drift is 1000000",
            1.043293,
            None,
        ),
    ],
)
def test_vktm_measures_the_pause_in_all_its_forms(line: str, seconds: float, at: int | None) -> None:
    (witness,) = witnesses(STAMP + line + "\n")
    assert witness is not None
    assert witness.seconds == pytest.approx(seconds)
    assert (None if witness.at is None else int(witness.at.timestamp())) == at


def test_a_stall_that_begins_is_known_and_measures_nothing() -> None:
    (event,) = read_alert_log(
        STAMP + "kstmchkdrift (kstmhighrestimecntkeeper:highres): Time stalled at 1772359205000000\n"
    )
    assert (RULES.classify(event).meaning.value, RULES.classify(event).witness) == ("expected", None)


@pytest.mark.parametrize(
    "text",
    [
        (
            "2026-03-01T10:00:05.111+00:00\nWarning: VKTM detected a forward time drift.\nPlease see the VKTM "
            "trace file for more details:\n/oracle/BX5/saptrace/diag/rdbms/bx5/BX5/trace/BX5_vktm_5021.trc\n"
        ),
        (
            "2026-03-01T10:00:05.111+00:00\nWarning: VKTM detected a backward time drift.\nPlease see the VKTM "
            "trace file for more details:\n/oracle/BX5/trace/BX5_vktm_5021.trc\n"
        ),
        (
            "2026-03-01T10:00:05.111+00:00\n--ATTENTION--\nTime drifted forward by (1043293) micro seconds at "
            "3436684671088 whereas allowed drift is 1000000\n"
        ),
    ],
)
def test_a_drift_in_the_alert_log_is_one_expected_event(text: str) -> None:
    (event,) = read_alert_log(text)
    assert RULES.classify(event).meaning.value == "expected"
