"""The sinks of a site file, each as something that takes audit records."""

from __future__ import annotations

import json
import os
import re
import socket
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlencode

from lpmkit.installed.extras import missing_extra
from lpmkit.installed.plugins import HOOKS, SINKS, load_plugin
from lpmkit.runs.audit import Action, AuditRecord
from lpmkit.runs.files import cannot_write, open_plain
from lpmkit.runs.folder import Run, write_file
from lpmkit.runs.remarks import remarks
from lpmkit.settings.sinks import (
    ArchiveSink,
    FileSink,
    HookSink,
    MessageSink,
    OpenMetricsSink,
    PluginSink,
    SyslogSink,
    TicketSink,
    WebhookSink,
    sink_references,
)
from lpmkit.sinks.archive import archive
from lpmkit.sinks.formats import as_data, cef, json_line, metrics_text, rfc5424, signature
from lpmkit.sinks.limited import TimeLimit
from lpmkit.sinks.outcome import headline, run_metrics
from lpmkit.sinks.wire import NotDelivered, post, send_stream, tls

#: Secrets by the name of a sink; raises `lpmkit.errors.UsageError` where there is none.
SecretOf = Callable[[str], str]
#: Shorter parts of an address are no secrets.
SHORTEST_PART = 6
#: The most records of one delivery where a receiver takes several.
BATCH = 100


class Receiver(Protocol):
    """Something that takes audit records. ``batch`` is the most that it takes at once."""

    batch: int

    def wants(self, record: AuditRecord) -> bool:
        """True for a record that goes there."""
        ...

    def deliver(self, records: Sequence[AuditRecord], run: Run) -> None:
        """Hand records over. Raises `NotDelivered`, or any other exception of a library behind it."""
        ...


class _Every:
    """Takes every record, many at once."""

    batch = BATCH

    def wants(self, record: AuditRecord) -> bool:
        """See `Receiver.wants`."""
        return True


class _AtTheEnd:
    """Takes the end of a run."""

    batch = 1

    def wants(self, record: AuditRecord) -> bool:
        """See `Receiver.wants`."""
        return record.action is Action.ENDED


class Syslog(_Every):
    """A syslog server; each message is preceded by its length (RFC 6587, 3.4.1; RFC 5425, 4.3)."""

    def __init__(self, settings: SyslogSink) -> None:
        self._settings = settings

    def deliver(self, records: Sequence[AuditRecord], run: Run) -> None:
        """See `Receiver.deliver`."""
        to, host = self._settings, socket.gethostname()
        messages = [
            rfc5424(record, to.facility, record.observer or host, cef(record) if to.format == "cef" else None)
            for record in records
        ]
        content = b"".join(b"%d %s" % (len(message), message) for message in messages)
        context = tls(to.ca_file, to.certificate, to.key) if to.tls else None
        send_stream(to.host, to.port, content, to.timeout_s, context)


class AuditFile(_Every):
    """A file of lines; a line is written whole, and never through a link."""

    def __init__(self, settings: FileSink) -> None:
        self._settings, self._limit = settings, TimeLimit(settings.timeout_s)

    def deliver(self, records: Sequence[AuditRecord], run: Run) -> None:
        """See `Receiver.deliver`."""
        form = cef if self._settings.format == "cef" else json_line
        content = "".join(f"{form(record)}\n" for record in records).encode()
        self._limit.call(lambda: self._append(content))

    def _append(self, content: bytes) -> None:
        try:
            with open_plain(self._settings.path, "ab") as file:
                size = os.fstat(file.fileno()).st_size
                try:
                    unwritten = memoryview(content)
                    while unwritten:
                        unwritten = unwritten[file.write(unwritten) or 0 :]
                    os.fsync(file.fileno())
                except OSError:
                    os.ftruncate(file.fileno(), size)
                    raise
        except OSError as error:
            raise NotDelivered(str(cannot_write(self._settings.path, error))) from error


class Webhook(_Every):
    """A web server that takes a record as JSON, signed where there is a secret."""

    batch = 1

    def __init__(self, settings: WebhookSink, secret: str | None) -> None:
        self._settings, self._secret = settings, secret

    def deliver(self, records: Sequence[AuditRecord], run: Run) -> None:
        """See `Receiver.deliver`."""
        for record in records:
            body = json.dumps(as_data(record), ensure_ascii=False).encode()
            timestamp = str(int(time.time()))
            headers = {
                "Content-Type": "application/json",
                "X-Lpmkit-Id": quote(record.identity, safe="/"),
                "X-Lpmkit-Timestamp": timestamp,
            }
            if self._secret is not None:
                headers["X-Lpmkit-Signature"] = f"sha256={signature(self._secret, timestamp, body)}"
            post(self._settings.url, body, headers, self._settings.timeout_s, self._settings.ca_file)


class OpenMetrics(_Every):
    """A text file for each partition, replaced as a whole; it holds the newest state of its newest run."""

    def __init__(self, settings: OpenMetricsSink) -> None:
        self._folder, self._limit = settings.folder, TimeLimit(settings.timeout_s)

    def deliver(self, records: Sequence[AuditRecord], run: Run) -> None:
        """See `Receiver.deliver`."""
        last = records[-1]
        name = quote(last.partition, safe="") or "run"
        content = metrics_text(run_metrics(run, last)).encode()
        self._limit.call(lambda: self._write(f"lpmkit-{name}.prom", content))

    def _write(self, name: str, content: bytes) -> None:
        if not self._folder.is_dir():
            raise NotDelivered(f"{self._folder} is no folder.")
        write_file(self._folder / name, content).chmod(0o644)  # node_exporter has an account of its own


class Ticket(_AtTheEnd):
    """The change record of a run: a work note, and the write-up as its attachment."""

    def __init__(self, settings: TicketSink, token: str) -> None:
        self._settings, self._token = settings, token

    def deliver(self, records: Sequence[AuditRecord], run: Run) -> None:
        """See `Receiver.deliver`."""
        to = self._settings
        number = change_number(run)
        if not number:
            raise NotDelivered(
                f"the run has no change number: `lpmkit remark {run.path} --number NUMBER` adds it.", is_final=True
            )
        base = f"{to.url.rstrip('/')}/changes/{quote(number, safe='')}"
        auth = {"Authorization": f"Bearer {self._token}"}
        for record in records:
            note = {"id": record.identity, "run": run.name, "text": headline(run)}
            headers = {"Content-Type": "application/json", **auth}
            post(f"{base}/notes", json.dumps(note, ensure_ascii=False).encode(), headers, to.timeout_s, to.ca_file)
            if to.attach != "none":
                self._attach(base, auth, run, record)

    def _attach(self, base: str, auth: Mapping[str, str], run: Run, record: AuditRecord) -> None:
        from lpmkit.report.writeup import write_up  # noqa: PLC0415 - loads the libraries of its forms

        to = self._settings
        with tempfile.TemporaryDirectory(prefix="lpmkit-ticket-") as folder:
            path = write_up(run, (to.attach,), language=to.language, output=Path(folder))[to.attach]
            query = urlencode({"name": f"{run.name}{path.suffix}", "id": record.identity})
            headers = {"Content-Type": "application/octet-stream", **auth}
            post(f"{base}/attachments?{query}", path.read_bytes(), headers, to.timeout_s, to.ca_file)


def change_number(run: Run) -> str:
    """The number of a run's change record, by the newest remark that names one; empty without one."""
    numbers = [remark.fields["number"] for remark in remarks(run.path)[0] if remark.fields.get("number")]
    return numbers[-1] if numbers else ""


class Archive(_AtTheEnd):
    """A place for the folders of finished runs."""

    def __init__(self, settings: ArchiveSink) -> None:
        self._to, self._limit = settings.to, TimeLimit(settings.timeout_s)

    def deliver(self, records: Sequence[AuditRecord], run: Run) -> None:
        """See `Receiver.deliver`."""
        self._limit.call(lambda: archive(run, self._to))


class Message(_AtTheEnd):
    """People, by whatever apprise knows: mail, Teams, Slack and others."""

    def __init__(self, settings: MessageSink, address: str) -> None:
        self._to, self._address, self._limit = settings.to, address, TimeLimit(settings.timeout_s)

    def deliver(self, records: Sequence[AuditRecord], run: Run) -> None:
        """See `Receiver.deliver`."""
        import apprise  # noqa: PLC0415 - an extra; loading it is no part of the delivery

        body = headline(run)
        titles = [f"lpmkit: {record.partition or run.name}" for record in records]
        self._limit.call(lambda: self._notify(apprise, titles, body))

    def _notify(self, apprise: Any, titles: Sequence[str], body: str) -> None:
        messenger = apprise.Apprise()
        if not messenger.add(self._address):
            # never the address itself: it holds a secret
            raise NotDelivered(f"the address behind {self._to} is none that apprise knows.", is_final=True)
        for title in titles:
            capture: Any = apprise.LogCapture
            with capture(level=apprise.logging.WARNING) as said:
                taken = messenger.notify(title=title, body=body)
                why = said.getvalue()
            if not taken:
                raise NotDelivered(f"the message was not taken. {without_address(why, self._address)}".strip())


def without_address(text: str, address: str) -> str:
    """The text that a library logged, without addresses and without the parts of ours, which are tokens and passwords.

    >>> without_address("404 of https://x/y: no hook T0AAAA/s3cr3t-t0ken", "slack://T0AAAA/B1/s3cr3t-t0ken")
    '404 of no hook …/…'
    """
    words = " ".join(word for word in text.split() if "://" not in word and "@" not in word)
    parts = re.split(r"[/?&=:@#]+", unquote(address.partition("://")[2]))
    for part in sorted((part for part in parts if len(part) >= SHORTEST_PART), key=len, reverse=True):
        words = words.replace(part, "…")
    return words


class Plugin:
    """A sink of a package of the site: what it raises is the reason why a record was not delivered."""

    batch = 1

    def __init__(self, name: str, settings: PluginSink, secret: str | None) -> None:
        make: Any = load_plugin(SINKS, settings.name)
        self._sink = make(name, dict(settings.settings), secret)
        self._limit = TimeLimit(settings.timeout_s)

    def wants(self, record: AuditRecord) -> bool:
        """See `Receiver.wants`."""
        wants = getattr(self._sink, "wants", None)
        try:
            return wants is None or bool(wants(record))
        except (Exception, SystemExit):  # noqa: BLE001 - it gets the record: what it raises then is told
            return True

    def deliver(self, records: Sequence[AuditRecord], run: Run) -> None:
        """See `Receiver.deliver`."""
        for record in records:
            self._limit.call(partial(self._sink.deliver, record, run.path))


class Hook(_Every):
    """A hook of a package of the site: a function of a record and the run's folder."""

    batch = 1

    def __init__(self, settings: HookSink) -> None:
        self._hook: Any = load_plugin(HOOKS, settings.name)
        self._limit = TimeLimit(settings.timeout_s)

    def deliver(self, records: Sequence[AuditRecord], run: Run) -> None:
        """See `Receiver.deliver`."""
        for record in records:
            self._limit.call(partial(self._hook, record, run.path))


#: The makers of receivers, by the kind of sink, from its name, its settings and its secret.
_MAKERS: Mapping[str, Callable[[str, Any, Any], Receiver]] = {
    "syslog": lambda _name, settings, _secret: Syslog(settings),
    "file": lambda _name, settings, _secret: AuditFile(settings),
    "webhook": lambda _name, settings, secret: Webhook(settings, secret),
    "openmetrics": lambda _name, settings, _secret: OpenMetrics(settings),
    "ticket": lambda _name, settings, secret: Ticket(settings, secret),
    "archive": lambda _name, settings, _secret: Archive(settings),
    "message": lambda _name, settings, secret: Message(settings, secret),
    "plugin": Plugin,
    "hook": lambda _name, settings, _secret: Hook(settings),
}


def receiver(name: str, settings: Any, secret_of: SecretOf) -> Receiver:
    """The receiver of a sink.

    Raises `lpmkit.errors.UsageError` where its secret, its extra or its plug-in is missing.
    """
    reference = sink_references({name: settings}).get(name)
    return _MAKERS[settings.kind](name, settings, None if reference is None else secret_of(reference))


def reason(error: BaseException) -> tuple[str, bool]:
    """The reason why something was not delivered, as a sentence, and true if the same again would not help."""
    if isinstance(error, NotDelivered):
        return str(error), error.is_final
    if isinstance(error, ModuleNotFoundError) and (missing := missing_extra(error)) is not None:
        return str(missing), True
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}." if text else f"{type(error).__name__}.", False
