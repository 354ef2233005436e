"""The I/O server: mappings, bridges, disks, paths, and the mover's own counters.

Over a connection without a terminal the commands of a VIOS carry the prefix ``ioscli`` (`NOVA-IVM`, C); through an HMC
they carry none. Layouts are those of `SNAP`, `ZIU` and `NOVA-IVM`, marks A and B unless a docstring says otherwise.
What is D is in tables named ``RECALLED_…``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

from lpmkit.control.aix import one_line, read_errpt
from lpmkit.control.firmware import FirmwareLevel, read_firmware
from lpmkit.control.listings import known, lines, split, understood, whole
from lpmkit.errors import CommandRefused, UnexpectedReply
from lpmkit.inventory import (
    ClusterNode,
    Device,
    DiskPath,
    ErrorEntry,
    FcPort,
    MultipathDisk,
    MultipathPath,
    PhysicalDisk,
    SharedEthernet,
    StorageCluster,
    Trunk,
    VirtualFcServer,
    VirtualScsiServer,
    VirtualTarget,
)
from lpmkit.ssh.session import Session

Value = TypeVar("Value")

NO_TARGET = "NO VIRTUAL TARGET DEVICE FOUND"
NO_SEA = "NO SHARED ETHERNET ADAPTER FOUND"
#: ``cluster -list`` of a server that is in no cluster (D).
NOT_CLUSTERED = re.compile(r"Cluster does not exist|not (currently )?configured|no clusters?\b", re.IGNORECASE)
NO_MULTIPATH = "No device file found"
#: Labels are padded to this column (`SNAP`, A); the negative answer of ``lsmap -net`` is not, so known labels are told
#: by name.
LABEL_WIDTH = 22
TARGET_LABELS = ("VTD", "Status", "LUN", "Backing device", "Physloc", "Mirrored")
BRIDGE_LABELS = ("SEA", "Backing device", "Status", "Physloc")
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


def read_scsi_map(text: str) -> tuple[VirtualScsiServer, ...]:
    r"""``lsmap -all``::

        SVSA            Physloc                                      Client Partition ID
        --------------- -------------------------------------------- ------------------
        vhost0          U9117.MMD.1045EE7-V2-C31                     0x0000000e

        VTD                   dwaf_app1
        Status                Available
        LUN                   0x8200000000000000
        Backing device        hdisk5
        Physloc               U2C4E.001.DBJ2560-P2-C5-T1-W50060E80166C4977-L1000000000000

    The server adapters with their clients (0 is none or any) and what hangs on them. `SNAP`, A; old levels have no
    ``Mirrored`` line, very old ones no ``Status`` (`ZIU`, `GIB-JS22`, A), and some print no empty line between
    adapters.

    >>> text = '''SVSA            Physloc                                      Client Partition ID
    ... --------------- -------------------------------------------- ------------------
    ... vhost0          U9117.MMD.1045EE7-V2-C31                     0x0000000e
    ...
    ... VTD                   NO VIRTUAL TARGET DEVICE FOUND
    ... '''
    >>> read_scsi_map(text)
    (VirtualScsiServer(name='vhost0', physloc='U9117.MMD.1045EE7-V2-C31', client_lpar_id=14, targets=()),)
    """
    return tuple(_scsi_server(block) for block in _blocks(lines(text), "SVSA"))


def _blocks(rows: Iterable[str], heading: str) -> list[list[str]]:
    """Groups of lines, each begun by the heading; the heading and its rule of dashes are taken off, empty lines too."""
    blocks: list[list[str]] = []
    for line in filter(str.strip, rows):
        if line.split()[0] == heading:
            blocks.append([])
        elif not blocks:
            raise UnexpectedReply(f"the heading {heading} was expected first", line=line)
        elif not set(line) <= {"-", " "}:
            blocks[-1].append(line)
    if any(not block for block in blocks):
        raise UnexpectedReply(f"a heading {heading} has no row below it")
    return blocks


def _scsi_server(block: list[str]) -> VirtualScsiServer:
    fields = block[0].split()
    if len(fields) != 3:
        raise UnexpectedReply("three columns were expected", line=block[0])
    name, physloc, client = fields
    return VirtualScsiServer(name, physloc, _hexadecimal(client, block[0]), _targets(block[1:]))


def _hexadecimal(word: str, line: str) -> int:
    try:
        return int(word, 16)
    except ValueError as trouble:
        raise UnexpectedReply("a hexadecimal partition id was expected", line=line) from trouble


def _targets(body: list[str]) -> tuple[VirtualTarget, ...]:
    targets: list[dict[str, str]] = []
    for line in body:
        label, value = _labelled(line, TARGET_LABELS)
        if NO_TARGET in (line.strip(), value):
            continue
        if label == "VTD":
            targets.append({})
        elif not targets:
            raise UnexpectedReply("a virtual target begins with VTD", line=line)
        targets[-1][label] = value
    return tuple(_target(fields) for fields in targets)


def _labelled(line: str, labels: Sequence[str]) -> tuple[str, str]:
    """A label and its value, which may be missing.

    An unknown label is passed on; a line without the layout is refused.
    """
    if line.strip() in (NO_TARGET, NO_SEA):
        return "", line.strip()
    for label in labels:
        if line == label or line.startswith(label + " "):
            return label, line[len(label) :].strip()
    label, gap, value = line[: LABEL_WIDTH - 1].rstrip(), line[LABEL_WIDTH - 1 : LABEL_WIDTH], line[LABEL_WIDTH:]
    if not label or line[0].isspace() or gap not in (" ", ""):
        raise UnexpectedReply("this line is not of lsmap's layout", line=line)
    return label, value.strip()


def _target(fields: dict[str, str]) -> VirtualTarget:
    return VirtualTarget(
        name=fields["VTD"],
        lun=fields.get("LUN", ""),
        backing=fields.get("Backing device", ""),
        status=fields.get("Status"),
        physloc=fields.get("Physloc") or None,
        mirrored=fields.get("Mirrored"),
    )


def read_network_map(text: str) -> tuple[SharedEthernet, ...]:
    r"""``lsmap -all -net``::

        SVEA   Physloc
        ------ --------------------------------------------
        ent4   U9117.MMD.1045EE7-V2-C4-T1

        SEA                 NO SHARED ETHERNET ADAPTER FOUND

    Each virtual trunk and the bridge over it, if there is one. `SNAP`, `ZIU`, A (the negative answer is padded
    otherwise).

    >>> text = '''SVEA   Physloc
    ... ------ --------------------------------------------
    ... ent4   U9117.MMD.1045EE7-V2-C4-T1
    ...
    ... SEA                 NO SHARED ETHERNET ADAPTER FOUND
    ... '''
    >>> read_network_map(text)[0].sea is None
    True
    """
    return tuple(_shared_ethernet(block) for block in _blocks(lines(text), "SVEA"))


def _shared_ethernet(block: list[str]) -> SharedEthernet:
    head = block[0].split()
    if len(head) != 2:
        raise UnexpectedReply("two columns were expected", line=block[0])
    fields = dict(_labelled(line, BRIDGE_LABELS) for line in block[1:])
    sea = fields.get("SEA")
    if sea is None and "" not in fields:
        raise UnexpectedReply("the line SEA is missing", line=block[0])
    if sea is None or sea == NO_SEA:
        return SharedEthernet(head[0], head[1])
    return SharedEthernet(
        head[0], head[1], sea, fields.get("Backing device"), fields.get("Status"), fields.get("Physloc") or None
    )


NPIV_FIELDS = 12
#: Fields of ``lspath -fmt``.
PATH_FIELDS = 4
#: ``lsmap -npiv``, ``-vnic`` and ``lsnports`` end so where there is nothing of the kind (C `ANS-VIOS`, which calls 63
#: "not a virtual FC adapter").
NOTHING_OF_THE_KIND = (63, 69, 88)


def read_fc_map_fields(text: str) -> tuple[VirtualFcServer, ...]:
    r"""``lsmap -all -npiv -fmt :``, twelve fields, an empty one being one blank (`ANS-VIOS`, C; what they mean `ZIU`,
    A)::

        vfchost0:U8286.42A.21A3F5C-V1-C21:4:p8npiv01:AIX:LOGGED_IN:fcs0:U78C9.001.WZS0A1B-P1-C12-T1:1:a:fcs0:U8286.42A.21A3F5C-V4-C5

    >>> server, = read_fc_map_fields("vfchost1:U1-V1-C22:7: : :NOT_LOGGED_IN: : :0:1: : \n")
    >>> server.client_lpar_id, server.slot, server.port
    (7, 22, None)
    """
    return tuple(_fc_server(line) for line in lines(text) if line.strip())


def _fc_server(line: str) -> VirtualFcServer:
    parts = split(line, ":")
    if (more := len(parts) - NPIV_FIELDS) > 0:  # the name of a partition may hold the delimiter
        parts[3 : 4 + more] = [":".join(parts[3 : 4 + more])]
    fields = [known(field.strip()) for field in parts]
    if len(fields) != NPIV_FIELDS or fields[0] is None or fields[1] is None or fields[2] is None:
        raise UnexpectedReply(f"{NPIV_FIELDS} fields were expected", line=line)
    name, physloc, client_id, client, client_os, status, port, location, logged_in, flags, device, place = fields
    return VirtualFcServer(
        f"{name}", f"{physloc}", whole(f"{client_id}"), client, client_os, status, port, location,
        whole(logged_in) if logged_in else None, flags, device, place,
    )  # fmt: skip


def read_fc_ports(text: str) -> tuple[FcPort, ...]:
    r"""``lsnports``: physical ports that take virtual adapters, with what they have in all and what is left (`ZIU`, A;
    a label from VIOS 3.1.1)::

        name             physloc                        fabric tports aports swwpns  awwpns
        fcs0             U5803.001.9SS99BC-P2-C6-T1          1     64     43   2048    1967

    >>> port, = read_fc_ports("name physloc fabric tports aports swwpns awwpns\n"
    ...     "fcs0 U5803.001.9SS99BC-P2-C6-T1 1 64 43 2048 1967\n")
    >>> port.ports_left, port.fabric
    (43, True)
    """
    rows = [line.split() for line in lines(text) if line.strip()]
    if not rows:
        return ()
    if [word.casefold() for word in rows[0][:7]] != [
        "name",
        "physloc",
        "fabric",
        "tports",
        "aports",
        "swwpns",
        "awwpns",
    ]:
        raise UnexpectedReply("the heading of lsnports was expected", line=" ".join(rows[0]))
    return tuple(_fc_port(fields) for fields in rows[1:])


def _fc_port(fields: list[str]) -> FcPort:
    if len(fields) < 7:
        raise UnexpectedReply("this is not a row of lsnports", line=" ".join(fields))
    ports, ports_left, wwpns, wwpns_left = (whole(word) for word in fields[3:7])
    return FcPort(fields[0], fields[1], fields[2] == "1", ports, ports_left, wwpns, wwpns_left)


def read_disks(text: str) -> tuple[PhysicalDisk, ...]:
    r"""``lspv``, and ``lspv -size``, told apart by their headings (`IBMDOC:lspv`, B; widths D, so columns are told by
    words)::

        NAME             PVID                                 VG               STATUS
        hdisk0           000071da3f1b6d20                     rootvg           active
        hdisk1           00c71da1e5b1f0a2                     None

        NAME            PVID                                SIZE(megabytes)
        hdisk0          000071da3f1b6d20                    70006

    >>> read_disks("NAME PVID VG STATUS\nhdisk1 none None\n")
    (PhysicalDisk(name='hdisk1', pvid=None, volume_group=None, unique_id=None, reserve_policy=None, size_mb=None),)
    >>> read_disks("NAME PVID SIZE(megabytes)\nhdisk1 00c71da1e5b1f0a2 20480\n")[0].size_mb
    20480
    """
    rows = [line for line in lines(text) if line.strip()]
    if not rows:
        return ()
    heading = rows[0].split()
    if heading == ["NAME", "PVID", "SIZE(megabytes)"]:
        return tuple(_sized_disk(line) for line in rows[1:])
    if heading == ["NAME", "PVID", "VG", "STATUS"]:
        return tuple(_listed_disk(line) for line in rows[1:])
    raise UnexpectedReply("the heading of lspv was expected", line=rows[0])


def _listed_disk(line: str) -> PhysicalDisk:
    fields = line.split()
    if not 3 <= len(fields) <= 4:
        raise UnexpectedReply("this is not a row of lspv", line=line)
    return PhysicalDisk(fields[0], pvid=_unless_none(fields[1]), volume_group=_unless_none(fields[2]))


def _sized_disk(line: str) -> PhysicalDisk:
    fields = line.split()
    if len(fields) != 3:
        raise UnexpectedReply("this is not a row of lspv -size", line=line)
    return PhysicalDisk(fields[0], pvid=_unless_none(fields[1]), size_mb=whole(fields[2]))


def _unless_none(word: str) -> str | None:
    return None if word.casefold() == "none" else word


def read_devices(text: str) -> tuple[Device, ...]:
    r"""``lsdev -virtual`` and ``lsdev -dev vasi0`` (`SNAP`, A)::

        name             status      description
        vasi0            Available   Virtual Asynchronous Services Interface (VASI)
        vhost0           Available   Virtual SCSI Server Adapter

    >>> read_devices("name             status      description\n"
    ...     "vasi0            Available   Virtual Asynchronous\n")[0].status
    'Available'
    """
    rows = [line for line in lines(text) if line.strip()]
    if rows and rows[0].split() != ["name", "status", "description"]:
        raise UnexpectedReply("the heading of lsdev was expected", line=rows[0])
    return tuple(_device(line) for line in rows[1:])


def _device(line: str) -> Device:
    fields = line.split(None, 2)
    if len(fields) < 2 or line[0].isspace():
        raise UnexpectedReply("this is not a row of lsdev", line=line)
    return Device(fields[0], fields[1], fields[2].strip() if len(fields) == 3 else "")


def read_attribute(text: str) -> str:
    r"""``lsdev -dev X -attr A``: the word ``value``, an empty line, the value, which may hold blanks (`NOVA-IVM`, A)::

        value

        no_reserve

    >>> read_attribute("value\n\n240C50 13413252806OPEN-V07HITACHIfcp\n")
    '240C50 13413252806OPEN-V07HITACHIfcp'
    """
    rows = [line.strip() for line in lines(text) if line.strip()]
    if not rows or rows[0] != "value" or len(rows) > 2:
        raise UnexpectedReply("the word 'value' and one value were expected", line=rows[0] if rows else None)
    return rows[1] if len(rows) == 2 else ""


def read_level(text: str) -> str:
    r"""``ioslevel``: four numbers, in the years around 2008 with a fix pack behind them (`ANS-VIOS`, C; the suffix D)::

        1.5.1.1-FP-10.1

    >>> read_level("1.5.1.1-FP-10.1\n"), read_level("2.2.3.4\n")
    ('1.5.1.1-FP-10.1', '2.2.3.4')
    """
    level = one_line(text, r"\d+\.\d+\.\d+.*")
    numbers = level.partition("-")[0].split(".")
    if len(numbers) < 3 or not all(word.isdigit() for word in numbers):
        raise UnexpectedReply("a level such as 2.2.3.4 was expected", line=level)
    return level


def read_paths(text: str) -> tuple[DiskPath, ...]:
    r"""``lspath -dev hdisk4 -fmt :`` (`NOVA-IVM`, A)::

        Enabled:hdisk4:fscsi2:5005076803080067,2000000000000

    The connection of an iSCSI disk ends in a name that has colons itself (iqn.1986-03.com.ibm:…).

    >>> read_paths("Enabled:hdisk4:fscsi2:5005076803080067,2000000000000\n")[0].parent
    'fscsi2'
    """
    return tuple(_path(line) for line in lines(text) if line.strip())


def _path(line: str) -> DiskPath:
    fields = split(line, ":")
    if len(fields) < PATH_FIELDS:
        raise UnexpectedReply(f"{PATH_FIELDS} fields were expected", line=line)
    status, disk, parent, *connection = fields
    return DiskPath(disk, status, parent, ":".join(connection))


def read_multipath(text: str) -> tuple[MultipathDisk, ...]:
    r"""``pcmpath query device`` (`BOND`, A)::

        Total Dual Active and Active/Asymmetric Devices : 1

        DEV#:   4  DEVICE NAME: hdisk4  TYPE: 2145  ALGORITHM:  Load Balance
        SERIAL: 600507180120262E3000000000000313
        ==========================================================================
        Path#      Adapter/Path Name          State     Mode     Select     Errors
            0*          fscsi0/path0           OPEN   NORMAL         35          0

    The disks that SDDPCM drives and their paths; a star marks a path that is not preferred.

    >>> text = '''DEV#:   4  DEVICE NAME: hdisk4  TYPE: 2145  ALGORITHM:  Load Balance
    ... SERIAL: 600507180120262E3000000000000313
    ... ==========================================================================
    ... Path#      Adapter/Path Name          State     Mode     Select     Errors
    ...     0*          fscsi0/path0           OPEN   NORMAL         35          0
    ... '''
    >>> disk, = read_multipath(text)
    >>> disk.algorithm, disk.paths[0].healthy, disk.paths[0].preferred
    ('Load Balance', True, False)
    """
    disks: list[MultipathDisk] = []
    for line in filter(str.strip, lines(text)):
        word = line.split()[0]
        if word == "Total" or line.strip() == NO_MULTIPATH or set(line.strip()) == {"="} or word == "Path#":
            continue
        if word.startswith("DEV#:"):
            disks.append(_multipath_disk(line))
        elif not disks:
            raise UnexpectedReply("a device was expected first", line=line)
        elif word.startswith("SERIAL:"):
            disks[-1] = replace(disks[-1], serial=line.partition(":")[2].strip(" *\t"))
        else:
            disks[-1] = replace(disks[-1], paths=(*disks[-1].paths, _multipath_path(line)))
    return tuple(disks)


def _multipath_disk(line: str) -> MultipathDisk:
    _, name_word, rest = line.partition("DEVICE NAME:")
    name, type_word, rest = rest.partition("TYPE:")
    device_type, algorithm_word, algorithm = rest.partition("ALGORITHM:")
    if not (name_word and type_word and algorithm_word):
        raise UnexpectedReply("this is not the head of a device of pcmpath", line=line)
    return MultipathDisk(name.strip(), "", algorithm.strip(), device_type.strip())


def _multipath_path(line: str) -> MultipathPath:
    fields = line.split()
    if len(fields) != 6:
        raise UnexpectedReply("this is not a row of pcmpath", line=line)
    number, path, state, mode, selected, errors = fields
    return MultipathPath(
        whole(number.rstrip("*")), path, state, mode, whole(selected), whole(errors), preferred=not number.endswith("*")
    )


def read_media(text: str) -> tuple[tuple[str, str | None], ...]:
    r"""``lsvopt``: the virtual optical devices and what is loaded (`KSH-IVM`, C; widths D)::

        VTD             Media                               Size(mb)
        vtopt0          No Media                                 n/a
        vtopt1          aix53.iso                               4180

    >>> read_media("VTD             Media                               Size(mb)\n"
    ...     "vtopt0          No Media            n/a\n")
    (('vtopt0', None),)
    """
    rows = [line for line in lines(text) if line.strip()]
    if rows and rows[0].split()[:2] != ["VTD", "Media"]:
        raise UnexpectedReply("the heading of lsvopt was expected", line=rows[0])
    return tuple(_medium(line) for line in rows[1:])


def _medium(line: str) -> tuple[str, str | None]:
    fields = line.split()
    if len(fields) < 3:
        raise UnexpectedReply("this is not a row of lsvopt", line=line)
    media = " ".join(fields[1:-1])
    return fields[0], None if media == "No Media" else media


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
    links = [line.rpartition(":")[2].strip().casefold() for line in page if _LINK.match(line)]
    return SharedEthernetStatistics(
        sea,
        tuple(trunk for trunk in trunks if trunk is not None),
        _vlan_ids(head),
        _value_of(head, "State"),
        "up" in links if links else None,
    )


#: The link of a physical port below an SEA, as ``entstat -all`` prints it for different drivers (`SNAP`, A).
_LINK = re.compile(r"\s*(Physical Port Link (Status|State)|Link Status)\s*:\s*(Up|Down)\s*$", re.IGNORECASE)


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


def read_clusters(text: str) -> tuple[str, ...]:
    r"""``cluster -list``: names of clusters, of which an I/O server is in at most one (D)::

        CLUSTER_NAME:    sspcl1
        CLUSTER_ID:      22cfcb2298a711ebbb6aeae4a2f3c200

    >>> read_clusters("CLUSTER_NAME:    sspcl1\nCLUSTER_ID:      22cf\n")
    ('sspcl1',)
    """
    rows = [line.partition(":") for line in lines(text) if line.strip()]
    if not all(colon and label.strip().replace("_", "").isalpha() for label, colon, _ in rows):
        raise UnexpectedReply("lines as CLUSTER_NAME: NAME were expected", line=text.partition("\n")[0])
    return tuple(value.strip() for label, _, value in rows if label.strip() == "CLUSTER_NAME" and value.strip())


def read_cluster_status(text: str) -> StorageCluster:
    r"""``cluster -status -clustername NAME``: the cluster of a shared storage pool and its nodes (D)::

        Cluster Name         State
        sspcl1               OK

            Node Name        MTM           Partition Num  State  Pool State
            p8a-vios1        8286-42A0221A3F5C          1  OK     OK

    >>> page = ("Cluster Name State\nc1 OK\n\n Node Name MTM Partition Num State Pool State\n"
    ...     " v1 8286-42A0221A3F5C 1 OK OK\n")
    >>> read_cluster_status(page).nodes[0]
    ClusterNode(name='v1', machine='8286-42A0221A3F5C', state='OK', pool_state='OK')
    """
    rows = [line.split() for line in lines(text) if line.strip()]
    if len(rows) < 2 or rows[0] != ["Cluster", "Name", "State"] or len(rows[1]) < 2:
        raise UnexpectedReply("the heading of cluster -status was expected", line=" ".join(rows[0]) if rows else None)
    nodes = []
    for fields in rows[2:]:
        if fields[:2] == ["Node", "Name"]:
            continue
        if len(fields) < 4:
            raise UnexpectedReply("this is not a node of cluster -status", line=" ".join(fields))
        nodes.append(ClusterNode(fields[0], fields[1], fields[3], fields[4] if len(fields) > 4 else None))
    return StorageCluster(rows[1][0], " ".join(rows[1][1:]), tuple(nodes))


class ViosShell:
    """Questions to an I/O server. All of them only read."""

    def __init__(self, session: Session, prefix: str = "ioscli") -> None:
        self._session = session
        self._prefix = [prefix] if prefix else []

    @property
    def session(self) -> Session:
        """The session that the commands go over."""
        return self._session

    def level(self) -> str:
        """``ioslevel``."""
        return self._ask(["ioslevel"], read_level)

    def firmware(self) -> FirmwareLevel:
        """``lsfware``: the firmware of the system on which the I/O server runs."""
        return self._ask(["lsfware"], read_firmware)

    def scsi_map(self) -> tuple[VirtualScsiServer, ...]:
        """``lsmap -all``."""
        return self._ask(["lsmap", "-all"], read_scsi_map)

    def network_map(self) -> tuple[SharedEthernet, ...]:
        """``lsmap -all -net``."""
        return self._ask(["lsmap", "-all", "-net"], read_network_map)

    def disks(self) -> tuple[PhysicalDisk, ...]:
        """``lspv``: names, PVIDs, volume groups."""
        return self._ask(["lspv"], read_disks)

    def sizes(self) -> tuple[PhysicalDisk, ...]:
        """``lspv -size``: names, PVIDs, sizes."""
        return self._ask(["lspv", "-size"], read_disks)

    def attribute(self, device: str, attribute: str) -> str:
        """``lsdev -dev DEVICE -attr ATTRIBUTE``."""
        return self._ask(["lsdev", "-dev", device, "-attr", attribute], read_attribute)

    def virtual_devices(self) -> tuple[Device, ...]:
        """``lsdev -virtual``."""
        return self._ask(["lsdev", "-virtual"], read_devices)

    def device(self, name: str) -> Device:
        """One device; raises `CommandRefused` when there is none of that name."""
        devices = self._ask(["lsdev", "-dev", name], read_devices)
        if len(devices) != 1:
            raise UnexpectedReply(
                f"one device was expected and {len(devices)} came", where=self._session.where, asked=name
            )
        return devices[0]

    def paths(self, disk: str) -> tuple[DiskPath, ...]:
        """``lspath -dev DISK``."""
        return self._ask(["lspath", "-dev", disk, "-fmt", ":"], read_paths)

    def multipath(self) -> tuple[MultipathDisk, ...]:
        """The disks of SDDPCM, asked as root. Raises `CommandRefused` where SDDPCM is not installed."""
        reply = self._session.run(["oem_setup_env"], stdin="pcmpath query device\n")
        return understood(reply, read_multipath)

    def fc_map(self) -> tuple[VirtualFcServer, ...]:
        """``lsmap -all -npiv``; empty where there is no virtual Fibre Channel."""
        return self._ask_unless_none(["lsmap", "-all", "-npiv", "-fmt", ":"], read_fc_map_fields)

    def fc_ports(self) -> tuple[FcPort, ...]:
        """``lsnports``; empty where there is none."""
        return self._ask_unless_none(["lsnports"], read_fc_ports)

    def clusters(self) -> tuple[StorageCluster, ...]:
        """The clusters of shared storage pools that the server is a node of, each with its nodes."""
        reply = self._session.run([*self._prefix, "cluster", "-list"])
        if NOT_CLUSTERED.search(reply.text):
            return ()
        return tuple(
            self._ask(["cluster", "-status", "-clustername", name], read_cluster_status)
            for name in understood(reply, read_clusters)
        )

    def media(self) -> tuple[tuple[str, str | None], ...]:
        """``lsvopt``."""
        return self._ask(["lsvopt"], read_media)

    def shared_ethernet(self, sea: str) -> SharedEthernetStatistics:
        """``entstat -all SEA``."""
        return self._ask(["entstat", "-all", sea], read_shared_ethernet)

    def error_log(self) -> tuple[ErrorEntry, ...]:
        """``errlog``, newest first."""
        return self._ask(["errlog"], read_errpt)

    def mover(self, device: str = "vasi0") -> MoverStatistics:
        """``vasistat -all``."""
        return self._ask(["vasistat", "-all", device], read_mover)

    def moves_at_once(self) -> int | None:
        """The number of moves that the mover takes (``vioslpm0``, from 2.2.2.0.

        A `RHDISK0`); ``None`` without such a device.
        """
        try:
            value = self.attribute("vioslpm0", "cfg_msp_lpm_ops")
        except CommandRefused:
            return None
        return int(value) if value.isascii() and value.isdigit() else None

    def close(self) -> None:
        """Close the session."""
        self._session.close()

    def _ask(self, arguments: Sequence[str], reader: Callable[[str], Value]) -> Value:
        return understood(self._session.run([*self._prefix, *arguments]), reader)

    def _ask_unless_none(
        self, arguments: Sequence[str], reader: Callable[[str], tuple[Value, ...]]
    ) -> tuple[Value, ...]:
        """Empty where the server says by its status that it has nothing of the kind."""
        reply = self._session.run([*self._prefix, *arguments])
        return () if reply.status in NOTHING_OF_THE_KIND else understood(reply, reader)
