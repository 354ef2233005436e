"""Sinks: audit records to real receivers on loopback, which are up, down, slow, or lie."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from click.testing import CliRunner
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as classic_metrics

from lpmkit.cli import main
from lpmkit.config import Site
from lpmkit.errors import UsageError
from lpmkit.runs.audit import ERROR, Action, AuditRecord, audit_records
from lpmkit.runs.deliveries import deliveries, is_delivering, undelivered
from lpmkit.runs.folder import Run, write_document
from lpmkit.runs.remarks import add_remark
from lpmkit.sinks import start_courier
from lpmkit.sinks.courier import Courier, send_again
from lpmkit.sinks.formats import cef, metrics_text, rfc5424
from lpmkit.sinks.limited import TimeLimit
from lpmkit.sinks.metrics import RunsFolder, address_of, server
from lpmkit.sinks.receivers import Receiver, receiver
from lpmkit.sinks.wire import NotDelivered
from lpmkit.ssh.secrets import Secrets
from lpmkit.timeline import Clock, Event, wait_until
from tests import receivers_on_loopback as loopback

RUNS = Path(__file__).parent.parent / "fixtures" / "runs"
SECRET = "correct-horse-battery"


def sink(kind: str, **settings: Any) -> Any:
    """A sink with little patience, as a site file has it."""
    data = {"kind": kind, **({"timeout_s": 1.0} if kind in ("syslog", "webhook", "ticket") else {}), **settings}
    return Site.model_validate({"sinks": {"it": data}}).sinks["it"]


def made(settings: Any) -> Receiver:
    return receiver("it", settings, lambda reference: SECRET)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that was stopped, recorded by an earlier version; nobody writes there."""
    return Run(shutil.copytree(RUNS / "stopped-move", tmp_path_factory.mktemp("runs") / "stopped-move"))


@pytest.fixture
def own_run(tmp_path: Path) -> Run:
    """The same run for one test, small: a courier notes there what it delivers."""
    folder = tmp_path / "runs" / "stopped-move"
    folder.mkdir(parents=True)
    for name in ("run.json", "events.jsonl", "recorder.lock"):
        shutil.copy(RUNS / "stopped-move" / name, folder)
    return Run(folder)


def records_of(run: Run) -> list[AuditRecord]:
    return audit_records(run.name, run.manifest, run.events())


RECORD = AuditRecord(
    7, 1_796_022_675_120_413_017, "20261130-0711-p", "move", "p", "a", "b", Action.RECOVERY_REQUESTED, 'an"na]', "",
    True, ERROR, "anna asked to recover p = now | despite errors\nsecond line", "ops01",
)  # fmt: skip


# --- the records ------------------------------------------------------------------------------------------------------


def test_the_records_say_who_asked_stopped_and_how_it_ended(run_folder: Run) -> None:
    records = records_of(run_folder)
    actions = [record.action for record in records]
    assert actions[0] is Action.STARTED
    assert actions[-1] is Action.ENDED
    assert actions.count(Action.STOP_REQUESTED) == actions.count(Action.REQUESTED) == 1
    assert {(record.partition, record.source, record.target) for record in records} == {("bxaix85", "bvio82", "bvio83")}
    assert len({record.identity for record in records}) == len(records)
    phases = [record.outcome for record in records if record.action is Action.PHASE]
    assert phases[-1] == "stopped"


def test_a_recovery_despite_errors_an_approval_and_a_refusal_are_records() -> None:
    def event(kind: str, **data: Any) -> Event:
        return Event(0, 10, 1, "recorder", kind, data)

    order = {"order": {"partition": "p", "source": "a", "target": "b"}, "mode": "move"}
    events = [
        event("clock", uncertainty_ns=1), event("approved", by="bert", signed=True),
        event("request", what="recover", force=True, by="anna"),
        event("answer", what="migrate", status=1, text="HSCL1"),
        event("answer", what="stop", status=None, text="x"), event("request", what="end", by="anna"),
    ]  # fmt: skip
    records = audit_records("r", order, events)
    assert [(record.number, record.action, record.by, record.forced, record.outcome) for record in records] == [
        (2, Action.APPROVED, "bert", False, ""),
        (3, Action.RECOVERY_REQUESTED, "anna", True, ""),
        (4, Action.ANSWERED, "lpmkit", False, "refused"),
        (5, Action.ANSWERED, "lpmkit", False, "no answer"),
    ]


# --- the forms --------------------------------------------------------------------------------------------------------

_MESSAGE = re.compile(
    r"<(?P<pri>\d{1,3})>1 (?P<time>\S+) (?P<host>\S{1,255}) (?P<app>\S{1,48}) (?P<pid>\S{1,128}) (?P<id>\S{1,32}) "
    r"\[(?P<data>(?:[^\]\"\\]|\\.|\"(?:[^\"\\\]]|\\.)*\")*)\] \ufeff(?P<text>.*)"
)


def test_a_message_is_one_of_rfc_5424_whatever_the_record_holds() -> None:
    found = _MESSAGE.fullmatch(rfc5424(replace(RECORD, by='a"b]c\\d e', observer="ops 01"), 13, "ops 01").decode())
    assert found is not None
    assert int(found["pri"]) == 13 * 8 + 3
    assert found["time"] == "2026-11-30T07:11:15.120413Z"
    assert (found["host"], found["id"]) == ("ops01", "recovery-requested")
    assert r'by="a\"b\]c\\d e"' in found["data"]
    assert 'forced="true"' in found["data"]


def test_a_line_of_cef_keeps_its_bars_and_equals_signs_apart() -> None:
    line = cef(RECORD)
    header = re.split(r"(?<!\\)\|", line, maxsplit=7)
    assert header[:3] == ["CEF:0", "lpmkit", "lpmkit"]
    assert header[4:7] == ["recovery-requested", r"anna asked to recover p = now \| despite errors second line", "8"]
    facts = dict(re.findall(r"(\w+)=((?:[^=\\]|\\.)*?)(?= \w+=|$)", header[7]))
    assert facts["suser"] == 'an"na]'
    assert facts["cs3"] == "true"
    assert facts["msg"].startswith(r"anna asked to recover p \= now")
    assert "\n" not in line


def test_metrics_are_read_alike_by_both_readers() -> None:
    text = metrics_text([("run_phase", "The phase.", [({"partition": 'a"b\\c\nd'}, 1.0)]), ("empty", "Nothing.", [])])
    for read in (classic_metrics, open_metrics):
        (family,) = list(read(text))
        assert (family.name, family.type) == ("lpmkit_run_phase", "gauge")
        assert [(sample.labels, sample.value) for sample in family.samples] == [({"partition": 'a"b\\c\nd'}, 1.0)]


# --- receivers --------------------------------------------------------------------------------------------------------


def refusal(settings: Any, run: Run, records: list[AuditRecord] | None = None) -> NotDelivered:
    with pytest.raises(NotDelivered) as refused:
        made(settings).deliver([RECORD] if records is None else records, run)
    assert SECRET not in str(refused.value)
    return refused.value


def test_syslog_takes_every_record_with_its_length(run_folder: Run) -> None:
    records = records_of(run_folder)
    with loopback.receiver(loopback.takes_all) as server:
        made(sink("syslog", host="127.0.0.1", port=server.port)).deliver(records, run_folder)
    rest, messages = server.got[0], []
    while rest:
        length, _, rest = rest.partition(b" ")
        messages.append(rest[: int(length)])
        rest = rest[int(length) :]
    assert len(messages) == len(records)
    assert all(_MESSAGE.fullmatch(message.decode()) for message in messages)


@pytest.mark.parametrize(
    ("manner", "why"),
    [(loopback.never_closes, "took longer"), (loopback.resets, "reset")],
)
def test_syslog_that_does_not_take_it_is_noticed(manner: loopback.Manner, why: str, run_folder: Run) -> None:
    records = [RECORD] * 100  # more than a receiver's buffer takes unread
    with loopback.receiver(manner) as server:
        settings = sink("syslog", host="127.0.0.1", port=server.port, timeout_s=0.5)
        assert why in str(refusal(settings, run_folder, records)).lower()


def test_syslog_that_is_down_is_noticed(run_folder: Run) -> None:
    assert "refused" in str(refusal(sink("syslog", host="127.0.0.1", port=loopback.free_port()), run_folder))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 with its key, in one file."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "-", "-out", "-"]
    path.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    return path


def test_syslog_over_tls_trusts_what_it_is_told_to_and_nothing_else(run_folder: Run, certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with loopback.receiver(loopback.takes_all, context) as server:
        settings = sink("syslog", host="127.0.0.1", port=server.port, tls=True, ca_file=str(certificate))
        made(settings).deliver([RECORD], run_folder)
        assert b"recovery-requested" in server.got[0]
        unknown = sink("syslog", host="127.0.0.1", port=server.port, tls=True)
        assert "not trusted" in str(refusal(unknown, run_folder))
    with loopback.receiver(loopback.never_reads) as server:  # it never says a word of TLS
        silent = sink("syslog", host="127.0.0.1", port=server.port, tls=True, timeout_s=0.3)
        assert "took longer" in str(refusal(silent, run_folder))
    no_file = sink("syslog", host="127.0.0.1", port=1, tls=True, ca_file=str(certificate) + ".absent")
    assert refusal(no_file, run_folder).is_final


@pytest.mark.parametrize("kind", ["webhook", "ticket", "syslog"])
def test_a_certificate_of_another_name_gets_nothing(kind: str, own_run: Run, certificate: Path) -> None:
    """The certificate is trusted, and is of 127.0.0.1: the address in the site file says ``localhost``."""
    add_remark(own_run.path, "change", fields={"number": "7"}, by="anna")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with loopback.receiver(loopback.OK, context) as server:
        url = {"url": f"https://localhost:{server.port}"}
        of_kind: dict[str, dict[str, Any]] = {
            "webhook": url,
            "ticket": {**url, "token": "env:T", "attach": "none"},
            "syslog": {"host": "localhost", "port": server.port, "tls": True},
        }
        settings = of_kind[kind]
        refused = refusal(sink(kind, ca_file=str(certificate), **settings), own_run, records_of(own_run)[-1:])
        assert server.got == []
    assert "not trusted" in str(refused)


def test_a_webhook_gets_the_record_signed(run_folder: Run) -> None:
    with loopback.receiver(loopback.OK) as server:
        made(sink("webhook", url=server.url, secret="env:HOOK")).deliver([RECORD], run_folder)
    head, _, body = server.got[0].partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert json.loads(body)["id"] == RECORD.identity == headers["X-Lpmkit-Id"]
    signed = headers["X-Lpmkit-Timestamp"].encode() + b"." + body
    assert headers["X-Lpmkit-Signature"] == "sha256=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert SECRET.encode() not in server.got[0]


#: Answers that are none, why, and whether the same again would not help.
LIES = (
    (loopback.BROKEN, "answered 500: oops", False),
    (loopback.FORBIDDEN, "answered 403", True),
    (loopback.ELSEWHERE, "answered 302", True),
    (loopback.GARBAGE, "not HTTP", False),
    (loopback.HALF, "in the middle of its answer", False),
    (loopback.NOTHING, "without an answer", False),
    (loopback.drips, "took longer than 0.4 s", False),
)


@pytest.mark.parametrize(("manner", "why", "is_final"), LIES)
def test_a_webhook_that_lies_or_dawdles_took_nothing(
    manner: loopback.Manner, why: str, is_final: bool, run_folder: Run
) -> None:
    with loopback.receiver(manner) as server:
        refused = refusal(sink("webhook", url=server.url, timeout_s=0.4), run_folder)
    assert why in str(refused)
    assert refused.is_final is is_final


def test_a_file_gets_whole_lines_and_no_link_is_followed(run_folder: Run, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for _ in range(2):
        made(sink("file", path=str(path))).deliver(records_of(run_folder), run_folder)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 2 * len(records_of(run_folder))
    link = tmp_path / "link"
    link.symlink_to(path)
    assert "cannot be written" in str(refusal(sink("file", path=str(link)), run_folder))
    assert "cannot be written" in str(refusal(sink("file", path=str(tmp_path / "absent" / "x")), run_folder))


def test_the_metrics_of_a_finished_run_have_its_phase_and_its_figures(run_folder: Run, tmp_path: Path) -> None:
    made(sink("openmetrics", folder=str(tmp_path))).deliver(records_of(run_folder)[-1:], run_folder)
    (path,) = tmp_path.iterdir()
    assert path.name == "lpmkit-bxaix85.prom"
    for read in (classic_metrics, open_metrics):
        found = {family.name: family.samples for family in read(path.read_text(encoding="utf-8"))}
        assert [one.labels["phase"] for one in found["lpmkit_run_phase"] if one.value == 1] == ["stopped"]
        assert [one.labels["verdict"] for one in found["lpmkit_run_verdict"] if one.value == 1] == ["failed"]
    assert "is no folder" in str(refusal(sink("openmetrics", folder=str(tmp_path / "absent")), run_folder))


def test_a_collector_gets_the_newest_run_of_each_partition(tmp_path: Path) -> None:
    for name in ("stopped-move", "watch"):
        shutil.copytree(RUNS / name, tmp_path / name)
    odd = shutil.copytree(RUNS / "stopped-move", tmp_path / "odd")
    (odd / "run.json").write_text("{")
    older = shutil.copytree(RUNS / "stopped-move", tmp_path / "older")
    manifest = json.loads((older / "run.json").read_text())
    (older / "run.json").write_text(json.dumps({**manifest, "created": "2001-01-01T00:00:00+00:00"}))
    with server(address_of("0"), RunsFolder(tmp_path)) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()

        def asked(path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
            client = http.client.HTTPConnection("127.0.0.1", serving.server_port, timeout=60)
            client.request(method, path, headers=headers)
            answer = client.getresponse()
            return answer.status, answer.headers.get("Content-Type", ""), answer.read().decode()

        status, form, text = asked("/metrics", Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
        assert (status, form.partition(";")[0]) == (200, "application/openmetrics-text")
        assert asked("/metrics")[1:] == ("text/plain; version=0.0.4; charset=utf-8", text)
        assert asked("/metrics", "HEAD")[::2] == (200, "")
        assert [asked(path)[0] for path in ("/", "/metrics/../run.json", "/stopped-move/run.json")] == [404] * 3
        assert asked("/metrics", "POST")[0] == 501
        shutil.rmtree(tmp_path)
        assert asked("/metrics")[0] == 503, "no old figures"
        serving.shutdown()
    read: Any = open_metrics
    found = {family.name: family.samples for family in read(text)}
    assert {one.labels["run"] for one in found["lpmkit_run_info"]} == {"stopped-move", "watch"}
    assert [one.value for one in found["lpmkit_runs_unreadable"]] == [1]


@pytest.mark.parametrize("text", ["", "x", "65536", ":9464", "-1", "::1:9464", "host:"])
def test_what_is_no_address_is_not_listened_on(text: str) -> None:
    with pytest.raises(UsageError):
        address_of(text)


def test_the_metrics_are_printed_once(run_folder: Run) -> None:
    words = ["sinks", "metrics", "--runs", str(run_folder.path.parent)]
    text = CliRunner().invoke(main, words).stdout
    rows = json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)["metrics"]
    read: Any = open_metrics
    assert {family.name for family in read(text)} == {row["name"] for row in rows if row["samples"]}


def test_a_ticket_gets_a_note_and_an_attachment(own_run: Run) -> None:
    last = records_of(own_run)[-1:]
    with loopback.receiver(loopback.OK) as server:
        settings = sink("ticket", url=f"http://127.0.0.1:{server.port}/api", token="env:T", attach="none")
        missing = refusal(settings, own_run, last)
        assert missing.is_final
        assert "--number" in str(missing)
        add_remark(own_run.path, "change", fields={"number": "CHG 1"}, by="anna")
        made(settings).deliver(last, own_run)
    head, _, body = server.got[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/changes/CHG%201/notes HTTP/1.1")
    assert f"Authorization: Bearer {SECRET}".encode() in head
    assert json.loads(body).keys() == {"id", "run", "text"}
    with loopback.receiver(loopback.BROKEN) as server:
        down = sink("ticket", url=f"http://127.0.0.1:{server.port}/api", token="env:T", attach="none")
        assert "500" in str(refusal(down, own_run, last))


@pytest.mark.parametrize(("manner", "why", "is_final"), LIES)
def test_a_ticket_that_lies_or_dawdles_has_no_note(
    manner: loopback.Manner, why: str, is_final: bool, own_run: Run
) -> None:
    add_remark(own_run.path, "change", fields={"number": "7"}, by="anna")
    with loopback.receiver(manner) as server:
        settings = sink("ticket", url=f"http://127.0.0.1:{server.port}", token="env:T", attach="none", timeout_s=0.4)
        refused = refusal(settings, own_run, records_of(own_run)[-1:])
    assert why in str(refused)
    assert refused.is_final is is_final
    assert SECRET not in str(refused)


def test_an_attachment_of_a_ticket_is_the_write_up(own_run: Run) -> None:
    run = own_run
    add_remark(run.path, "change", fields={"number": "7"}, by="anna")
    with loopback.receiver(loopback.OK) as server:
        settings = sink("ticket", url=f"http://127.0.0.1:{server.port}", token="env:T", attach="md", timeout_s=10)
        made(settings).deliver(records_of(run)[-1:], run)
    head, _, body = server.got[1].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /changes/7/attachments?name=%s&id=" % f"{run.name}.{'md'}".encode())
    assert b"bxaix85" in body
    assert not (run.path / "write-up").exists(), "the run folder is left as it was"


def test_an_archive_is_whole_or_not_there(own_run: Run, tmp_path: Path) -> None:
    to = tmp_path / "archive"
    assert "is no folder" in str(refusal(sink("archive", to=str(to)), own_run))
    to.mkdir()
    for _ in range(2):  # the same again changes nothing
        made(sink("archive", to=str(to))).deliver([RECORD], own_run)
    folder = to / own_run.name
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    assert sorted(path.name for path in folder.iterdir()) == ["SHA256SUMS", "events.jsonl", "run.json"]
    (own_run.path / "events.jsonl").open("a").write("\n")
    assert "is another one" in str(refusal(sink("archive", to=str(to)), own_run))


def test_an_archive_goes_to_a_store_that_fsspec_knows(own_run: Run) -> None:
    made(sink("archive", to="memory://lpm-runs")).deliver([RECORD], own_run)
    store = fsspec.filesystem("memory")
    assert {Path(name).name for name in store.ls(f"/lpm-runs/{own_run.name}", detail=False)} == {
        "SHA256SUMS", "events.jsonl", "run.json",
    }  # fmt: skip
    store.pipe_file(f"/lpm-runs/{own_run.name}/SHA256SUMS", b"other")
    assert "is another one" in str(refusal(sink("archive", to="memory://lpm-runs"), own_run))


@pytest.mark.parametrize(("manner", "taken"), [(loopback.OK, True), *((manner, False) for manner, _, _ in LIES)])
def test_a_message_goes_where_apprise_sends_it_and_its_address_nowhere(
    manner: loopback.Manner, taken: bool, own_run: Run
) -> None:
    last = records_of(own_run)[-1:]
    with loopback.receiver(manner) as server:
        address = f"json://user:{SECRET}@127.0.0.1:{server.port}/?rto=1&cto=1"
        message = receiver("it", sink("message", to="env:PEOPLE", timeout_s=10.0 if taken else 0.5), lambda _: address)
        if taken:
            message.deliver(last, own_run)
            assert b"bxaix85" in server.got[0]
            return
        with pytest.raises(NotDelivered) as refused:
            message.deliver(last, own_run)
    assert SECRET not in str(refused.value)
    with pytest.raises(NotDelivered, match="none that apprise knows"):
        receiver("it", sink("message", to="env:PEOPLE"), lambda _: "no-such-thing").deliver(last, own_run)


def test_a_delivery_that_does_not_end_is_told_and_none_is_begun_beside_it() -> None:
    opened, begun = threading.Event(), []

    def stuck() -> None:
        begun.append(1)
        opened.wait()
        raise SystemExit("a library of others")

    limit = TimeLimit(0.05)
    for why in ("longer than 0.05 s", "has not ended yet"):
        with pytest.raises(NotDelivered, match=why):
            limit.call(stuck)
    assert begun == [1]
    opened.set()
    with pytest.raises(SystemExit, match="of others"):
        TimeLimit(30).call(stuck)


def test_a_pipe_in_the_place_of_a_file_holds_nobody(run_folder: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert str(refusal(sink("file", path=str(tmp_path / "pipe"), timeout_s=0.1), run_folder))


def test_a_name_that_takes_the_whole_time_to_reach_is_not_waited_for_again(
    run_folder: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second address of a name answers when the time is over, and then dawdles."""
    connect = socket.create_connection

    def late(address: tuple[str, int], timeout: float) -> socket.socket:
        threading.Event().wait(timeout + 0.1)
        return connect(address, timeout)

    with loopback.receiver(loopback.never_closes) as server:
        monkeypatch.setattr(socket, "create_connection", late)
        settings = sink("syslog", host="127.0.0.1", port=server.port, timeout_s=0.1)
        assert "took longer than 0.1 s" in str(refusal(settings, run_folder))
        assert server.got in ([], [b""])


# --- the courier ------------------------------------------------------------------------------------------------------


def with_sinks(run: Run, sinks: Mapping[str, Any]) -> Run:
    """The run, as if it had been recorded by a site with these sinks."""
    data = {name: settings.model_dump(mode="json") for name, settings in sinks.items()}
    write_document(run.path, "run", {**run.manifest, "site": {**run.manifest["site"], "sinks": data}})
    return Run(run.path)


def test_a_sink_that_is_down_keeps_no_other_waiting_and_is_told(own_run: Run, tmp_path: Path) -> None:
    with loopback.receiver(loopback.BROKEN) as server:
        sinks = {
            "down": sink("syslog", host="127.0.0.1", port=loopback.free_port(), give_up_s=0),
            "lies": sink("webhook", url=server.url, give_up_s=0),
            "file": sink("file", path=str(tmp_path / "audit.jsonl")),
            "secretless": sink("webhook", url=server.url, secret="env:LPMKIT_NO_SUCH_SECRET"),
            "unknown": sink("plugin", name="no-such-plugin"),
        }
        run = with_sinks(own_run, sinks)
        Courier(run, sinks, Secrets(may_ask=False)).carry()
    records = records_of(run)
    assert len((tmp_path / "audit.jsonl").read_text().splitlines()) == len(records)
    missed = {each.sink: each for each in undelivered(run)}
    assert missed.keys() == {"down", "lies", "secretless", "unknown"}
    assert {each.count for each in missed.values()} == {len(records)}
    assert "refused" in missed["down"].why
    assert "answered 500" in missed["lies"].why
    assert "LPMKIT_NO_SUCH_SECRET" in missed["secretless"].why
    assert "no plug-in 'no-such-plugin'" in missed["unknown"].why
    for each in missed.values():
        assert f"lpmkit sinks send {run.name}" in each.sentence(run.name)


def test_what_was_not_delivered_is_sent_again_and_nothing_twice(own_run: Run) -> None:
    records = records_of(own_run)
    with loopback.receiver(loopback.BROKEN) as server:
        sinks = {"hook": sink("webhook", url=server.url)}
        assert send_again(own_run, sinks, Secrets())["hook"][:2] == (0, len(records))
        assert len(server.got) == 1, "one that is down is asked once, not for every record"
    with loopback.receiver(loopback.OK) as server:
        sinks = {"hook": sink("webhook", url=server.url)}
        run = with_sinks(own_run, sinks)
        assert undelivered(run)[0].count == len(records)
        assert send_again(run, sinks, Secrets()) == {"hook": (len(records), 0, "")}
        assert send_again(run, sinks, Secrets()) == {"hook": (0, 0, "")}
        assert len(server.got) == len(records)
    assert undelivered(run) == []
    assert all(delivery.delivered for delivery in deliveries(run.path).values())


def test_the_command_sends_again_and_tells_what_is_left(own_run: Run, tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(
        f"runs: {{folder: runs}}\nsinks:\n  file: {{kind: file, path: audit.jsonl}}\n"
        f"  down: {{kind: syslog, host: 127.0.0.1, port: {loopback.free_port()}}}\n"
    )
    done = CliRunner().invoke(main, ["--site", str(site), "sinks", "send", own_run.name, "--json"])
    rows = {row["sink"]: row for row in json.loads(done.stdout)["sinks"]}
    assert done.exit_code == 3
    assert rows["file"]["sent"] == len(records_of(own_run)) == rows["down"]["undelivered"]
    only = CliRunner().invoke(main, ["--site", str(site), "sinks", "send", own_run.name, "--sink", "file"])
    assert (only.exit_code, "delivered" in only.stdout) == (0, True)


def test_a_server_that_sends_the_token_back_puts_it_in_no_file(own_run: Run, tmp_path: Path) -> None:
    add_remark(own_run.path, "change", fields={"number": "7"}, by="anna")

    with loopback.receiver(loopback.sends_back) as server:
        sinks = {"ticket": sink("ticket", url=f"http://127.0.0.1:{server.port}", token="env:T", attach="none")}
        secrets = Secrets({"env:T": SECRET}, may_ask=False)
        taken, _, why = send_again(with_sinks(own_run, sinks), sinks, secrets)["ticket"]
    assert SECRET.encode() in server.got[0]
    assert (taken, "answered 403" in why) == (0, True)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and SECRET[:8].encode() in path.read_bytes()]


def test_records_that_a_killed_courier_never_tried_are_not_delivered(own_run: Run) -> None:
    run = with_sinks(own_run, {"hook": sink("webhook", url="http://127.0.0.1:1/")})
    (missed,) = undelivered(run)
    assert (missed.count, missed.why) == (len(records_of(run)), "")


def test_the_courier_is_a_process_of_its_own_and_leaves_no_secret(
    own_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LPMKIT_HOOK", SECRET)
    with loopback.receiver(loopback.OK) as server:
        sinks = {"hook": sink("webhook", url=server.url, secret="env:LPMKIT_HOOK")}
        run = with_sinks(own_run, sinks)
        site, secrets = Site(sinks=sinks), Secrets(may_ask=False)
        secrets.get("env:LPMKIT_HOOK", "the sink hook")
        start_courier(run, site, secrets)
        assert wait_until(
            lambda: len(server.got) == len(records_of(run)) and not is_delivering(run.path),
            clock=Clock(),
            timeout_s=60,
        )
    assert b"X-Lpmkit-Signature: sha256=" in server.got[0]
    assert undelivered(run) == []
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
