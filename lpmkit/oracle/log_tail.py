"""Following an alert log that is being written: here, or on the database host over an ordinary login.

No agent, nothing is changed.

A `Position` is the place up to which a log has been read, and outlives the program. A log that was moved away (another
inode), emptied (shorter) or rewritten in place (other bytes where we stopped) is read from its beginning. Before that
comes what lies beside it: the rest of the old one, known by its inode, or of a copy, known by the bytes where we
stopped; and the logs that were begun and moved away in between. What could not be read is named in `LogTail.gaps`,
never passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import dropwhile
from pathlib import PurePosixPath

from lpmkit.errors import CommandRefused, NotFound, UnexpectedReply
from lpmkit.oracle.alert_log import AlertReader, LogEvent
from lpmkit.oracle.stamps import Moment
from lpmkit.ssh.session import Session

#: Places where SAP puts the log, by release, without written confirmation (U, recalled). The instance knows better.
RECALLED_PLACES = (
    "/oracle/{sid}/saptrace/background/alert_{sid}.log",
    "/oracle/{sid}/saptrace/diag/rdbms/{lower}/{sid}/trace/alert_{sid}.log",
)
#: The bytes that are read at the beginning to know which time holds, and those of a log that grew unwatched that are
#: fetched over a login.
LOOK_BACK, MAX_FETCHED = 1 << 20, 16 << 20
MARK = 64
#: Names of packed files end so; they are not read.
PACKED = (".gz", ".Z", ".bz2", ".xz", ".zip", ".zst")
#: The number of files beside a log that are searched for a copy of it.
MAX_COPIES = 8


@dataclass(frozen=True, slots=True)
class Position:
    """The place up to which a log has been read: up to ``offset`` in the file ``inode``, where the bytes before it were
    ``mark``.

    ``inode`` is ``None`` where the machine does not report it. ``stamp`` is the time that held there.
    """

    inode: int | None = None
    offset: int = 0
    mark: bytes = b""
    stamp: Moment | None = None


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The file that a path is now, and its length."""

    inode: int | None
    size: int


class LogTail:
    """The part of following a log that does not depend on where the file is.

    The first `poll` takes its place at the end of the log and gives nothing, unless a `Position` is given:
    ``Position()`` is the beginning. An event is handed out when the next one begins, or when the log has been quiet
    from one poll to the next.
    """

    def __init__(self, path: str, position: Position | None = None) -> None:
        self.path = path
        self.gaps: list[str] = []
        #: The last poll began another file or another place in it: what it gave may have been written at any time.
        self.began_anew = False
        #: The last poll found the log at its path.
        self.is_there = True
        #: The entries at the end of the log when the place was taken: they show what is usual there.
        self.before: tuple[LogEvent, ...] = ()
        self._position = position
        self._reader = AlertReader(position.offset, position.stamp) if position else AlertReader()

    @property
    def position(self) -> Position:
        """The place up to which the log has been read.

        An event that is held in case it goes on lies before it: call `finish` first to keep this place.
        """
        return self._position or Position()

    def poll(self) -> tuple[LogEvent, ...]:
        """The new events of the log; none while the log is away, between being moved and being made again.

        Raises `CommandRefused` where it was never there.
        """
        facts = self._facts()
        self.is_there = facts is not None
        if facts is None:
            return ()
        if self._position is None:
            self._take_place(facts)
            return ()
        if self._position.inode is None:
            self._position = replace(self._position, inode=facts.inode)
        events: list[LogEvent] = []
        self.began_anew = False
        if self._was_replaced(facts):
            events += self._rest_of_the_old("replaced")
            facts = self._facts() or FileFacts(None, 0)
            self._begin(Position(facts.inode))
        before = self._position.offset
        events += self._take_new(facts)
        if self._position.offset == before:
            events += self._reader.settle()
        return tuple(events)

    def finish(self) -> tuple[LogEvent, ...]:
        """The event that is held in case it goes on, and a last line without an end; of a log that is away also the
        rest of the old one.

        What is away looks like what may not be read: where the rest is not found it is a gap.
        """
        if not self.is_there:
            return tuple(self._rest_of_the_old("moved away"))
        data = self._read(self.position.offset) if self._position is not None else b""
        events = self._take(data, self.position.inode)
        return (*events, *self._reader.feed(data[data.rfind(b"\n") + 1 :]), *self._reader.finish())

    # -- one step each -------------------------------------------------------------------------------------------------

    def _begin(self, position: Position) -> None:
        self.began_anew = True
        self._position, self._reader = position, AlertReader(position.offset, position.stamp)

    def _take_place(self, facts: FileFacts) -> None:
        start = max(0, facts.size - LOOK_BACK)
        data = self._read(start)
        skip = data.find(b"\n") + 1 if start else 0
        self._begin(Position(facts.inode, start + skip))
        events = (*self._take(data[skip:], facts.inode), *self._reader.settle())
        # above the first stamp is the rest of an event that was cut off, with an unknown time
        self.before = tuple(dropwhile(lambda event: start > 0 and event.when is None, events))

    def _was_replaced(self, facts: FileFacts) -> bool:
        """True if this is another log than the one read so far."""
        position = self.position
        if facts.size < position.offset:
            return True
        if position.inode is not None and facts.inode is not None and facts.inode != position.inode:
            return True
        return bool(position.mark) and facts.size == position.offset and not self._mark_stands()

    def _mark_stands(self) -> bool:
        mark = self.position.mark
        return self._read(self.position.offset - len(mark))[: len(mark)] == mark

    def _take_new(self, facts: FileFacts) -> list[LogEvent]:
        position = self.position
        if facts.size <= position.offset:
            return []
        if facts.size - position.offset > MAX_FETCHED:
            return self._jump_ahead(facts)
        back = len(position.mark)
        data = self._read_listed(position.offset - back, facts)
        if data is None:
            return []
        if data[:back] != position.mark:
            events = self._rest_of_the_old("rewritten")
            self._begin(Position(facts.inode))
            return [*events, *self._take_new(facts)]
        return self._take(data[back:], facts.inode)

    def _read_listed(self, offset: int, facts: FileFacts) -> bytes | None:
        """The bytes of the log that was listed, or ``None`` if it was moved away since.

        The next poll then finds both files.
        """
        try:
            data = self._read(offset)
        except (CommandRefused, FileNotFoundError):
            if self._was_moved_since(facts):
                return None
            raise
        return None if self._was_moved_since(facts) else data

    def _was_moved_since(self, facts: FileFacts) -> bool:
        """True if the log was moved away between being listed and being read: the next poll finds both files."""
        now = self._facts()
        return now is None or (None not in (now.inode, facts.inode) and now.inode != facts.inode)

    def _jump_ahead(self, facts: FileFacts) -> list[LogEvent]:
        position, start = self.position, facts.size - MAX_FETCHED // 2
        self._name_skipped(start - position.offset, self.path, position.offset)
        events = self._reader.finish()
        data = self._read(start)
        skip = data.find(b"\n") + 1
        self._begin(Position(facts.inode, start + skip))
        return [*events, *self._take(data[skip:], facts.inode)]

    def _take(self, data: bytes, inode: int | None) -> list[LogEvent]:
        """Read whole lines; a half line is read again, with its rest, by the next poll."""
        end = data.rfind(b"\n") + 1
        events = self._reader.feed(data[:end])
        position = self.position
        mark = (position.mark + data[:end])[-MARK:]
        self._position = Position(inode, position.offset + end, mark, self._reader.stamp)
        return events

    def _rest_of_the_old(self, became: str) -> list[LogEvent]:
        """The rest of a log that was moved away or copied, and all of those that were begun and moved away since."""
        position, beside = self.position, self._beside()
        place = next(
            (at for at, (inode, _) in enumerate(beside) if inode is not None and inode == position.inode), None
        )
        if place is None:
            unpacked = [at for at, (_, path) in enumerate(beside) if not path.endswith(PACKED)]
            place = next((at for at in unpacked[:MAX_COPIES] if self._is_copy(beside[at][1])), None)
        if place is None:
            packed = next((f"; {path} may hold it" for _, path in beside if path.endswith(PACKED)), "")
            self.gaps.append(
                f"{self.path} was {became}; what stood in it after byte {position.offset} was not seen{packed}"
            )
            return self._reader.finish()
        events = self._whole(self._reader, beside[place][1], position.offset)
        for _, path in reversed(beside[:place]):
            if path.endswith(PACKED):
                self.gaps.append(f"{path} is packed and was not read")
            else:
                events += self._whole(AlertReader(), path, 0)
        return events

    def _is_copy(self, path: str) -> bool:
        """True if a file holds the bytes before the place up to which the log was read, at that place."""
        mark, offset = self.position.mark, self.position.offset
        left = self._size(path) - offset
        return bool(mark) and 0 <= left <= MAX_FETCHED and self._read(offset - len(mark), path)[: len(mark)] == mark

    def _whole(self, reader: AlertReader, path: str, offset: int) -> list[LogEvent]:
        """The events of a file from a byte on, to its end."""
        skipped = self._size(path) - offset - MAX_FETCHED
        if skipped <= 0:
            return [*reader.feed(self._read(offset, path)), *reader.finish()]
        self._name_skipped(skipped, path, offset)
        data = self._read(offset + skipped, path)
        skip = data.find(b"\n") + 1
        last = AlertReader(offset + skipped + skip)
        return [*reader.finish(), *last.feed(data[skip:]), *last.finish()]

    def _name_skipped(self, skipped: int, path: str, offset: int) -> None:
        self.gaps.append(f"{skipped} bytes of {path} from byte {offset} on were not read: too many at once")

    # -- where the file is ---------------------------------------------------------------------------------------------

    def _facts(self) -> FileFacts | None:
        raise NotImplementedError

    def _read(self, offset: int, path: str | None = None) -> bytes:
        raise NotImplementedError

    def _size(self, path: str) -> int:
        raise NotImplementedError

    def _beside(self) -> list[tuple[int | None, str]]:
        """The inode and the path of the files whose names begin as the log's does, the newest first, without itself."""
        raise NotImplementedError


class AlertFollower(LogTail):
    """Follows a log on the database host with ``ls -i``, ``wc -c`` and ``tail -c``; all of them only read."""

    def __init__(self, session: Session, path: str, position: Position | None = None) -> None:
        super().__init__(path, position)
        self._session = session

    def _facts(self) -> FileFacts | None:
        try:
            inode = self._session.run(["ls", "-i", self.path]).checked().output.split()[:1]
            return FileFacts(_whole(inode[0]) if inode else None, self._size(self.path))
        except CommandRefused:
            if self._position is None:
                raise
            return None

    def _size(self, path: str) -> int:
        words = self._session.run(["wc", "-c", path]).checked().output.split()
        size = _whole(words[0]) if words else None
        if size is None:
            raise UnexpectedReply("the size of a file was expected", line=" ".join(words), where=self._session.where)
        return size

    def _read(self, offset: int, path: str | None = None) -> bytes:
        """The bytes from an offset on.

        The session gives text; which bytes it was is settled by the sizes before and after.
        """
        path = path or self.path
        for _ in range(5):
            before = self._size(path)
            text = self._session.run(["tail", "-c", f"+{offset + 1}", path]).checked().output
            data = bytes_of(text, (0, 0))
            if data is None:
                data = bytes_of(text, (before - offset, self._size(path) - offset))
            if data is not None:
                return data
        raise UnexpectedReply(
            "the file grows too fast to tell how it is encoded", where=f"{self._session.where}: {path}"
        )

    def _beside(self) -> list[tuple[int | None, str]]:
        folder, name = PurePosixPath(self.path).parent, PurePosixPath(self.path).name
        # a log that was moved away may have any name, one that was copied or packed keeps the beginning
        begins = re.compile(rf"{re.escape(PurePosixPath(name).stem)}(?![A-Za-z0-9])")
        listed = map(_listed, self._session.run(["ls", "-i", "-t", str(folder)]).output.splitlines())
        return [
            (inode, str(folder / each))
            for inode, each in listed
            if each != name and (begins.match(each) or (inode is not None and inode == self.position.inode))
        ]


def _listed(row: str) -> tuple[int | None, str]:
    """A row of ``ls -i``, or of an ``ls`` that shows no inodes.

    >>> _listed("  4711 alert_BX5.log.1"), _listed("alert_BX5.log.1")
    ((4711, 'alert_BX5.log.1'), (None, 'alert_BX5.log.1'))
    """
    first, _, rest = row.strip().partition(" ")
    return (_whole(first), rest.strip()) if rest and _whole(first) is not None else (None, row.strip())


def _whole(word: str) -> int | None:
    return int(word) if word.isascii() and word.isdigit() else None


def bytes_of(text: str, between: tuple[int, int]) -> bytes | None:
    """The bytes that a session decoded, which takes UTF-8 for what is UTF-8 and ISO 8859-1 for the rest; ``None`` when
    that leaves two answers.

    Only a text of letters below U+0100 can be either, and then the length decides, which lies ``between`` two sizes.

    >>> bytes_of("abc", (0, 0)), bytes_of("日", (0, 0)), bytes_of("Größe", (5, 5)), bytes_of("Größe", (7, 7))
    (b'abc', b'\\xe6\\x97\\xa5', b'Gr\\xf6\\xdfe', b'Gr\\xc3\\xb6\\xc3\\x9fe')
    >>> bytes_of("Größe", (0, 9)) is None
    True
    """
    long = text.encode()
    try:
        short = text.encode("latin-1")
        if short == long:
            return long
        short.decode()
    except UnicodeEncodeError:
        return long
    except UnicodeDecodeError:
        fit = [data for data in (short, long) if between[0] <= len(data) <= between[1]]
        return fit[0] if len(fit) == 1 else None
    return long  # as ISO 8859-1 it would have been UTF-8 too, and so been decoded otherwise


def alert_log_places(sid: str, directory: str | None = None) -> tuple[str, ...]:
    """The places where the log of an instance is looked for.

    ``directory`` is the instance's own answer: ``Diag Trace`` or ``background_dump_dest``.

    >>> alert_log_places("BX5")[0]
    '/oracle/BX5/saptrace/background/alert_BX5.log'
    """
    if directory:
        return (f"{directory.rstrip('/')}/alert_{sid}.log",)
    return tuple(place.format(sid=sid, lower=sid.lower()) for place in RECALLED_PLACES)


def find_alert_log(session: Session, sid: str, directory: str | None = None) -> str:
    """The path of an instance's alert log; of several the one written to last, for an upgrade leaves the old one.

    Raises `NotFound`.
    """
    places = alert_log_places(sid, directory)
    reply = session.run(["ls", "-t", *places])  # it names what is there and complains of the rest
    there = [line for line in reply.output.splitlines() if line in places]
    if not there:
        raise NotFound("alert log of", sid, known=places, where=session.where)
    return there[0]


#: The daemon of the clusterware in the list of processes.
_CSS_RUNS = re.compile(r"(?m)^\s*\d+\s+\S*/ocssd\.bin\b")


def find_clusterware_log(session: Session, hostname: str) -> str | None:
    """The alert log of the clusterware on a host; ``None`` where no clusterware runs.

    Raises `NotFound` where its daemon runs and no log is at the places known.

    The grid's home is in ``olr.loc``; from 12.1.0.2 on the log is below the grid's ORACLE_BASE, before that below its
    home (`ORACLE-CW`).
    """
    located = session.run(["cat", "/etc/oracle/olr.loc"])
    home = next((line[9:].strip() for line in located.output.splitlines() if line.startswith("crs_home=")), "")
    if located.status != 0 or not home:
        return None
    short = hostname.partition(".")[0].lower()
    base = session.run(["env", f"ORACLE_HOME={home}", f"{home}/bin/orabase"]).output.strip()
    places = [f"{home}/log/{short}/alert{short}.log"]
    places += [f"{base}/diag/crs/{short}/crs/trace/alert.log"] if base.startswith("/") else []
    listed = session.run(["ls", "-t", *places]).output.splitlines()
    there = next((line for line in listed if line in places), None)
    if there is None and _CSS_RUNS.search(session.run(["ps", "-e", "-o", "pid,args"]).output):
        raise NotFound("alert log of the clusterware on", hostname, known=places, where=session.where)
    return there
