"""Setting up a site in a notebook: a call for each section, as `lpmkit.notebook.guide` has them for a move.

The managers and the machines are asked in threads of their own; nothing is changed on any of them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import ipywidgets as w
from IPython.display import HTML

from lpmkit.config import load_site
from lpmkit.doctor import Diagnosis, verdict_line
from lpmkit.errors import LpmError, UsageError
from lpmkit.notebook.acknowledgement import Acknowledgement, defect
from lpmkit.notebook.guide import errors_as_boxes, waiting
from lpmkit.notebook.site_tables import checks_table, discovery_tables, site_tables, summary
from lpmkit.notebook.tables import escaped
from lpmkit.runs.files import make_folders
from lpmkit.settings.site_file import find_site_file, site_file_places
from lpmkit.site_setup.check import check_file, check_machines
from lpmkit.site_setup.discovery import (
    Discovery,
    discover,
    named_managers,
    password_reference,
    refuse_existing,
    write_new,
)
from lpmkit.site_setup.managers import ManagedFrame
from lpmkit.ssh.secrets import Secrets

_WIDE = w.Layout(width="48em")
_LABELS = {"description_width": "13em"}
_BUTTON = w.Layout(width="auto", align_self="flex-start")

#: The author of the site file, as its first line names it.
_AUTHOR = "the notebook 05_set_up_a_site"


class ThreadedButton(w.VBox):  # type: ignore[misc] # ipywidgets has no types
    """A button whose work runs in a thread of its own: the kernel serves other cells and buttons meanwhile.

    ``work`` gets a function for its progress and returns its result in a sentence. ``trouble`` is the error that ended
    it, ``None`` without one.
    """

    def __init__(
        self, word: str, work: Callable[[Callable[[str], None]], str], fields: Sequence[w.Widget] = ()
    ) -> None:
        self._work = work
        self._thread: threading.Thread | None = None
        self.trouble: Exception | None = None
        self.go = w.Button(description=word, button_style="primary", layout=_BUTTON)
        self.says = Acknowledgement()
        self.go.on_click(lambda _: self.begin())
        super().__init__([*fields, self.go, self.says])

    @property
    def is_busy(self) -> bool:
        """True while the work is done."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self) -> None:
        """Begin the work, unless it is being done."""
        if self.is_busy:
            return
        self.go.disabled, self.trouble = True, None
        self._thread = threading.Thread(target=self._carry_out, daemon=True, name=self.go.description)
        self._thread.start()

    def wait(self) -> None:
        """Wait for the end of the work, if it has begun. Raises the error that ended it."""
        if self._thread is not None:
            self._thread.join()
        if self.trouble is not None:
            raise self.trouble

    def _carry_out(self) -> None:
        try:
            self.says.result(self._work(self.says.busy))
        except Exception as error:  # noqa: BLE001 - shown beside the button, and raised for whoever waits
            self.trouble = error
            self.says.trouble(error)
        finally:
            self.go.disabled = False


class ManagersForm(ThreadedButton):
    """Fields for the names of managers, and the button that asks them. ``found`` is what they answered, ``None`` while
    they were not asked, could not be asked, or are being asked again.
    """

    def __init__(self, hmcs: Sequence[str], ivms: Sequence[str], ssh_config: str | None, password: str | None) -> None:
        self._password = password
        self.found: Discovery | None = None
        self.hmcs = self._field("HMCs", ", ".join(hmcs), "as typed after ssh, with commas: hmc01, hmc02")
        self.ivms = self._field("IVMs", ", ".join(ivms), "as typed after ssh, with commas: bvio82, bvio83=192.0.2.83")
        self.ssh_config = self._field("OpenSSH configuration", ssh_config or "", "~/.ssh/config")
        self.skip = w.Checkbox(description="do not log in to partitions", indent=False, layout=_WIDE)
        login = (
            f"the password behind {password}, partitions with SSH keys" if password else "SSH keys, as partitions are"
        )
        logins = w.HTML(f"<p>Managers are logged in to with {escaped(login)}.</p>")
        fields = [self.hmcs, self.ivms, self.ssh_config, self.skip, logins]
        super().__init__("Ask the managers", self._ask, fields)

    @staticmethod
    def _field(name: str, value: str, example: str) -> w.Text:
        return w.Text(value=value, description=name, placeholder=example, layout=_WIDE, style=_LABELS)

    @property
    def is_filled_in(self) -> bool:
        """True where a manager is named."""
        return bool(_words(self.hmcs.value) or _words(self.ivms.value))

    def _ask(self, tell: Callable[[str], None]) -> str:
        self.found = None
        if not self.is_filled_in:
            raise UsageError("no manager is named", next_step="Type the name of an HMC or an IVM.")
        named = named_managers(_words(self.hmcs.value), _words(self.ivms.value))
        config = Path(self.ssh_config.value).expanduser() if self.ssh_config.value.strip() else None
        looked, total = count(1), 0

        def tell_frames(frames: Sequence[ManagedFrame]) -> None:
            nonlocal total
            total = sum(len(frame.clients) for frame in frames)
            tell(f"{len(frames)} managed systems. Looking into {total} partitions")

        tell(f"Asking {', '.join(each.host for each in named)}")
        self.found = discover(
            named,
            Secrets(may_ask=False),
            ssh_config=config,
            password=self._password,
            skip_partitions=self.skip.value,
            tell_frames=tell_frames,
            tell_partition=lambda _: tell(f"{next(looked)} of {total} partitions looked into"),
        )
        return f"{summary(self.found)} Run the cells below."


class SiteFileWriter(w.VBox):  # type: ignore[misc] # as above
    """The name of the new site file, and the button that writes it. ``written`` is its path, ``None`` before."""

    def __init__(self, found: Discovery, file: Path) -> None:
        self.found = found
        self.written: Path | None = None
        self.file = w.Text(value=str(file), description="file", layout=_WIDE)
        self.go = w.Button(description="Write the site file", button_style="primary", layout=_BUTTON)
        self.says = Acknowledgement()
        self.go.on_click(lambda _: self.press())
        super().__init__([self.file, self.go, self.says])

    def press(self) -> None:
        """Write the file, or show what prevents it."""
        try:
            self.write()
        except LpmError as error:
            self.says.trouble(error)

    def write(self) -> Path:
        """Write the file. Raises `UsageError` where there is one already, `RecordError` where its folder cannot be
        made.
        """
        path = Path(self.file.value).expanduser().absolute()
        refuse_existing(path)
        make_folders(path.parent)
        write_new(path, self.found.text(path, author=_AUTHOR))
        self.written = path
        self.says.result(f"✓ Written: {path}. Run the cells below.")
        return path


class SiteSetup:
    """The sections of setting up a site in a notebook.

    ``file`` is the site file to be written, by default the account's, which is found from every folder. Raises
    `UsageError` for a ``password`` that is no reference.
    """

    def __init__(self, file: str | None = None, password: str | None = None) -> None:
        errors_as_boxes()
        self._password = password_reference(password)
        if password == "prompt":  # noqa: S105 - a reference
            raise UsageError(
                "a button cannot ask for a password",
                next_step="Name keyring:SERVICE/USER or env:NAME, or use `lpmkit site init --password prompt`.",
            )
        self._file = Path(file).expanduser() if file else list(site_file_places())[-2]
        self.form: ManagersForm | None = None
        self.writer: SiteFileWriter | None = None
        self.checker: ThreadedButton | None = None
        self._given: tuple[object, ...] = ()
        self._checks: Path | None = None
        self._rows: list[Diagnosis] = []

    @property
    def found(self) -> Discovery | None:
        """The answers of the managers; ``None`` before."""
        return self.form.found if self.form else None

    def in_use(self) -> HTML:
        """The site file that the other notebooks use now."""
        path = _usual_file()
        if path is None:
            return HTML("<p>There is no site file yet.</p>")
        return HTML(
            f"<p>Site file in use: <b>{escaped(path)}</b>. It stays as it is: check it below, or write another one.</p>"
        )

    def managers(
        self,
        hmcs: Sequence[str] = (),
        ivms: Sequence[str] = (),
        ssh_config: str | None = None,
        *,
        wait: bool = False,
    ) -> ManagersForm:
        """The form for the managers; the same form, with what they answered, when the cell is run again.

        ``wait`` asks those that are named at once, and keeps the cell busy until they have answered.
        """
        given = (tuple(hmcs), tuple(ivms), ssh_config)
        if self.form is None or given != self._given:
            self._given = given
            self.form = ManagersForm(hmcs, ivms, ssh_config, self._password)
        if wait and self.form.is_filled_in:
            self.form.begin()
            self.form.wait()
        return self.form

    def systems(self) -> HTML:
        """The managed systems and partitions that were found, and what was left out with the reason."""
        if self.found is None:
            return self._waiting_for_managers()
        return discovery_tables(self.found)

    def text(self) -> HTML:
        """The site file as it would be written."""
        if self.found is None:
            return self._waiting_for_managers()
        return HTML(f"<pre style='line-height:1.3'>{escaped(self.found.text(self._file, author=_AUTHOR))}</pre>")

    def writing(self, *, write: bool = False) -> Any:
        """The button that writes the file. ``write`` writes it at once."""
        if self.found is None:
            return self._waiting_for_managers()
        if self.writer is None or self.writer.found is not self.found:
            self.writer = SiteFileWriter(self.found, self._file)
        if write:
            self.writer.write()
        return self.writer

    def checking(self, *, wait: bool = False) -> Any:
        """The button that checks the site file and its machines. ``wait`` checks at once, and keeps the cell busy until
        it is over.
        """
        path = self._file_to_check()
        if path is None:
            return waiting("write the site file above")
        if self.checker is None or path != self._checks:
            self._checks, self._rows = path, []
            self.checker = self._checker_of(path)
        if wait:
            self.checker.begin()
            self.checker.wait()
        return self.checker

    def _checker_of(self, path: Path) -> ThreadedButton:
        def check(tell: Callable[[str], None]) -> str:
            self._rows = []
            tell(f"Checking {path} and its machines")
            site = load_site(path)
            self._rows = [*check_file(path, site), *check_machines(site)]
            return f"{verdict_line(self._rows)} Run the cells below."

        about = w.HTML(f"<p>{escaped(path)}</p>")
        return ThreadedButton("Check the file and its machines", check, [about])

    def checked(self) -> HTML:
        """The result of the check, what needs somebody first."""
        if self.checker is not None and self.checker.trouble is not None:
            return _trouble(self.checker.trouble)
        if not self._rows:
            is_busy = self.checker is not None and self.checker.is_busy
            return waiting("let the check above end" if is_busy else "check the site file above")
        return checks_table(self._rows)

    def shown(self) -> HTML:
        """The frames and partitions of the site file, and how the other notebooks find it."""
        path = self._file_to_check()
        if path is None:
            return waiting("write the site file above")
        return HTML(site_tables(path, load_site(path)).data + how_found(path))

    def _file_to_check(self) -> Path | None:
        """The file written here, else the one that was named or is in use; ``None`` without one."""
        if self.writer is not None and self.writer.written is not None:
            return self.writer.written
        return self._file if self._file.is_file() else _usual_file()

    def _waiting_for_managers(self) -> HTML:
        if self.form is not None and self.form.trouble is not None:
            return _trouble(self.form.trouble)
        is_busy = self.form is not None and self.form.is_busy
        return waiting("let the managers above answer" if is_busy else "ask the managers above")


def how_found(path: Path) -> str:
    """The sentence, as HTML, that says how the other notebooks find a site file."""
    usual = _usual_file()
    if usual is not None and usual.resolve() == path.resolve():
        return "<p>✓ The other notebooks find this file by themselves.</p>"
    instead = f"They use {usual}" if usual is not None else "They would find none"
    return (
        f"<p>! The other notebooks do not find this file by themselves. {escaped(instead)}. "
        f"In their first cell: <code>SITE = {escaped(repr(str(path)))}</code>. "
        f"In a terminal: <code>export LPMKIT_SITE={escaped(path)}</code></p>"
    )


def _usual_file() -> Path | None:
    """The site file that is used by default; ``None`` without one."""
    try:
        return find_site_file(None).absolute()
    except UsageError:
        return None


def _trouble(error: Exception) -> HTML:
    """An error as plain output, which stays in the saved copy."""
    return HTML(f"<p style='border-left:6px solid #b42318;padding:2px 10px'>✗ {escaped(defect(error))}</p>")


def _words(text: str) -> list[str]:
    """The names in a field, between commas or blanks.

    >>> _words("hmc01, hmc02 hmc03,")
    ['hmc01', 'hmc02', 'hmc03']
    """
    return [word for word in re.split(r"[,\s]+", text) if word]
