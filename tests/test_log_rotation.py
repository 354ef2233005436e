"""A log that is rotated while it is followed: nothing in it is lost, or the gap is named."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lpmkit.oracle import log_tail
from lpmkit.oracle.log_tail import AlertFollower, Position
from tests.test_alert_log import HEAD, HostWithFiles, add, texts

STAMP = HEAD.splitlines()[0]
LONG = "the first words, of a log that is longer than the old one was when it was read\n" * 5


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "alert_BX5.log"
    path.write_text(HEAD)
    return path


def following(log: Path, *, tells_inodes: bool = True) -> AlertFollower:
    follower = AlertFollower(HostWithFiles(tells_inodes=tells_inodes), str(log))
    follower.poll()
    return follower


def moved(log: Path, name: str, content: str) -> None:
    """Move the log away, written to later than what was moved before, and begin another."""
    target, at = log.with_name(name), 1_000_000_000 + len(list(log.parent.iterdir()))
    log.rename(target)
    os.utime(target, (at, at))
    log.write_text(content)


def read(follower: AlertFollower, polls: int = 3) -> list[str]:
    return [line for text in texts(follower, polls) for line in text.splitlines()]


@pytest.mark.parametrize("tells_inodes", [True, False])
@pytest.mark.parametrize("new", ["", "made again\n", LONG])
def test_a_log_that_is_copied_and_emptied_loses_nothing(log: Path, new: str, tells_inodes: bool) -> None:
    follower = following(log, tells_inodes=tells_inodes)
    add(log, "the last words\n")
    shutil.copyfile(log, log.with_name("alert_BX5.log.1"))
    log.write_text(new)
    add(log, "and on\n")
    assert read(follower) == ["the last words", *(new + "and on").splitlines()]
    assert not follower.gaps


def test_a_file_beside_it_that_is_no_copy_is_not_taken_for_one(log: Path) -> None:
    follower = following(log)
    log.with_name("alert_BX5.log.2").write_text("of another day\n" * 20)
    log.with_name("alert_BX52.log").write_text(HEAD + "of another instance\n")
    log.write_text("x\n")
    assert read(follower) == ["x"]
    assert len(follower.gaps) == 1


def test_a_log_that_was_moved_away_twice_loses_nothing(log: Path) -> None:
    follower = following(log)
    add(log, "first\n")
    moved(log, "alert_BX5_1.log", STAMP + "\nsecond\n")
    moved(log, "alert_BX5_2.log", STAMP + "\nthird\n")
    assert read(follower) == ["first", "second", "third"]
    assert not follower.gaps


def test_what_is_older_than_the_log_that_was_read_is_not_read_again(log: Path) -> None:
    moved(log, "alert_BX5.log.9", HEAD)
    follower = following(log)
    add(log, "first\n")
    moved(log, "alert_BX5.log.1", "second\n")
    assert read(follower) == ["first", "second"]


@pytest.mark.parametrize(("name", "gap"), [("alert_BX5.log.1.gz", "packed"), ("alert_BX5.log.2.Z", "packed")])
def test_a_log_that_was_packed_in_between_is_named(log: Path, name: str, gap: str) -> None:
    follower = following(log)
    add(log, "first\n")
    moved(log, "alert_BX5.log.1", "second\n")
    moved(log, name, "third\n")
    assert read(follower) == ["first", "third"]
    assert [name in each and gap in each for each in follower.gaps] == [True]


def test_a_log_that_was_packed_itself_is_named(log: Path) -> None:
    follower = following(log)
    packed = log.with_name("alert_BX5.log.1.gz")
    packed.write_bytes(b"\x1f\x8b\x08 not for us")
    log.unlink()
    log.write_text("second\n")
    assert read(follower) == ["second"]
    assert f"{packed} may hold it" in follower.gaps[0]


def test_the_end_of_a_log_that_grew_beyond_measure_before_it_was_moved_is_read(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = following(log)
    monkeypatch.setattr(log_tail, "MAX_FETCHED", 1000)
    add(log, "x" * 49 + "\n" + ("y" * 49 + "\n") * 100 + "the last words\n")
    moved(log, "alert_BX5.log.1", "second\n")
    seen = read(follower)
    assert seen[-2:] == ["the last words", "second"]
    assert set(seen[:-2]) == {"y" * 49}
    assert ["bytes of" in gap and "were not read" in gap for gap in follower.gaps] == [True]


def test_a_log_from_its_beginning_that_is_replaced_while_it_is_empty_is_no_loss(tmp_path: Path) -> None:
    log = tmp_path / "alert_BX5.log"
    log.write_text("")
    follower = AlertFollower(HostWithFiles(), str(log), Position())
    follower.poll()
    add(log, "first\n")
    moved(log, "alert_BX5.log.1", "second\n")
    assert read(follower) == ["first", "second"]
    assert not follower.gaps
