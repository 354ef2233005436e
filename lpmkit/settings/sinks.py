"""The sinks of a site file: where the audit records of its runs go.

::

    sinks:
      siem: {kind: syslog, host: loghost, port: 6514, tls: true, ca_file: ca.pem}
      file: {kind: file, path: /var/log/lpmkit/audit.jsonl}
      hook: {kind: webhook, url: https://hooks.example.org/lpm, secret: keyring:hooks/lpmkit}
      node: {kind: openmetrics, folder: /var/lib/node_exporter}
      change: {kind: ticket, url: https://tickets.example.org/api, token: keyring:tickets/lpmkit}
      archive: {kind: archive, to: /srv/lpm-runs}
      people: {kind: message, to: keyring:messages/lpm}

A sink never holds a move back; what it did not take is reported and can be sent again (docs/sinks.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from lpmkit.settings.part import SettingsPart
from lpmkit.settings.references import Reference, WebAddress

#: The kinds that take the end of a run only.
AT_THE_END = frozenset({"ticket", "archive", "message"})


class _Sink(SettingsPart):
    """``timeout_s`` limits one delivery as a whole, ``give_up_s`` all tries after the end of the run."""

    timeout_s: float = Field(default=10.0, gt=0, le=300)
    give_up_s: float = Field(default=300.0, ge=0, le=24 * 3600)


class SyslogSink(_Sink):
    """Audit records to a syslog server over TCP, or TLS: RFC 5424, or with ``format: cef`` CEF inside of it.

    ``facility`` is the number of the facility (13: log audit, 16 to 23: local use). ``certificate`` and ``key`` are
    files in PEM for a server that wants a certificate of ours.
    """

    kind: Literal["syslog"]
    host: str = Field(min_length=1)
    port: int = Field(default=601, ge=1, le=65535)
    tls: bool = False
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    format: Literal["rfc5424", "cef"] = "rfc5424"
    facility: int = Field(default=13, ge=0, le=23)


class FileSink(_Sink):
    """Audit records as lines appended to a file: JSON, or CEF."""

    kind: Literal["file"]
    path: Path
    format: Literal["json", "cef"] = "json"


class WebhookSink(_Sink):
    """Each audit record as JSON in a POST, signed with ``secret`` (HMAC-SHA256) where one is named."""

    kind: Literal["webhook"]
    url: WebAddress
    secret: Reference | None = None
    ca_file: Path | None = None


class OpenMetricsSink(_Sink):
    """A text file of metrics for each partition in ``folder``, for node_exporter's textfile collector."""

    kind: Literal["openmetrics"]
    folder: Path


class TicketSink(_Sink):
    """A work note on the run's change record, and the write-up as its attachment (docs/sinks.md states the contract).

    ``attach`` is the form of the write-up; ``none`` leaves it out.
    """

    kind: Literal["ticket"]
    url: WebAddress
    token: Reference
    ca_file: Path | None = None
    attach: Literal["pdf", "html", "docx", "md", "zip", "none"] = "pdf"
    language: Literal["en", "de"] = "en"


class ArchiveSink(_Sink):
    """The folder of a finished run, copied to a folder, or to an address that fsspec knows (``s3://``, ``sftp://``)."""

    kind: Literal["archive"]
    to: str = Field(min_length=1, pattern=r"^[^@]*$")
    timeout_s: float = Field(default=300.0, gt=0, le=3600)


class MessageSink(_Sink):
    """A message at the end of a run, by mail, Teams, Slack or what else apprise knows; ``to`` is a reference to its
    address, which holds a secret.
    """

    kind: Literal["message"]
    to: Reference


class HookSink(_Sink):
    """A hook of a package of the site (entry point ``lpmkit.hooks``), which gets every record; it needs no settings."""

    kind: Literal["hook"] = "hook"
    name: str


class PluginSink(_Sink):
    """A sink of a package of the site (entry point ``lpmkit.sinks``), with its own ``settings``."""

    kind: Literal["plugin"]
    name: str = Field(min_length=1)
    secret: Reference | None = None
    settings: dict[str, Any] = Field(default_factory=dict)


SinkSettings = Annotated[
    SyslogSink | FileSink | WebhookSink | OpenMetricsSink | TicketSink | ArchiveSink | MessageSink | PluginSink,
    Field(discriminator="kind"),
]


def sink_references(sinks: Mapping[str, Any]) -> dict[str, str]:
    """The references to secrets of sinks, by the names of the sinks."""
    field_of = {"webhook": "secret", "ticket": "token", "message": "to", "plugin": "secret"}
    found = {name: getattr(sink, field_of[sink.kind]) for name, sink in sinks.items() if sink.kind in field_of}
    return {name: reference for name, reference in found.items() if reference is not None}


def absolute_sink(sink: Any, folder: Path) -> Any:
    """A sink with its paths taken from ``folder``."""
    changed: dict[str, Any] = {
        name: folder / path.expanduser()
        for name in ("path", "folder", "ca_file", "certificate", "key")
        if (path := getattr(sink, name, None)) is not None
    }
    if sink.kind == "archive" and "://" not in sink.to:
        changed["to"] = str(folder / Path(sink.to).expanduser())
    return sink.model_copy(update=changed)
