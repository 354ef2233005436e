"""Sample files: packed, they hold the same rows, and tools that know nothing of lpmkit read them."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpmkit.errors import RecordError
from lpmkit.runs import packed, samples
from lpmkit.runs.cells import ANSWERED, MISSING, NUMBERS, TEXTS, Cells, read_cells
from lpmkit.runs.folder import Run, create
from lpmkit.runs.rows import COLUMNS, sample_line
from lpmkit.runs.samples import columns, files, last_rows, pack, pieces, texts
from lpmkit.runs.writer import RunWriter
from lpmkit.timeline import Outcome, Sample

ROWS = [
    *(Sample(n, 1000 * n, 1000 * n + 1, 1000 * n + 500, None, n, -n) for n in range(1, 300)),
    Sample(300, 300_000, 300_001, outcome=Outcome.LOST, detail='he said "no", twice\nand left'),
    Sample(301, 301_000),
]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = create(tmp_path, mode="watch", title="a test", facts={"hosts": ["h"]})
    with RunWriter(run.path) as writer:
        writer.event("recorder", "recorder-started")
        writer.samples("icmp", ROWS)
    return run


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "PIECE_BYTES", 700)
    monkeypatch.setattr(packed, "GROUP_ROWS", 40)


def _everything(run: Run) -> list[list[object]]:
    table = run.samples("icmp")
    names = [*COLUMNS, "segment"]
    return [list(row) for row in zip(*(getattr(table, name).tolist() for name in names), strict=True)]


@pytest.mark.usefixtures("small_pieces")
def test_a_packed_file_holds_the_same_rows_in_the_same_order(run: Run) -> None:
    before, newest = _everything(run), run.recent("icmp")
    with RunWriter(run.path) as writer:
        writer.pack()
    (file,) = files(run.path / "samples")
    assert file.is_packed
    assert _everything(run) == before
    assert run.recent("icmp")[-1] == newest[-1]
    assert len(before) == len(ROWS)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("packed", [False, True], ids=["CSV", "packed"])
def test_a_piece_tells_between_which_times_its_rows_lie(run: Run, packed: bool) -> None:
    if packed:
        with RunWriter(run.path) as writer:
            writer.pack()
    found = pieces(files(run.path / "samples")[0], {})
    assert len(found) > 5
    assert sum(piece.rows for piece in found) == len(ROWS)
    for piece in found:
        rows = columns([piece])
        times = [
            t for name in ("due_ns", "sent_ns", "answered_ns") for t in getattr(rows, name).tolist() if t != MISSING
        ]
        assert (min(times), max(times)) == (piece.lo_ns, piece.hi_ns)
    assert texts(found[-1:])["outcome"][-2:].tolist() == ["lost", "answered"]


def test_rows_are_parsed_once_however_often_they_are_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []

    def parse(content: bytes, names: Sequence[str]) -> Cells:
        parsed.append(content)
        return read_cells(content, names)

    monkeypatch.setattr(samples, "read_cells", parse)
    monkeypatch.setattr(samples, "_at_hand", samples._AtHand())
    (file,) = files(run.path / "samples")
    for _ in range(3):
        assert columns(pieces(file, {})).seq.tolist() == [row.seq for row in ROWS]
    assert len(parsed) == 1
    with file.path.open("ab") as more:
        more.write(sample_line(Sample(302, 302_000)))
    assert columns(pieces(file, {})).seq[-1] == 302, "of a file that has grown nothing old is taken for new"
    with pytest.raises(ValueError, match="read-only"):
        samples._at_hand.numbers(parsed[0])["seq"][0] = 7


@pytest.mark.usefixtures("small_pieces")
def test_what_is_kept_of_the_rows_is_limited(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "AT_HAND_BYTES", 4_000)
    monkeypatch.setattr(samples, "_at_hand", kept := samples._AtHand())
    (file,) = files(run.path / "samples")
    assert columns(pieces(file, {})).seq.tolist() == [row.seq for row in ROWS]
    assert 1 < len(kept._known) < len(pieces(file, {}))
    assert kept._held_bytes == sum(map(samples._bytes, kept._known.values())) <= 4_000


_WITHOUT_US = """
import sys, pandas, duckdb
assert not any(name.startswith("lpmkit") for name in sys.modules)
name = sys.argv[1]
read = pandas.read_parquet if name.endswith(".parquet") else pandas.read_csv
frame = read(name)
print(len(frame), int(frame["answered_ns"].max()), frame["answered_ns"].isna().sum())
print(*duckdb.sql(f"select count(*), max(answered_ns), count(*) - count(answered_ns) from '{name}'").fetchall()[0])
"""


@pytest.mark.parametrize("packed", [False, True], ids=["CSV", "packed"])
def test_pandas_and_duckdb_read_a_samples_file_without_us(run: Run, packed: bool) -> None:
    if packed:
        with RunWriter(run.path) as writer:
            writer.pack()
    (file,) = files(run.path / "samples")
    said = subprocess.run(
        [sys.executable, "-I", "-c", _WITHOUT_US, str(file.path)], capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines() == ["301 299500 2"] * 2


@pytest.mark.usefixtures("small_pieces")
def test_the_newest_rows_reach_back_over_many_groups_and_are_thinned_evenly(run: Run) -> None:
    with RunWriter(run.path) as writer:
        writer.pack()
    reached = run.recent("icmp", 250 * 90)
    assert [one.seq for one in reached] == list(range(52, 302))
    few = [one.seq for one in run.recent("icmp", 250 * 90, at_most=50)]
    assert few == list(range(56, 302, 5))


def test_a_torn_file_is_never_packed(run: Run) -> None:
    (file,) = files(run.path / "samples")
    with file.path.open("ab") as raw:
        raw.write(b"302,123")
    told: dict[str, int] = {}
    assert pack(file, told) == file.path
    assert told == {"samples/icmp.1.csv": 1}
    assert file.path.exists()


def test_a_full_disk_leaves_the_csv_and_says_so(run: Run) -> None:
    (file,) = files(run.path / "samples")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = _everything(run)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(RecordError, match="nothing is lost"):
            pack(file, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert os.listdir(run.path / "samples") == ["icmp.1.csv"]  # noqa: PTH208 - drafts with a dot count too
    assert _everything(run) == before


@pytest.mark.usefixtures("small_pieces")
def test_a_file_that_is_packed_between_its_listing_and_its_reading_gives_the_same_rows(run: Run) -> None:
    (file,) = files(run.path / "samples")
    listed = pieces(file, {})
    assert len(listed) > 2
    one_by_one = [(columns([piece]).due_ns.tolist(), texts([piece])["detail"].tolist()) for piece in listed]
    newest = last_rows(file, 400, 100)
    pack(file, {})
    assert [(columns([piece]).due_ns.tolist(), texts([piece])["detail"].tolist()) for piece in listed] == one_by_one
    assert sum(piece.rows for piece in pieces(file, {})) == len(ROWS)
    assert last_rows(file, 400, 100)[-1] == newest[-1]


def test_a_file_that_is_gone_is_named(run: Run) -> None:
    (file,) = files(run.path / "samples")
    listed = pieces(file, {})
    file.path.unlink()
    with pytest.raises(RecordError, match=r"icmp\.1\.parquet cannot be read"):
        columns(listed)


def test_without_the_extra_samples_stay_csv(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpmkit.runs.writer.is_installed", lambda package: package != "pyarrow")
    with RunWriter(run.path) as writer:
        writer.pack()
    assert [file.is_packed for file in files(run.path / "samples")] == [False]
    assert [event.kind for event in run.events()] == ["recorder-started"]


def test_packing_that_was_cut_short_counts_no_row_twice(run: Run) -> None:
    """Killed between the packed file's last byte and the removal of the CSV."""
    (file,) = files(run.path / "samples")
    content, before = file.path.read_bytes(), _everything(run)
    pack(file, {})
    file.path.write_bytes(content)
    assert _everything(run) == before
    with RunWriter(run.path) as writer:
        writer.pack()
    assert _everything(run) == before
    assert [one.is_packed for one in files(run.path / "samples")] == [True]


def test_a_file_that_holds_something_else_is_named(run: Run) -> None:
    (file,) = files(run.path / "samples")
    file.path.write_bytes(file.path.read_bytes() + b"this,is,no,sample,at,all,x,y,z\n")
    with pytest.raises(RecordError, match=r"icmp\.1\.csv cannot be read"):
        run.samples("icmp")
    with RunWriter(run.path) as writer:
        writer.pack()
    assert [event.kind for event in run.events()] == ["recorder-started", "note"]
    assert file.path.exists()


@pytest.mark.usefixtures("small_pieces")
def test_of_a_file_that_grows_only_what_is_new_is_read(run: Run) -> None:
    (file,) = files(run.path / "samples")
    before = pieces(file, {})
    with RunWriter(run.path) as writer:
        writer.sample_rows("icmp", b"".join(map(sample_line, ROWS)), file.segment)
    content = file.path.read_bytes()
    everything = pieces(file, {})
    file.path.write_bytes(b"x" * before[-1].start + content[before[-1].start :])  # it is not looked at again
    assert pieces(file, {}, before) == everything
    assert sum(piece.rows for piece in everything) == 2 * len(ROWS)


# --- CSV -------------------------------------------------------------------------------------------------------------

TIMES = st.one_of(st.none(), st.integers(MISSING + 1, 2**63 - 1))
SAMPLES = st.lists(
    st.builds(
        Sample,
        st.integers(0, 2**63 - 1),
        TIMES,
        TIMES,
        TIMES,
        TIMES,
        TIMES,
        TIMES,
        st.sampled_from(Outcome),
        st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    )
)


@settings(deadline=None)
@given(SAMPLES)
def test_what_a_probe_writes_is_read_as_it_was_and_as_it_is_packed(made: list[Sample]) -> None:
    content = b"".join(map(sample_line, made))
    cells = read_cells(content, (*COLUMNS, ANSWERED))
    for name in NUMBERS:
        assert cells[name].tolist() == [MISSING if (value := getattr(one, name)) is None else value for one in made]
    assert cells["outcome"].tolist() == [one.outcome.value for one in made]
    assert cells[ANSWERED].tolist() == [one.outcome is Outcome.ANSWERED for one in made]
    assert cells["detail"].tolist() == [one.detail.replace("\r", " ").replace("\n", " ") for one in made]
    table = packed._parsed(content)
    for name in COLUMNS:
        assert packed._column(table, name).tolist() == cells[name].tolist()


@pytest.mark.parametrize("names", [NUMBERS, TEXTS], ids=["numbers", "texts"])
def test_lines_as_a_spreadsheet_ends_and_quotes_them_are_read(names: tuple[str, ...]) -> None:
    cells = read_cells(b'"1","2","3","4","5","6","7","lost","a, ""b"""\r\n\r\n', names)
    assert [column.tolist() for column in cells.values()] in (
        [[1], [2], [3], [4], [5], [6], [7]],
        [["lost"], ['a, "b"']],
    )


@pytest.mark.parametrize(
    "row",
    [
        b"1.79603E+18,2,3,4,5,6,7,answered,",
        b"1,2.0,3,4,5,6,7,answered,",
        b"1,2,3",
        b"1,two,3,4,5,6,7,answered,",
        b"1_0,2,3,4,5,6,7,answered,",
        b"0x1,2,3,4,5,6,7,answered,",
        b"9223372036854775808,2,3,4,5,6,7,answered,",
        b"1,2\x00,3,4,5,6,7,answered,",
        b"1,2,3,4,5,6,7,answered,\xff",
    ],
)
def test_a_cell_that_is_no_time_is_refused(row: bytes) -> None:
    with pytest.raises(ValueError, match=r"could not convert|invalid column|can't decode"):
        read_cells(row + b"\n", NUMBERS)


@pytest.mark.parametrize("names", [TEXTS, NUMBERS])
@pytest.mark.parametrize(
    "row",
    [
        b"1,2,3,4,5,6,7,answered,a,b",
        b"1,2,3,4,5,6,7,answered",
        b'1,2,3,4,5,6,7,lost,"a',
        b"1,2,3,4,5,6,7,answered,1,2,3,4,5,6,7,answered,",
        b'1,2,3,4,5,6,7,lost,"a,b",c',
    ],
)
def test_a_row_with_other_cells_than_a_sample_is_refused(row: bytes, names: Sequence[str]) -> None:
    with pytest.raises(ValueError, match=r"a sample has 9|unexpected end"):
        read_cells(row + b"\n", names)
