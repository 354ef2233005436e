"""Every reader of what a SAP system prints: recordings, and whatever else may come."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lpmkit.errors import CommandRefused, LpmError, UnexpectedReply
from lpmkit.probes.ni import Frames, frame
from lpmkit.sap import dpmon, functions, host, lsconf, sapcontrol, soaprfc, webservice
from lpmkit.sap import fields as records
from lpmkit.sap.instances import REFUSED_NS, Instances
from lpmkit.sap.model import Activity, WorkProcess
from lpmkit.sap.observation import SapObservation, read_observation
from lpmkit.timeline import Clock

FIXTURES = Path(__file__).parent.parent / "fixtures"
RECORDINGS = sorted(path for folder in FIXTURES.glob("sap-*") for path in folder.glob("*/*.json"))
KEYS = {"source", "from", "mark", "command", "reader", "arguments", "expected"}
NOW = datetime.fromisoformat("2008-11-07T20:14:02")
quick = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def named(path: Path) -> str:
    return str(path.relative_to(FIXTURES).with_suffix(""))


def reader_of(notes: dict[str, Any]) -> Callable[[str], Any]:
    module, _, function = notes["reader"].partition(":")
    found = getattr(importlib.import_module(module), function)
    arguments: list[Any] = [
        datetime.fromisoformat(one) if "T" in one and "-" in one else one for one in notes["arguments"]
    ]
    if found is soaprfc.read_answer:
        return lambda text: found(text.encode("utf-8"), *arguments)
    return lambda text: found(text, *arguments)


def as_json(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {key: as_json(item) for key, item in asdict(value).items()}
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value


@pytest.mark.parametrize("path", RECORDINGS, ids=named)
def test_a_recording_is_read_as_its_companion_says(path: Path) -> None:
    notes = json.loads(path.read_text(encoding="utf-8"))
    assert set(notes) == KEYS
    assert notes["source"] in ("recorded", "documented", "composed")
    assert notes["mark"] in ("V", "S", "U")
    assert notes["from"]
    assert as_json(reader_of(notes)(path.with_suffix(".txt").read_text(encoding="utf-8"))) == notes["expected"]


def test_every_reader_has_a_recording() -> None:
    recorded = {json.loads(path.read_text(encoding="utf-8"))["reader"] for path in RECORDINGS}
    readers = {
        f"{module.__name__}:{name}"
        for module in (sapcontrol, dpmon, host, lsconf)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("read_") and function.__module__ == module.__name__
    }
    readers.add("lpmkit.sap.soaprfc:read_answer")
    assert readers - recorded == {"lpmkit.sap.sapcontrol:read_answer"}


def test_every_text_has_its_companion() -> None:
    texts = {path.with_suffix("") for folder in FIXTURES.glob("sap-*") for path in folder.glob("*/*.txt")}
    assert texts == {path.with_suffix("") for path in RECORDINGS}


# -- any text gives records or our error -------------------------------------------------------------------------------

READERS: list[Callable[[str], Any]] = [
    *(
        reader_of({"reader": f"lpmkit.sap.sapcontrol:{name}", "arguments": []})
        for name in dir(sapcontrol)
        if name.startswith("read_") and name != "read_answer"
    ),
    dpmon.read_work_processes,
    dpmon.read_users,
    host.read_hardware_key,
    host.read_licences,
    host.read_disp_work,
    lambda text: host.read_processes(text, "BX5", NOW),
    lambda text: soaprfc.read_answer(text.encode("utf-8", "surrogatepass"), "RFC_PING"),
    lsconf.read_lsconf,
    functions.dump_error,
    records.moment,
]
SAMPLES = [path.with_suffix(".txt").read_text(encoding="utf-8") for path in RECORDINGS]


def read_by_all(text: str) -> None:
    for reader in READERS:
        try:
            reader(text)
        except LpmError:
            continue


@quick
@given(st.binary(max_size=400))
def test_any_bytes_give_records_or_our_error(content: bytes) -> None:
    read_by_all(content.decode("latin-1"))


@quick
@given(st.sampled_from(SAMPLES), st.integers(0, 3000), st.integers(0, 40), st.text(max_size=30))
def test_a_damaged_answer_gives_records_or_our_error(sample: str, at: int, gone: int, put: str) -> None:
    at %= len(sample)
    read_by_all(sample[:at] + put + sample[at + gone :])


@quick
@given(
    st.sampled_from(
        [
            path
            for path in RECORDINGS
            if "sap-7.53/" in str(path) and "read_enqueue" not in path.read_text() and "/list" in str(path)
        ]
    ),
    st.data(),
)
def test_no_row_is_lost_in_silence(path: Path, data: st.DataObject) -> None:
    """A line put between the rows either becomes a row or is refused; it never takes another with it."""
    notes = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(notes["expected"], list) or notes["reader"].endswith("read_alerts"):
        return
    lines = path.with_suffix(".txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    header = len(lines) - len(notes["expected"])
    at = data.draw(st.integers(header, len(lines)))
    line = data.draw(st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), max_size=60))
    try:
        found = reader_of(notes)("\n".join([*lines[:at], line, *lines[at:]]) + "\n")
    except LpmError:
        return
    assert len(found) == len(notes["expected"]) + (1 if line.strip() else 0)


@pytest.mark.parametrize(
    "path", [path for path in RECORDINGS if "saplikey" not in str(path) and "saplicense" not in str(path)], ids=named
)
def test_an_answer_cut_in_its_last_line_is_refused(path: Path) -> None:
    notes = json.loads(path.read_text(encoding="utf-8"))
    if notes["reader"].startswith(("lpmkit.sap.host", "lpmkit.sap.lsconf")):
        return  # these print no tables; a key or a label that is cut is no key
    text = path.with_suffix(".txt").read_text(encoding="utf-8").rstrip("\n")
    with pytest.raises(UnexpectedReply):
        reader_of(notes)(text[:-1])


@quick
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "FIELDNAME": st.text(max_size=5),
                "OFFSET": st.one_of(st.none(), st.text(max_size=6)),
                "LENGTH": st.text(max_size=6),
            }
        ),
        max_size=4,
    ),
    st.lists(st.fixed_dictionaries({"WA": st.text(max_size=40)}), max_size=4),
)
def test_any_table_is_cut_or_refused(fields: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    try:
        found = functions.cut_rows({"FIELDS": fields, "DATA": rows})
    except LpmError:
        return
    assert len(found) == len(rows)


@quick
@given(
    st.dictionaries(
        st.sampled_from(
            ["JOBNAME", "JOBCOUNT", "STATUS", "STRTDATE", "STRTTIME", "ENDDATE", "ENDTIME", "WPPROCID", "STEPCOUNT"]
        ),
        st.text(max_size=10),
    )
)
@example({"JOBNAME": "A", "JOBCOUNT": "1", "STATUS": "R", "STRTDATE": "20081199", "STRTTIME": "250000"})
def test_any_job_row_gives_a_job_or_our_error(row: dict[str, str]) -> None:
    try:
        functions.job_of(row)
    except LpmError:
        return


@quick
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(
                    ["system", "question", "way", "asked_ns", "answered_ns", "wall_ns", "rows", "number", "type"]
                ),
                inner,
                max_size=9,
            ),
        ),
        max_leaves=12,
    )
)
def test_any_line_of_an_observations_file_gives_an_observation_or_our_error(row: Any) -> None:
    if not isinstance(row, dict):
        return
    try:
        read_observation(row)
    except LpmError:
        return


def test_an_observation_comes_back_as_it_was_kept() -> None:
    rows = (WorkProcess(3, "BTC", 4711, Activity.RUNNING, said="Run", errors=2, cpu_s=7, program="RSBTCRTE"),)
    kept = SapObservation("BX5", "work_processes", "rfc", 1, 2, 3, rows, session="94/0815", zone_offset_s=3600)
    assert read_observation(json.loads(json.dumps(kept.as_data()))) == kept


# -- what a naive reader would miss ------------------------------------------------------------------------------------


def test_a_status_text_with_commas_is_kept_whole() -> None:
    text = (FIXTURES / "sap-7.53/GetProcessList/comma_in_text.txt").read_text()
    assert (
        sapcontrol.read_processes(text)[1].text == "Running, Message Server connection ok, Dialog Queue time: 0.00 sec"
    )


def test_a_failure_is_told_in_the_servers_words() -> None:
    said = (
        "\n29.01.2019 01:20:26\nGetProcessList\nFAIL: NIECONN_REFUSED (Connection refused), NiRawConnect failed in "
        "plugin_fopen()\n"
    )
    with pytest.raises(LpmError, match="NIECONN_REFUSED"):
        sapcontrol.read_processes(said)


def test_a_state_in_another_language_is_never_taken_for_waiting() -> None:
    row = {"wp_no": "1", "wp_typ": "BGD", "wp_pid": "10158250", "wp_status": "čeká"}
    assert records.work_process_of_rfc(row).activity is Activity.OTHER
    assert records.work_process_of_rfc({**row, "wp_istatus": 2}).activity is Activity.WAITING
    assert records.work_process_of_rfc({**row, "wp_istatus": 2}).type == "BTC"


def test_columns_are_cut_by_the_offsets_that_come_back_whatever_their_order() -> None:
    answer = {
        "FIELDS": [
            {"FIELDNAME": "STATUS", "OFFSET": "000000", "LENGTH": "000001"},
            {"FIELDNAME": "JOBNAME", "OFFSET": "000001", "LENGTH": "000008"},
        ],
        "DATA": [{"WA": "RA|B,C"}],
    }
    assert functions.cut_rows(answer) == [{"STATUS": "R", "JOBNAME": "A|B,C"}]


@pytest.mark.parametrize("width", range(1, 12))
def test_a_long_clause_is_cut_between_words_and_never_in_quotes(width: int) -> None:
    where = " AND ".join(f"NAME{n} = 'a b  c{n}'" for n in range(width))
    lines = functions.option_lines(where)
    assert all(len(line) <= functions.OPTION_WIDTH for line in lines)
    assert " ".join(lines) == where
    assert all(line.count("'") % 2 == 0 for line in lines)


@pytest.mark.parametrize("put", ["rubbish", "0 name", "0name: x", "1 pid 2813", "|cut", "0 name: twice"])
def test_a_line_of_the_script_format_that_is_none_is_refused(put: str) -> None:
    lines = (FIXTURES / "sap-7.53/GetProcessList/script.txt").read_text().rstrip("\n").split("\n")
    for at in range(5, len(lines) + 1):
        with pytest.raises(UnexpectedReply):
            sapcontrol.read_processes("\n".join([*lines[:at], put, *lines[at:]]) + "\n")


@pytest.mark.parametrize("put", ["|GUI |T9_U1_M0 |100|X|", "|GUI", "|a|b|c|d|e|f|g|h|i|j|k|l|m|n|"])
def test_a_row_of_the_dispatcher_monitor_that_does_not_fit_its_heading_is_refused(put: str) -> None:
    lines = (FIXTURES / "sap-7.53/dpmon_v/sessions.txt").read_text().rstrip("\n").split("\n")
    heading = next(at for at, line in enumerate(lines) if line.startswith("|Logon"))
    for at in range(heading + 1, len(lines)):
        with pytest.raises(UnexpectedReply):
            dpmon.read_users("\n".join([*lines[:at], put, *lines[at:]]) + "\n")


def test_a_list_that_counts_more_licences_than_could_be_read_is_refused() -> None:
    text = (FIXTURES / "sap-7.77/saplikey_show/a4h.txt").read_text()
    with pytest.raises(UnexpectedReply, match="2 license keys listed"):
        host.read_licences(text.replace("Hardware Key          : D1889390344", "Hardware Kex          : D1889390344"))


# -- answers of function modules, of the web service, of the dispatcher ------------------------------------------------


VALUES = st.one_of(
    st.text(max_size=14),
    st.integers(-5, 10**20),
    st.none(),
    st.sampled_from(["R", "F", "20081107", "240000", "00000000", "X", "0"]),
)
FIELDS = [
    "JOBNAME",
    "JOBCOUNT",
    "STATUS",
    "STRTDATE",
    "STRTTIME",
    "ENDDATE",
    "ENDTIME",
    "WPPROCID",
    "NAME",
    "TID",
    "BNAME",
    "WP_NO",
    "WP_TYP",
    "WP_PID",
    "WP_ISTATUS",
    "WP_DUMPS",
    "WP_CPU",
    "VERSION",
    "INTERFACE",
    "MSGID",
    "MSGNO",
    "TEXT",
    "ENTERDATE",
    "ENTERTIME",
    "MESSAGE",
    "FIELDNAME",
    "OFFSET",
    "LENGTH",
    "WA",
    "VBKEY",
    "TYPE",
]
TABLES = [
    "DATA",
    "FIELDS",
    "LIST",
    "WPLIST",
    "USRLIST",
    "VERSIONS",
    "JOB_HEAD",
    "SELECTED_JOBS",
    "JOB_PROTOCOL",
    "EXEC_PROTOCOL",
]
ROWS = st.lists(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=8), max_size=4)
ANSWERS = st.dictionaries(
    st.sampled_from([*TABLES, "RETURN", "STATUS", "EXITCODE", "RFCSI_EXPORT"]),
    st.one_of(VALUES, ROWS, st.dictionaries(st.sampled_from([*FIELDS, "RFCTZONE", "RFCDAYST"]), VALUES, max_size=4)),
    max_size=8,
)


class Says:
    """Answers every call with what it was given, one after the other."""

    where, session = "nowhere", "1"

    def __init__(self, said: list[dict[str, Any]]) -> None:
        self._said = said
        self._calls = 0

    def call(self, function: str, /, tables: Any = (), **imports: Any) -> dict[str, Any]:
        self._calls += 1
        return self._said[self._calls % len(self._said)] if self._said else {}

    def close(self) -> None: ...


@quick
@given(st.lists(ANSWERS, max_size=4))
def test_whatever_a_function_module_answers_gives_records_or_our_error(said: list[dict[str, Any]]) -> None:
    for ask in (
        lambda of: of.identity(),
        lambda of: of.instances(),
        lambda of: of.work_processes(),
        lambda of: of.users(),
        lambda of: of.jobs(NOW, NOW),
        lambda of: of.job_list(NOW),
        lambda of: of.job_logs(NOW, NOW),
        lambda of: of.history(NOW, 7),
        lambda of: of.dumps(NOW),
        lambda of: of.updates(),
        lambda of: lsconf.read_lsconf(of.host_command("ZLSCONF")),
    ):
        try:
            ask(functions.Functions(Says(said)))
        except LpmError:
            continue


@quick
@given(ROWS)
def test_no_line_of_a_job_log_is_lost(rows: list[dict[str, Any]]) -> None:
    try:
        found = functions.job_log_of("A", "1", rows)
    except LpmError:
        return
    assert found.lines == len(rows)


@quick
@given(st.lists(st.text(max_size=20), max_size=8), st.lists(st.text(max_size=20), max_size=8))
def test_lsconf_held_against_itself_shows_no_change_and_against_another_every_one(
    one: list[str], other: list[str]
) -> None:
    same = lsconf.changes(one, one)
    assert (same.machine, same.partition, same.others) == ((), (), ())
    lsconf.changes(one, other)


ROWS_OF_THE_SERVICE = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["item", "No", "Typ", "name", "pid"]), inner, max_size=3),
    ),
)


@quick
@given(ROWS_OF_THE_SERVICE)
def test_whatever_the_web_service_answers_gives_records_or_our_error(answer: Any) -> None:
    for make in (
        records.work_process, records.process, records.queue, records.log_entry, records.lock, records.enqueue,
        records.instance,
    ):  # fmt: skip
        try:
            for row in webservice._rows(answer):
                make(row)
        except LpmError:
            continue
    try:
        records.alerts(webservice._rows(answer))
    except LpmError:
        pass


@quick
@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n"]),
)
def test_whatever_comes_through_the_local_socket_is_http_or_our_error(content: bytes, head: bytes) -> None:
    try:
        webservice._response(head + content, "socket")
    except LpmError:
        pass


@quick
@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(1, 9))
def test_the_dispatchers_frames_come_whole_however_they_are_cut(payloads: list[bytes], piece: int) -> None:
    wire, frames, found = b"".join(frame(one) for one in payloads), Frames(), []
    for at in range(0, len(wire), piece):
        found += frames.feed(wire[at : at + piece])
    assert found == payloads


@quick
@given(st.binary(max_size=60))
def test_bytes_that_are_no_frames_are_refused_and_nothing_else_happens(content: bytes) -> None:
    try:
        Frames().feed(content)
    except ValueError:
        return


# -- as a real terminal prints it --------------------------------------------------------------------------------------


def sessions(*rows: tuple[str, str, str]) -> str:
    lines = ["|Logon_Type|Sess_Key    |Cli|User    |Terminal  |"]
    lines += [
        f"|{kind:<10}|{f'T{number}_U1_M0':<12}|100|{user:<8}|{terminal:<10}|"
        for number, (kind, user, terminal) in enumerate(rows, 11)
    ]
    return "\n".join(["ABAP Session Table", "", *lines, "", "\tq - quit", "", "--> "])


def test_the_prompt_of_the_dispatcher_monitor_has_no_line_end() -> None:
    (user,) = dpmon.read_users(sessions(("GUI", "MEIER", "PC4711")))
    assert (user.name, user.terminal) == ("MEIER", "PC4711")
    with pytest.raises(UnexpectedReply, match="middle of a line"):
        dpmon.read_users(sessions(("GUI", "MEIER", "PC4711")).removesuffix("\n--> ") + "\n|GUI  |T12")


@pytest.mark.parametrize(
    ("kind", "terminal", "counts"),
    [
        ("RFC_UI", "PC4711", True),
        ("WEBGUI", "PC4711", True),
        ("NEW_KIND", "", False),
        ("RFC", "bxaix86", False),
        ("BATCH", "", False),
    ],
)
def test_sessions_of_persons_count_whatever_their_type_is_called(kind: str, terminal: str, counts: bool) -> None:
    assert bool(dpmon.read_users(sessions((kind, "MEIER", terminal)))) is counts


def test_the_second_enqueue_server_and_a_web_dispatcher_are_seen_in_ps() -> None:
    text = "  PID     ELAPSED COMMAND\n"
    for pid, name in enumerate(("enq.sapBX5_ASCS01", "enqr.sapBX5_ERS10", "wd.sapBX5_W00", "er.sapBX5_ERS11"), 100):
        text += f"{pid:>5} 01:00:00 {name} pf=/usr/sap/BX5/SYS/profile/x\n"
    found = host.read_processes(text, "BX5", NOW)
    assert sorted(row.name for row in found) == [
        "enq.sapBX5_ASCS01",
        "enqr.sapBX5_ERS10",
        "er.sapBX5_ERS11",
        "wd.sapBX5_W00",
    ]


def test_an_instance_that_refuses_a_question_is_not_asked_it_again_and_again() -> None:
    class Stopped(Clock):
        now = 0

        def mono_ns(self) -> int:
            return self.now

    clock, asked = Stopped(), []

    def ask(number: str) -> tuple[str, ...]:
        asked.append(number)
        if number == "01":
            raise CommandRefused("no dispatcher", status=1)
        return (number,)

    instances = Instances(("00", "01"), clock)
    for _ in range(20):
        assert instances.each("ABAPGetWPTable", ask) == [("00", ("00",))]
    assert (asked.count("00"), asked.count("01")) == (20, 1)
    clock.now = REFUSED_NS + 1
    instances.each("ABAPGetWPTable", ask)
    assert asked.count("01") == 2
