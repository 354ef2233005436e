"""Events of a record as sentences, without raw values, empty fields or JSON.

A kind of event without a sentence of its own is shown by its fields: names as words, times with a unit, nothing that is
empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from lpmkit.json_values import JsonMapping
from lpmkit.timeline import Event

#: Longer texts are cut.
_LONGEST = 240
#: Sentences of kinds of events; a place whose field is empty makes the sentence fall back on the fields.
_SENTENCES: Mapping[str, str] = {
    "control-lost": "{where} does not answer: {error}",
    "control-back": "{where} answers again",
    "probe-trouble": "{probe}: {what}",
    "probe-ended": "{probe} ended",
    "ni-connection": "{probe}: connection {connection} to {address}",
    "ni-lost": "{probe}: connection lost: {why}",
    "alert-log": "{probe}: follows {path}",
    "conductor-ended": "{why}",
    "note": "{text}",
    "guard": "guard: {text}",
    "login": "{probe}: the same login, process {remote_pid}",
    "moving": "{partition} is being moved; run {run}",
    "preparing": "{partition} is being prepared",
}
_REQUESTS: Mapping[str, str] = {"migrate": "move", "stop": "stop", "recover": "recovery", "end": "end of the recording"}


def event_text(event: Event) -> str:
    """An event as a sentence.

    >>> event_text(Event(0, 0, 1, "recorder", "answer", {"what": "migrate", "status": None, "text": ""}))
    'answer to the move: no exit status yet'
    >>> event_text(Event(0, 0, 1, "recorder", "intent", {"what": "migrate", "order": {"partition": "bxaix85",
    ...     "source": "bvio82", "target": "bvio83", "mapping": {}}}))
    'asks for the move of bxaix85 from bvio82 to bvio83'
    """
    told = _OWN.get(event.kind)
    text = told(event.data) if told else ""
    if not text and event.kind in _SENTENCES:
        text = _filled(_SENTENCES[event.kind], event.data)
    return _short(text or fields_text(event.data) or event.kind)


def _filled(sentence: str, data: JsonMapping) -> str:
    places = {name: shown(value) for name, value in data.items()}
    try:
        text = sentence.format(**places)
    except (KeyError, IndexError):
        return ""
    return "" if any(f"{{{name}}}" in sentence and not value for name, value in places.items()) else text


def fields_text(data: JsonMapping) -> str:
    """The fields of an event as words: "local address 127.0.0.1 52422, interval 10 ms"."""
    parts = [(name, shown(value, name)) for name, value in data.items()]
    return ", ".join(f"{_name(name)} {text}" for name, text in parts if text)


def _name(name: str) -> str:
    return name.removesuffix("_ns").removesuffix("_s").replace("_", " ")


def shown(value: Any, name: str = "") -> str:
    """A value of an event as text; empty for nothing.

    >>> shown(10_000_000, "interval_ns"), shown("20261130071209", "logon_time"), shown(None), shown(True)
    ('10 ms', '2026-11-30 07:12:09', '', 'yes')
    """
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{_name(str(key))} {shown(item, str(key))}" for key, item in value.items() if shown(item))
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, (shown(item) for item in value)))
    if isinstance(value, int | float):
        return _number(value, name)
    return _moment(str(value)) if name.endswith(("_time", "started")) else str(value)


def _number(value: float, name: str) -> str:
    if name in {"since_ns", "mono_ns"}:
        return ""  # a time of this boot alone
    if name.endswith("_ns"):
        return f"{value / 1e6:g} ms"
    if name.endswith("started") and value > 1e9:
        return f"{datetime.fromtimestamp(value, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"{value:.1f} s" if name.endswith("_s") else f"{value:g}" if isinstance(value, float) else str(value)


def _moment(text: str) -> str:
    """A time stamp of Oracle as other times are written; any other text unchanged."""
    try:
        return f"{datetime.strptime(text, '%Y%m%d%H%M%S'):%Y-%m-%d %H:%M:%S}"  # noqa: DTZ007 - the database's own time
    except ValueError:
        return text


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST].rpartition(' ')[0] or text[:_LONGEST]} …"


# --- kinds with a sentence of their own -----------------------------------------------------------------------------


def _phase(data: JsonMapping) -> str:
    word, why = str(data.get("phase") or ""), str(data.get("why") or "")
    return f"{word} — {why}" if why and why != word else word


def _log(data: JsonMapping) -> str:
    form = "its local time" if data.get("log") in ("syslog", "nmon") else "its local time, MMDDhhmmYY"
    told = ": ".join(filter(None, (shown(data.get("resource")), shown(data.get("description")))))
    return f"{data.get('where')} {data.get('log')} {data.get('stamp')} ({form}): {told}"


def _request(data: JsonMapping) -> str:
    what = str(data.get("what") or "")
    force = " with force" if data.get("force") else ""
    by = f" by {data['by']}" if data.get("by") else ""
    return f"{_REQUESTS.get(what, what)}{force} requested{by}"


def _intent(data: JsonMapping) -> str:
    order = data.get("order")
    what = str(data.get("what") or "")
    text = f"asks for the {_REQUESTS.get(what, what)}{' with force' if data.get('force') else ''}"
    if isinstance(order, Mapping) and order.get("partition"):
        text += f" of {order['partition']} from {order.get('source', '?')} to {order.get('target', '?')}"
    return text


def _answer(data: JsonMapping) -> str:
    what, status, text = str(data.get("what") or ""), data.get("status"), str(data.get("text") or "").strip()
    head = f"answer to the {_REQUESTS.get(what, what)}: " + (
        "no exit status yet" if status is None else f"exit status {status}"
    )
    return f"{head}: {text}" if text else head


def _started(data: JsonMapping) -> str:
    again = "attached again" if data.get("resumed") else "started"
    return f"recorder {again}" + (f" (process {data['pid']})" if data.get("pid") else "")


def _ended(data: JsonMapping) -> str:
    reason = str(data.get("reason") or "")
    return f"recording ended: {_ENDS.get(reason, reason)}" if reason else "recording ended"


#: Reasons of a recorder's end that are the last phase of its move.
_ENDS: Mapping[str, str] = {
    "settled": "moved",
    "failed": "not moved",
    "stopped": "move stopped",
    "needs-recovery": "migration interrupted",
}


def _tail_over(data: JsonMapping) -> str:
    on = float(data.get("goes_on_s") or 0)
    more = f"; reading logs for {on:.0f} s more" if on else ""
    return f"observation after the move ended{more}"


def _session(data: JsonMapping) -> str:
    number = data.get("connection")
    return f"{data.get('probe')}: session {number} open, process {shown(data.get('remote_pid')) or '?'}"


def _db_session(data: JsonMapping) -> str:
    since = shown(data.get("logon_time"), "logon_time")
    text = f"{data.get('probe')}: session {data.get('connection')} of {shown(data.get('instance')) or 'the database'}"
    parts = [f"status {data['status']}" if data.get("status") else "", f"logged on {since}" if since else ""]
    return ", ".join(filter(None, (text, *parts)))


def _sap_way(data: JsonMapping) -> str:
    what = str(data.get("question") or "").replace("_", " ")
    what = {"queues": "dispatcher queues"}.get(what, what)
    how = f"by {data['way']}" if data.get("way") else str(data.get("why") or "no answer")
    joint = " " if data.get("way") else ": "
    return f"{data.get('probe')}: {what}{joint}{how.replace('provides it', 'provides them')}"


def _over(data: JsonMapping) -> str:
    return ": ".join(filter(None, (f"{data.get('partition')} {data.get('stage')}", shown(data.get("why")))))


_OWN: Mapping[str, Callable[[JsonMapping], str]] = {
    "phase": _phase,
    "log": _log,
    "request": _request,
    "intent": _intent,
    "answer": _answer,
    "recorder-started": _started,
    "recorder-ended": _ended,
    "tail-over": _tail_over,
    "session": _session,
    "db-session": _db_session,
    "over": _over,
    "sap-way": _sap_way,
}
