"""Replies over HTTP with a bound on size and time: no endless body, no compressed bomb, no redirect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests
import urllib3

from lpmkit.errors import NoAnswer, UnexpectedReply
from lpmkit.timeline import Clock

#: The longest reply that is read, bytes. A job table of a week and a full alert tree have some megabytes.
MAX_REPLY = 32 << 20
#: The time for a whole reply, in time-outs of one read.
MAX_TIMEOUTS = 3
_PIECE = 1 << 16
#: Asked of every server: nothing compressed, because a small compressed reply can have any size.
PLAIN = {"Accept-Encoding": "identity"}


def exchange(
    session: requests.Session, method: str, url: str, *, where: str, timeout_s: float, **more: Any
) -> requests.Response:
    """Send one request and read its whole reply, at most `MAX_REPLY` bytes of it.

    Raises `lpmkit.errors.UnexpectedReply` for a redirect, a compressed or an endless reply, `lpmkit.errors.NoAnswer`
    for one that does not end in time, and what ``requests`` raises.
    """
    clock = Clock()
    deadline = clock.mono_ns() + int(MAX_TIMEOUTS * timeout_s * 1e9)
    headers: Mapping[str, str] = {**PLAIN, **more.pop("headers", {})}
    with session.request(
        method, url, headers=headers, timeout=timeout_s, allow_redirects=False, stream=True, **more
    ) as response:
        if response.is_redirect or response.is_permanent_redirect:
            place = response.headers.get("Location", "")
            raise UnexpectedReply(
                f"it redirects to {place[:200]!r}, which is not followed",
                where=where,
                next_step="Name the address that answers itself in the site file.",
            )
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise UnexpectedReply(f"its reply is compressed ({encoding[:40]}), which was not asked for", where=where)
        content = bytearray()
        try:
            while piece := response.raw.read1(_PIECE, decode_content=False):
                content += piece
                if len(content) > MAX_REPLY:
                    raise UnexpectedReply(
                        f"its reply is longer than {MAX_REPLY >> 20} MB and was not read further",
                        line=bytes(content[:80]).decode("latin-1"),
                        where=where,
                    )
                if clock.mono_ns() > deadline:
                    raise NoAnswer(f"its reply did not end within {MAX_TIMEOUTS * timeout_s:g} s", where=where)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise requests.Timeout(str(error)) from error
        except urllib3.exceptions.HTTPError as error:
            raise requests.ConnectionError(str(error)) from error
        response._content = bytes(content)
        response._content_consumed = True  # so that `content` gives what was read here
        return response
