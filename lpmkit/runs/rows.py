"""A sample as a row of text, the format between a probe's process and the samples files."""

from __future__ import annotations

from lpmkit.timeline import Sample

COLUMNS = (
    "seq",
    "due_ns",
    "sent_ns",
    "answered_ns",
    "remote_due_ns",
    "remote_mono_ns",
    "remote_wall_ns",
    "outcome",
    "detail",
)


def sample_line(sample: Sample) -> bytes:
    r"""One row of a samples file, with end of line.

    >>> from lpmkit.timeline import Outcome
    >>> sample_line(Sample(seq=7, due_ns=100, sent_ns=101, outcome=Outcome.SILENT, detail="gave up, 2 s"))
    b'7,100,101,,,,,silent,"gave up, 2 s"\n'
    """
    detail = sample.detail
    if detail and any(mark in detail for mark in ',"\r\n'):
        detail = '"' + detail.replace('"', '""').replace("\r", " ").replace("\n", " ") + '"'
    due, sent, answered = sample.due_ns, sample.sent_ns, sample.answered_ns
    remote_due, mono, wall = sample.remote_due_ns, sample.remote_mono_ns, sample.remote_wall_ns
    ours = f"{'' if due is None else due},{'' if sent is None else sent},{'' if answered is None else answered}"
    theirs = f"{'' if remote_due is None else remote_due},{'' if mono is None else mono},{'' if wall is None else wall}"
    return f"{sample.seq},{ours},{theirs},{sample.outcome},{detail}\n".encode()
