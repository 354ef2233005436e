"""The colours of every picture and page, and the order of the lanes: one table for live lanes, charts and tables.

Probes have Okabe and Ito's colours, which people with a colour deficiency tell apart; a lane has its name besides.
Signs are mixed with the ink of the page, so that they keep their contrast in a dark theme.
"""

from __future__ import annotations

from collections.abc import Mapping

INK, FAINT, PAPER = "#1b1f24", "#6a737d", "#ffffff"
COLOURS: Mapping[str, str] = {
    "ticks": "#0072b2",
    "echo": "#d55e00",
    "connect": "#009e73",
    "icmp": "#7b3294",
    "ack": "#56b4e9",
    "syn": "#a0522d",
    "ni": "#b8860b",
    "observer": FAINT,
}
#: A database's lane, and whatever is not in the table.
OTHER = "#cc79a7"
#: Lanes from the most precise to the least.
_ORDER: Mapping[str, int] = {"ticks": 0, "icmp": 1, "ack": 2, "syn": 3, "echo": 4, "ni": 5, "connect": 6}
_BEGINNINGS: Mapping[str, str] = {
    "ssh-ticks": "ticks",
    "ssh-echo": "echo",
    "ssh-acks": "ack",
    "tcp-syn": "syn",
    "tcp-connect": "connect",
    "icmp": "icmp",
    "sap-ni": "ni",
    "observer": "observer",
}


def kind_of(probe: str) -> str:
    """The kind of a probe by its name, empty where the table has none.

    >>> kind_of("ssh-ticks@bxaix85"), kind_of("sap-ni-3200"), kind_of("ora-BX5-sql")
    ('ticks', 'ni', '')
    """
    return next((kind for beginning, kind in _BEGINNINGS.items() if probe.startswith(beginning)), "")


def colour(kind: str) -> str:
    """Colour of a kind of probe, the same in all pictures."""
    return COLOURS.get(kind, OTHER)


def lane_order(probe: str, kind: str | None = None) -> tuple[str, int, str]:
    """The key by which lanes are sorted: by host, then the most precise first.

    >>> sorted(["tcp-connect", "ora-BX5", "ssh-ticks", "icmp"], key=lane_order)
    ['ssh-ticks', 'icmp', 'tcp-connect', 'ora-BX5']
    """
    return probe.partition("@")[2], _ORDER.get(kind_of(probe) if kind is None else kind, 9), probe


#: Sign, word and colour of each verdict; never the colour alone.
SIGNS: Mapping[str, tuple[str, str, str]] = {
    "pass": ("✓", "pass", "#1b7f4b"),
    "warn": ("!", "warn", "#9a6700"),
    "fail": ("✗", "FAIL", "#b42318"),
    "unknown": ("?", "unknown", "#6f42c1"),
    "not applicable": ("–", "not applicable", "#59636e"),
}


def sign_colour(verdict: str) -> str:
    """The colour of a verdict's text, as CSS: mixed with the ink of the page."""
    return f"color-mix(in srgb, var(--jp-content-font-color1, {INK}) 45%, {SIGNS[verdict][2]})"


#: Sign and colour of each class of an alert log's entries.
CLASSES: Mapping[str, tuple[str, str]] = {
    "fail": ("✗", "#b42318"),
    "warn": ("!", "#9a6700"),
    "unknown": ("?", "#7b3294"),
    "expected": ("✓", "#0072b2"),
}
