"""The devices on the adapters of an I/O server: ``lsmap`` and ``lsnports`` (`SNAP`, `ZIU`, A; `ANS-VIOS`, C)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lpmkit.control.listings import known, lines, split, whole
from lpmkit.errors import UnexpectedReply
from lpmkit.inventory import (
    FcPort,
    SharedEthernet,
    VirtualFcServer,
    VirtualScsiServer,
    VirtualTarget,
)

NO_TARGET = "NO VIRTUAL TARGET DEVICE FOUND"


NO_SEA = "NO SHARED ETHERNET ADAPTER FOUND"


#: Labels are padded to this column (`SNAP`, A); the negative answer of ``lsmap -net`` is not, so known labels are told
#: by name.
LABEL_WIDTH = 22


TARGET_LABELS = ("VTD", "Status", "LUN", "Backing device", "Physloc", "Mirrored")


BRIDGE_LABELS = ("SEA", "Backing device", "Status", "Physloc")


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


def read_fc_map_fields(text: str) -> tuple[VirtualFcServer, ...]:
    r"""``lsmap -all -npiv -fmt :``, twelve fields, an empty one being one blank (`ANS-VIOS`, C; what they mean `ZIU`,
    A)::

        vfchost0:U8286.42A.21A3F5C-V1-C21:4:p8npiv01:AIX:LOGGED_IN:fcs0:U78C9.001.WZS0A1B-P1-C12-T1:1:a:fcs0:U8286…-C5

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
