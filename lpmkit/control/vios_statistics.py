"""Pages of statistics of an I/O server: ``entstat`` of a bridge, ``vasistat`` of the mover's device.

What is D is in tables named ``RECALLED_…``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from lpmkit.control.listings import lines, whole
from lpmkit.errors import UnexpectedReply
from lpmkit.inventory import (
    Trunk,
)

#: Words of the per-stream part of ``vasistat -all`` (D): no capture is known, the manual names only the quantities.
RECALLED_STREAM_TOTAL = "Total Bytes to Transfer"


RECALLED_STREAM_LEFT = "Bytes Left to Transfer"


@dataclass(frozen=True, slots=True)
class SharedEthernetStatistics:
    """``entstat -all SEA``: the trunks below it, and its high availability state where it has one."""

    sea: str
    trunks: tuple[Trunk, ...]
    vlan_ids: tuple[tuple[str, tuple[int, ...]], ...] = ()
    state: str | None = None
    link_up: bool | None = None


@dataclass(frozen=True, slots=True)
class MoverStatistics:
    """``vasistat``: what went through the mover's device. The stream figures are recalled and usually ``None``."""

    device: str
    packets_sent: int | None = None
    bytes_sent: int | None = None
    packets_received: int | None = None
    bytes_received: int | None = None
    stream_total_bytes: int | None = None
    stream_left_bytes: int | None = None


def read_shared_ethernet(text: str) -> SharedEthernetStatistics:
    r"""``entstat -all ent6``: VLANs, failover state and physical link of an SEA, and each trunk below it (`SNAP`, A).

    Lists of VLAN tags go on over following lines that begin with blanks. Counters are left alone.

    >>> text = '''ETHERNET STATISTICS (ent6) :
    ... Device Type: Shared Ethernet Adapter
    ... VLAN Ids :
    ...     ent4: 1
    ... Virtual Adapter: ent4
    ...
    ... Trunk Adapter: True
    ...   Priority: 1  Active: True
    ... Port VLAN ID:     1
    ... VLAN Tag IDs:   205   298
    ...                 299
    ... Switch ID: ETHERNET0
    ... '''
    >>> statistics = read_shared_ethernet(text)
    >>> statistics.vlan_ids, statistics.trunks[0].vlans, statistics.trunks[0].active
    ((('ent4', (1,)),), (1, 205, 298, 299), True)
    """
    page = lines(text)
    while page and not page[0].strip("- "):  # most levels begin with a rule of dashes, `SNAP` without
        page.pop(0)
    sea = page[0].partition("(")[2].partition(")")[0] if page else ""
    if not sea or not page[0].startswith("ETHERNET STATISTICS"):
        raise UnexpectedReply("the heading of entstat was expected", line=page[0] if page else None)
    starts = [at for at, line in enumerate(page) if line.startswith("Virtual Adapter:")]
    head = page[: starts[0]] if starts else page
    bounds = [*starts, len(page)]
    trunks = [_trunk(page[start:end]) for start, end in pairwise(bounds)]
    links = [(match[1].casefold(), match[2].casefold() == "up") for line in page if (match := _LINK.match(line))]
    if not links and any("Limbo" in _driver_flags(block) for block in _real_adapters(head)):
        links = [("driver flags", False)]
    logical = [up for label, up in links if label.startswith("logical")]
    physical = [up for label, up in links if not label.startswith("logical")]
    return SharedEthernetStatistics(
        sea,
        tuple(trunk for trunk in trunks if trunk is not None),
        _vlan_ids(head),
        _value_of(head, "State"),
        all(any(ups) for ups in (physical, logical) if ups) if links else None,
    )


#: The link of a port below an SEA, as ``entstat -all`` prints it for different drivers (`SNAP`, A); the logical one of
#: an SR-IOV or host Ethernet port may be down where the physical one is up.
_LINK = re.compile(
    r"\s*((?:Physical|Logical) Port Link (?:Status|State)|Link Status)\s*:\s*(Up|Down)\s*$", re.IGNORECASE
)


def _real_adapters(head: list[str]) -> list[list[str]]:
    """The pages of the physical adapters, which come before those of the virtual ones."""
    starts = [at for at, line in enumerate(head) if line.startswith("Real Adapter:")]
    return [head[start:end] for start, end in pairwise([*starts, len(head)])]


def _driver_flags(block: list[str]) -> list[str]:
    """The flags of a driver, which go on over following lines that begin with a tab; ``Limbo`` is a port without a
    link (`SNAP`, A).
    """
    starts = [at for at, line in enumerate(block) if line.startswith("Driver Flags:")]
    words = []
    for start in starts:
        words += block[start].partition(":")[2].split()
        for line in block[start + 1 :]:
            if not line.startswith("\t"):
                break
            words += line.split()
    return words


def _vlan_ids(head: list[str]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    starts = [at for at, line in enumerate(head) if line.split() == ["VLAN", "Ids", ":"]]
    adapters: list[tuple[str, tuple[int, ...]]] = []
    for line in head[starts[0] + 1 :] if starts else ():
        adapter, colon, ids = line.partition(":")
        if not line.startswith(" ") or not colon or not adapter.strip().startswith("ent"):
            break
        adapters.append((adapter.strip(), tuple(whole(word) for word in ids.split())))
    return tuple(adapters)


def _trunk(block: list[str]) -> Trunk | None:
    """One virtual adapter's page; None for one that is no trunk, such as a control channel."""
    if _value_of(block, "Trunk Adapter") != "True":
        return None
    port_vlan_id = _value_of(block, "Port VLAN ID")
    if port_vlan_id is None:
        raise UnexpectedReply("a trunk's Port VLAN ID is missing", line=block[0])
    active = next((line.rpartition("Active:")[2].strip() for line in block if "Active:" in line), None)
    return Trunk(
        block[0].partition(":")[2].strip(),
        whole(port_vlan_id),
        _tags(block),
        active=None if active is None else active == "True",
        vswitch=_value_of(block, "Switch ID"),
    )


def _value_of(block: list[str], label: str) -> str | None:
    return next((line.partition(":")[2].strip() for line in block if line.partition(":")[0].strip() == label), None)


def _tags(block: list[str]) -> tuple[int, ...]:
    """VLAN tags, with the continuation lines; ``None`` means an empty list."""
    starts = [at for at, line in enumerate(block) if line.startswith("VLAN Tag IDs:")]
    if not starts:
        return ()
    words = block[starts[0]].partition(":")[2].split()
    for line in block[starts[0] + 1 :]:
        if not line[:1].isspace() or not all(word.isdigit() for word in line.split()):
            break
        words.extend(line.split())
    return tuple(whole(word) for word in words if word != "None")


def read_mover(text: str) -> MoverStatistics:
    r"""``vasistat``: an entstat-like page of two columns, sent on the left and received on the right
    (`IBMDOC:p8hcg_vasistat`, B)::

        VASI STATISTICS (vasi0) :

        Transmit Statistics:                          Receive Statistics:
        --------------------                          -------------------
        Packets: 18231                                Packets: 3901
        Bytes: 1194721280                             Bytes: 249664

    The figures of a stream are recalled (D): taken where they are found, ``None`` otherwise.

    >>> text = '''VASI STATISTICS (vasi0) :
    ... Packets: 18231                                Packets: 3901
    ... Bytes: 1194721280                             Bytes: 249664
    ... '''
    >>> read_mover(text).bytes_sent, read_mover(text).bytes_received, read_mover(text).stream_total_bytes
    (1194721280, 249664, None)
    """
    page = [line for line in lines(text) if line.strip() and set(line) - {"-"}]
    if not page or not page[0].startswith("VASI STATISTICS ("):
        raise UnexpectedReply("the heading of vasistat was expected", line=page[0] if page else None)
    sent, received = ({}, {}) if not page else _two_columns(page[1:])
    return MoverStatistics(
        page[0].partition("(")[2].partition(")")[0],
        sent.get("Packets"),
        sent.get("Bytes"),
        received.get("Packets"),
        received.get("Bytes"),
        *recalled_stream(page),
    )


def _two_columns(page: list[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Counters of the left and of the right column; what comes first counts, since streams repeat the words."""
    columns: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for line in page:
        for part, column in zip((line[:46], line[46:]), columns, strict=True):
            label, _, value = part.partition(":")
            if value.strip().isascii() and value.strip().isdigit():
                column.setdefault(label.strip(), int(value))
    return columns


def recalled_stream(page: list[str]) -> tuple[int | None, int | None]:
    """Bytes to transfer and bytes left, by their recalled words (D).

    The one place to correct when a capture turns up.
    """
    figures = [_value_of(page, label) for label in (RECALLED_STREAM_TOTAL, RECALLED_STREAM_LEFT)]
    total, left = (int(figure) if figure and figure.isascii() and figure.isdigit() else None for figure in figures)
    return total, left
