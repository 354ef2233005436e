"""The content of charts, not their looks: bars where it was silent, nothing across a silence, no labels on top of each
other.
"""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from lpmkit.analysis import Analysis, analyse
from lpmkit.errors import RecordError
from lpmkit.plots import files
from lpmkit.plots.colours import COLOURS, colour
from lpmkit.plots.figures import image, translated
from lpmkit.plots.files import Charts
from lpmkit.plots.heartbeats import lanes, zoom
from lpmkit.plots.ladder import ladder, ladder_chart
from lpmkit.plots.latency import latency
from lpmkit.plots.wall_chart import bytes_left, wall_chart
from lpmkit.runs.folder import create
from lpmkit.wording.words import words_of
from tests.made_runs import Made, make

MOVE = Made(duration_s=30.0, suspend=(18.0, 19.537), stalls=((12.0, 12.3),))
WATCH = Made(mode="watch", suspend=None, duration_s=24.0, hole=(14.0, 18.0), network_out=((8.0, 10.0),))


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return analyse(make(tmp_path_factory.mktemp("move"), MOVE))


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return analyse(make(tmp_path_factory.mktemp("watch"), WATCH))


def test_a_lane_shows_each_silence_as_a_bar_where_it_was(moved: Analysis) -> None:
    axes = lanes(moved)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ssh-ticks", "ssh-echo", "tcp-connect"]
    bars = [one for one in axes.patches if isinstance(one, Rectangle) and abs(one.get_y() + 0.36) < 1e-9]
    widest = max(bars, key=lambda one: one.get_width())
    assert widest.get_width() == pytest.approx(1.54, abs=0.03)
    assert widest.get_x() == pytest.approx(0.0, abs=0.03)


def test_no_line_is_drawn_across_a_silence(moved: Analysis) -> None:
    axes = lanes(moved)
    still = moved.suspension
    assert still is not None
    for collection in axes.collections:
        for segment in getattr(collection, "get_segments", list)():
            assert not (segment[0][0] < 0.1 and segment[1][0] > 1.4)


def test_the_close_up_marks_every_tick(moved: Analysis) -> None:
    still = moved.suspension
    assert still is not None
    axes = zoom(moved, still)
    heights = [np.asarray(line.get_ydata(), float) for line in axes.lines]
    (ticks,) = [drawn.reshape(-1, 3) for drawn in heights if len(drawn) > 600 and np.isnan(drawn[2::3]).all()]
    assert len(ticks) == pytest.approx(400, abs=15)
    assert (ticks[:, :2] == ticks[0, :2]).all(), "one as long as the other"
    assert any(text.get_text().startswith("suspended 1.5") for text in axes.texts)


@pytest.mark.parametrize("which", ["moved", "watched"])
def test_no_text_lies_on_another_and_none_is_cut_off(which: str, request: pytest.FixtureRequest) -> None:
    figure = wall_chart(request.getfixturevalue(which))
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    figure.draw(renderer)
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in _texts(figure)]
    for (one, box), (other, its) in combinations(boxes, 2):
        common = min(box.x1, its.x1) - max(box.x0, its.x0), min(box.y1, its.y1) - max(box.y0, its.y0)
        assert min(common) <= 1.0, f"{one!r} and {other!r}"
    for one, box in boxes:
        assert figure.bbox.x0 <= box.x0, one
        assert box.x1 <= figure.bbox.x1, one
        assert figure.bbox.y0 <= box.y0, one


def _texts(figure: Figure) -> list[Text]:
    found: list[Text] = list(figure.texts)
    for legend in figure.legends:
        found += legend.get_texts()
    for axes in figure.axes:
        titles = [text for text in axes.get_children() if isinstance(text, Text)]
        found += [*titles, axes.xaxis.label, axes.yaxis.label]
        lo, hi = sorted(axes.get_xlim())
        for scale in [axes, *axes.child_axes]:
            found += [tick.label1 for tick in scale.xaxis.get_major_ticks() if lo <= tick.get_loc() <= hi]
        found += axes.get_yticklabels()
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def test_a_hole_is_hatched_and_a_stall_is_grey_in_every_panel(moved: Analysis, watched: Analysis) -> None:
    hatched = [one for one in lanes(watched).patches if one.get_hatch() == "////"]
    assert len(hatched) == 1
    for axes in (lanes(moved), bytes_left(moved), latency(moved, moved.hosts[0].traces[1:2])):
        grey = [
            one for one in axes.patches if one.get_facecolor()[:3] == pytest.approx((0.604, 0.635, 0.671), abs=0.01)
        ]
        assert grey


def test_the_ladder_ends_with_what_was_agreed(moved: Analysis) -> None:
    still = moved.suspension
    assert still is not None
    labels = [label.get_text() for label in ladder(still).get_yticklabels()]
    assert labels[-1] == "all probes"
    assert set(labels[:-1]) == {"ssh-ticks", "ssh-echo", "tcp-connect"}


def test_every_chart_is_written_by_its_name_and_writing_again_changes_nothing(moved: Analysis, tmp_path: Path) -> None:
    paths = Charts(moved).write(tmp_path, "svg")
    assert paths.keys() == {"wall", "ladder", "latency"}
    before = {path: path.read_bytes() for path in paths.values()}
    for path in before:
        ElementTree.fromstring(path.read_text())
    Charts(moved).write(tmp_path, "svg")
    assert {path: path.read_bytes() for path in before} == before
    assert set(tmp_path.iterdir()) == set(before), "no picture is drawn that nobody asked for"


def test_a_chart_is_drawn_once_for_all_its_files_and_each_is_that_of_a_chart_of_its_own(
    moved: Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    still, drawn = moved.suspension, []
    assert still is not None

    def draw() -> Figure:
        drawn.append(ladder_chart(still))
        return drawn[-1]

    monkeypatch.setattr(files, "charts", lambda _: {"ladder": draw})
    made = files.Charts(moved, str.upper)
    made.write(tmp_path, "svg")
    picture = made.write(tmp_path, "png")["ladder"].read_bytes()
    assert len(drawn) == 1
    assert picture == image(translated(ladder_chart(still), str.upper))


def test_a_chart_that_has_nothing_to_show_any_more_is_removed(watched: Analysis, tmp_path: Path) -> None:
    (tmp_path / "ladder.svg").write_text("old")
    assert "ladder" not in Charts(watched).write(tmp_path, "svg")
    assert not (tmp_path / "ladder.svg").exists()


def test_a_folder_that_cannot_be_made_is_a_clear_error(watched: Analysis, tmp_path: Path) -> None:
    (tmp_path / "plots").write_text("a file is in the way")
    with pytest.raises(RecordError, match="plots is no folder"):
        Charts(watched).write(tmp_path / "plots", "svg")


def test_of_an_empty_run_nothing_is_drawn_and_its_chart_can_be(tmp_path: Path) -> None:
    empty = analyse(create(tmp_path, mode="move", title="empty", facts={}))
    assert Charts(empty).write(tmp_path / "plots", "png") == {}
    assert image(wall_chart(empty)).startswith(b"\x89PNG")


def test_drawing_touches_no_global_state() -> None:
    code = "import sys, lpmkit.plots.files; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_probes_have_the_same_colour_everywhere() -> None:
    assert len(set(COLOURS.values())) == len(COLOURS)
    assert colour("ticks") == COLOURS["ticks"]
    assert np.unique([colour("sap-ni"), colour("oracle")]).size == 1


def test_a_chart_in_german_has_no_english_label_and_german_numbers(moved: Analysis) -> None:
    figure = translated(wall_chart(moved), words_of("de").said)
    assert image(figure)  # it is drawn
    texts = [text.get_text() for text in figure.findobj(Text) if text.get_text().strip()]
    assert "Lebenszeichen" in texts
    assert any(text.startswith("Unterbrechung 1,") for text in texts)
    left = [text for text in texts if re.search(r"\b(the|of|suspended|seconds|gap|start|end|left)\b|\d\.\d m?s", text)]
    assert left == []
    assert moved.suspension is not None
    assert image(translated(ladder_chart(moved.suspension), words_of("de").said))
