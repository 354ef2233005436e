"""Disks of an I/O server, their paths, virtual media and storage clusters (`NOVA-IVM`, `BOND`, A)."""

from __future__ import annotations

from dataclasses import replace

from lpmkit.control.listings import lines, split, whole
from lpmkit.errors import UnexpectedReply
from lpmkit.inventory import (
    ClusterNode,
    DiskPath,
    MultipathDisk,
    MultipathPath,
    PhysicalDisk,
    StorageCluster,
)

NO_MULTIPATH = "No device file found"


#: Fields of ``lspath -fmt``.
PATH_FIELDS = 4


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
    if not 3 <= len(fields) <= 5:
        raise UnexpectedReply("this is not a row of lspv", line=line)
    return PhysicalDisk(fields[0], pvid=_unless_none(fields[1]), volume_group=_unless_none(fields[2]))


def _sized_disk(line: str) -> PhysicalDisk:
    fields = line.split()
    if len(fields) != 3:
        raise UnexpectedReply("this is not a row of lspv -size", line=line)
    return PhysicalDisk(fields[0], pvid=_unless_none(fields[1]), size_mb=whole(fields[2]))


def _unless_none(word: str) -> str | None:
    return None if word.casefold() == "none" else word


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
    headed = next((at for at, fields in enumerate(rows) if fields[:2] == ["Node", "Name"]), 1)
    nodes = []
    for fields in rows[headed + 1 :]:
        if len(fields) < 4:
            raise UnexpectedReply("this is not a node of cluster -status", line=" ".join(fields))
        nodes.append(ClusterNode(fields[0], fields[1], fields[3], fields[4] if len(fields) > 4 else None))
    return StorageCluster(rows[1][0], " ".join(rows[1][1:]), tuple(nodes))
