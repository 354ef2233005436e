"""Every state of the board in a real browser: on one screen, read across a room, in a dark theme, zoomed, on a phone.

The states are run folders, so one browser sees all of them and no machine is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Page

from lpmkit.board.model import Board
from lpmkit.board.page import PARTS, board_html, parts, style
from tests.board_states import STATES, board_in
from tests.browser.lab import browser, shot
from tests.plan_states import plan_in

#: Width and height in CSS pixels: a small notebook, the same at 150 %, a phone.
SCREENS = {"1366": (1366, 768), "150-percent": (911, 512), "phone": (390, 844)}
#: States whose German words are the longest.
LONG_IN_GERMAN = ("needs-recovery", "recorder-gone", "moved")
PLANS = ("ready", "late", "needs-recovery", "done")
#: JupyterLab's variables in its dark theme.
DARK = "--jp-layout-color0:#111;--jp-content-font-color1:#fff"

#: Texts with less contrast than WCAG's 4.5 against what is painted behind them.
_PALE = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgb = (colour, below) => {
    canvas.fillStyle = below; canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (channels) => channels.map((one) => one / 255)
    .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/, 0\\)$|transparent/.test(colour)) return colour;
    }
    return "#fff";
  };
  const pale = [];
  for (const element of document.querySelectorAll("main *, .lpm-board *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || element.closest("svg") || !element.checkVisibility()) continue;
    const paper = behind(element);
    const [a, b] = [rgb(getComputedStyle(element).color, paper), rgb(paper, "#fff")].map(light);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) pale.push(`${element.className || element.tagName}: ${contrast.toFixed(2)}`);
  }
  return pale;
}"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The board of every state of a move as a page, and of a plan those that differ in their parts."""
    made: dict[str, str] = {}
    for state in STATES:
        with board_in(tmp_path_factory.mktemp(state), state) as (_, board):
            made[state] = board_html(board)
    for state in PLANS:
        with plan_in(tmp_path_factory.mktemp(state), state) as (_, board):
            made[f"plan-{state}"] = board_html(board)
    for state in LONG_IN_GERMAN:
        with board_in(tmp_path_factory.mktemp(state), state, "de") as (_, board):
            made[f"german-{state}"] = board_html(board)
    return made


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """One page for all of them."""
    with browser() as opened:
        yield opened


#: Folds whose content is wider than they are.
_SIDEWAYS = """() => [...document.querySelectorAll(".lpm-body")]
  .filter(body => body.scrollWidth > body.clientWidth + 1).map(body => body.parentElement.dataset.key)"""


def show(page: Page, html: str, style: str = "") -> None:
    """Show a board as the only thing of a page."""
    head = '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    page.set_content(f"{head}<body style='margin:8px;{style};background:var(--jp-layout-color0,#fff)'>{html}</body>")


@pytest.mark.parametrize("screen", SCREENS)
def test_every_state_fits_and_is_read_across_a_room(screen: str, page: Page, pages: dict[str, str]) -> None:
    width, height = SCREENS[screen]
    page.set_viewport_size({"width": width, "height": height})
    for state, html in pages.items():
        show(page, html)
        shot(page, f"board-{state}-{screen}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, state
        if screen == "phone":
            show(page, html.replace("<details ", "<details open "))
            assert page.evaluate(_SIDEWAYS) == [], f"{state}: a table that scrolls sideways"
            show(page, html)
        word, lanes = (page.locator(one).first.bounding_box() for one in (".lpm-word", ".lpm-part-lanes svg"))
        assert word is not None
        assert lanes is not None
        assert word["y"] < 75, "the state is at the very top"
        size = page.locator(".lpm-word").evaluate("element => parseFloat(getComputedStyle(element).fontSize)")
        assert size >= (50 if screen == "1366" else 26), "letters of a centimetre on a common screen"
        if screen != "phone":
            assert lanes["y"] + lanes["height"] / 2 < height, f"{state}: the lanes are on the first screen"
        tiles = page.locator(".lpm-tile").count()
        assert tiles == 6


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_text_is_pale(theme: str, page: Page, pages: dict[str, str]) -> None:
    page.set_viewport_size({"width": 1366, "height": 768})
    for state, html in pages.items():
        show(page, html.replace("<details ", "<details open "), DARK if theme == "dark" else "")
        shot(page, f"board-{state}-{theme}")
        assert page.evaluate(_PALE) == [], state


def test_states_differ_without_colours_too(page: Page, pages: dict[str, str]) -> None:
    """By sign and word: in grey, and for who does not tell red from green."""
    tones: dict[str, set[str]] = {}
    for html in pages.values():
        show(page, html, "filter:grayscale(1)")
        tone = page.locator(".lpm-banner").get_attribute("class") or ""
        tones.setdefault(page.locator(".lpm-word").inner_text(), set()).add(tone)
    assert all(len(found) == 1 for found in tones.values()), "the same words never stand on two colours"
    assert len(tones) > 10


def test_a_silence_can_be_pointed_at_in_a_saved_copy(page: Page, pages: dict[str, str], tmp_path: Path) -> None:
    """Without any script: the text that a pointer shows."""
    show(page, pages["moved"])
    told = page.locator("rect.lpm-gap title").all_text_contents()
    assert any("ssh-ticks: no heartbeat for 1." in text and "UTC" in text for text in told)


#: A model as anywidget hands it to the script: traits, and who is told of their changes.
_MODEL = """async ({ script, traits }) => {
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const { render } = (await import(url)).default;
  const told = {};
  const model = { get: (name) => traits[name], on: (name, act) => { told[name] = act; } };
  window.change = (name, value) => { traits[name] = value; told[`change:${name}`]?.(); };
  document.body.innerHTML = "<div id='board'></div>";
  render({ model, el: document.getElementById("board") });
}"""


def scripted(page: Page, board: Board, **traits: object) -> None:
    """Show a board by its script, as a notebook does."""
    script = files("lpmkit").joinpath("templates", "board.js").read_text(encoding="utf-8")
    made = {"shown": list(PARTS), "css_text": style(), "live": False, "names_page": False, "tells": False, "alarm": ""}
    named = {"title": board.banner.title, "sign": board.banner.sign, "colour": "#0b5394"}
    page.set_content("<!doctype html><meta charset='utf-8'><body></body>")
    page.evaluate(_MODEL, {"script": script, "traits": {**made, **parts(board), **named, **traits}})


def test_what_a_person_opened_stays_open_when_its_part_is_drawn_again(page: Page, tmp_path: Path) -> None:
    with board_in(tmp_path, "copying") as (_, board):
        scripted(page, board)
        fold = page.locator("details[data-key=checks]")
        assert fold.get_attribute("open") is None
        fold.locator("summary").click()
        page.evaluate("html => window.change('folds', html)", parts(board)["folds"] + "<!-- again -->")
        assert fold.get_attribute("open") is not None
        fold.locator("summary").click()
        page.evaluate("html => window.change('folds', html)", parts(board)["folds"])
        assert fold.get_attribute("open") is None


def test_a_board_whose_kernel_ended_does_not_look_like_one_that_goes_on(page: Page, tmp_path: Path) -> None:
    with board_in(tmp_path, "copying") as (_, board):
        page.clock.install()
        scripted(page, board, live=True)
        page.clock.run_for(4_000)
        assert page.locator(".lpm-stale").count() == 0
        page.clock.run_for(8_000)
        assert page.locator(".lpm-stale").count() == 1
        shot(page, "board-stale")
        page.evaluate("html => window.change('lanes', html)", parts(board)["lanes"])
        page.clock.run_for(2_000)
        assert page.locator(".lpm-stale").count() == 0, "it goes on"
        page.evaluate("window.change('live', false)")
        page.clock.run_for(60_000)
        assert page.locator(".lpm-stale").count() == 0, "a run that is over does not change"


def test_who_asked_for_it_is_notified_once(page: Page, tmp_path: Path) -> None:
    with board_in(tmp_path, "needs-recovery") as (_, board):
        scripted(page, board, tells=True)
        page.evaluate(
            "() => { window.told = []; window.Notification = class { constructor(text) { window.told.push(text); } "
            "static permission = 'granted'; static requestPermission = async () => 'granted'; }; }"
        )
        page.evaluate("window.change('alarm', 'stopped half way')")
        assert page.evaluate("window.told") == [], "nobody asked"
        page.get_by_label("notify me").check()
        page.evaluate("window.change('alarm', 'needs recovery')")
        assert page.evaluate("window.told") == ["needs recovery"]
