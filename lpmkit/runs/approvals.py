"""Four eyes: approvals of one order, bound to its hash, by other logins than the operator's.

An approval is a file in ``approvals/`` of the run folder. Where the site names ``allowed_signers`` it counts only with
an SSH signature beside it (``ssh-keygen -Y``); else the account that owns the file vouches for its author, which only
root can forge. `require` is asked by the runbook before a recorder is started, and by the recorder again before the
command: every door leads through both.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from lpmkit.account.person import Person, account_name
from lpmkit.config import RunSettings
from lpmkit.errors import NotAllowed, NotApproved, RecordError, UsageError
from lpmkit.json_values import JsonObject, parse_json
from lpmkit.runs.appender import sync_folder
from lpmkit.runs.files import cannot_write, make_folder, not_plain, open_plain
from lpmkit.runs.folder import Run, write_file
from lpmkit.runs.locks import PARTITION_LOCKS
from lpmkit.timeline import Clock

FOLDER = "approvals"
#: The purpose that a signature is made for: one made for something else does not count.
NAMESPACE = "lpmkit-approval"
#: Approvals that served, beside the partitions' locks in the folder of runs.
USED = f"{PARTITION_LOCKS}/approvals-used"
#: Nanoseconds by which another machine's clock may be ahead.
_AHEAD_NS = 300 * 1_000_000_000


def order_hash(run: Run) -> str:
    """The hash that an approval is bound to: of the order, and of the very folder that was prepared for it.

    Another target, mapping or mover is another hash, and so is the same order in another run, or in a copy of the
    folder: the file system numbers every folder (inode), and a copy gets a number of its own.
    """
    facts = {
        "run": run.name,
        "folder": run.path.stat().st_ino,
        "created": run.manifest.get("created"),
        "order": run.manifest.get("order"),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Approval:
    """One approval as it was found.

    ``wall_ns`` is when it was given, ``refused`` why it does not count now (empty where it does).
    """

    by: str
    wall_ns: int
    order_hash: str
    signed: bool
    refused: str = ""

    @property
    def mark(self) -> str:
        """The name under which it is noted as used."""
        return hashlib.sha256(f"{self.order_hash} {self.wall_ns} {self.by}".encode()).hexdigest()[:32]

    def as_data(self) -> JsonObject:
        """JSON values for an event."""
        return {"by": self.by, "wall_ns": self.wall_ns, "order_hash": self.order_hash, "signed": self.signed}


def approve(
    run: Run, person: Person, typed_name: str, *, key: Path | None = None, clock: Clock | None = None
) -> Approval:
    """Write this person's approval of a run's order into its folder, signed with an SSH ``key`` where given.

    Raises `NotAllowed` unless the partition's name was typed and no move was asked for yet, `RecordError` where it
    cannot be written, `UsageError` where the key cannot sign.
    """
    order = run.manifest.get("order") or {}
    if not order:
        raise UsageError("this run is a watch, it has no order to approve", where=run.name)
    if typed_name != order.get("partition"):
        raise NotAllowed(
            f"the name typed is {typed_name!r} and the partition is {order.get('partition')!r}; nothing was approved",
            next_step="Type the partition's name exactly.",
        )
    require_unmoved(run)
    given = Approval(person.login, (clock or Clock()).wall_ns(), order_hash(run), key is not None)
    folder = make_folder(run.path / FOLDER)
    _keep_apart(folder)
    path = folder / f"{person.login}-{given.order_hash[:16]}.json"
    row = {**given.as_data(), "order": order, "person": person.as_data()}
    path.unlink(missing_ok=True)
    write_file(path, (json.dumps(row, sort_keys=True) + "\n").encode())
    if key is not None:
        try:
            _sign(path, key)
        except UsageError:
            path.unlink(missing_ok=True)
            raise
    return given


def require_unmoved(run: Run) -> None:
    """Raise `NotAllowed` for a run whose move was asked for already."""
    if any(event.kind == "intent" for event in run.events()):
        raise NotAllowed("this run has moved already; there is nothing to approve", where=run.name)


def _keep_apart(folder: Path) -> None:
    """In a shared folder only its owner may remove another account's file."""
    try:
        facts = folder.stat()
        if facts.st_mode & stat.S_IWGRP and facts.st_uid == os.getuid():
            folder.chmod(stat.S_IMODE(facts.st_mode) | stat.S_ISVTX)
    except OSError as error:
        raise cannot_write(folder, error) from error


def _program() -> str:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise UsageError("there is no ssh-keygen on this machine", next_step="Install openssh-client.")
    return program


def _sign(path: Path, key: Path) -> None:
    signature = path.with_name(f"{path.name}.sig")
    signature.unlink(missing_ok=True)
    done = subprocess.run(  # noqa: S603 - OpenSSH itself; a passphrase is asked for at the terminal
        [_program(), "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0 or not signature.is_file():
        raise UsageError(
            "ssh-keygen could not sign the approval",
            where=str(key),
            answered=done.stderr or None,
            next_step="Name your key with --key: the private key's file, or the .pub of one that your agent holds.",
        )
    signature.chmod(stat.S_IMODE(path.stat().st_mode))


def approvals(run: Run, rules: RunSettings, operator: Person, clock: Clock) -> tuple[Approval, ...]:
    """Every approval in a run's folder, oldest first, each with why it does not count for this operator now."""
    folder = run.path / FOLDER
    if not folder.is_dir() or folder.is_symlink():
        return ()
    try:
        odd = set(not_plain(folder))
        found = [
            _judged(path, run, rules, operator, clock) for path in sorted(folder.glob("*.json")) if path.name not in odd
        ]
    except OSError as error:
        raise RecordError(f"its approvals cannot be read: {error.strerror or error}", where=str(run.path)) from error
    return tuple(sorted(found, key=lambda one: one.wall_ns))


def _judged(path: Path, run: Run, rules: RunSettings, operator: Person, clock: Clock) -> Approval:
    with open_plain(path, "rb") as file:
        owner = os.fstat(file.fileno()).st_uid
        content = file.read(1 << 20)
    try:
        row = parse_json(content)
        by, wall_ns, bound = str(row["by"]), int(row["wall_ns"]), str(row["order_hash"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return Approval(path.name, 0, "", signed=False, refused="it cannot be read")
    signed = rules.allowed_signers is not None and _verified(content, path, by, rules.allowed_signers)
    refused = _refusal(by, wall_ns, bound, run, rules, operator, clock) or _unproved(
        signed, owner, by, row, rules, operator
    )
    approval = Approval(by, wall_ns, bound, signed, refused)
    if not refused and os.path.lexists(_used(run) / approval.mark):
        return replace(approval, refused="a move was asked for with it already")
    return approval


def _refusal(by: str, wall_ns: int, bound: str, run: Run, rules: RunSettings, operator: Person, clock: Clock) -> str:
    if by in (operator.login, operator.account):
        return "it is the operator's own"
    if rules.approvers and by not in rules.approvers:
        return "the site file does not name them among `approvers`"
    if bound != order_hash(run):
        return "it is for another order"
    age_ns = clock.wall_ns() - wall_ns
    if age_ns > rules.approval_holds_hours * 3600e9:
        return f"it is older than {rules.approval_holds_hours:g} hours"
    if age_ns < -_AHEAD_NS:
        return "its time lies in the future"
    return ""


def _used(run: Run) -> Path:
    """The folder of the approvals that served, beside the runs: a run folder that was put back from a copy has its
    approvals, and none of them counts again.
    """
    return run.path.resolve().parent / USED


def use(run: Run, counting: Iterable[Approval]) -> None:
    """Note approvals as used, on the disk, before the command that they are for.

    Raises `NotApproved` for one that served already, `RecordError` where it cannot be noted.
    """
    folder = _used(run)
    for approval in counting:
        make_folder(folder.parent)
        make_folder(folder)
        try:
            with open_plain(folder / approval.mark, "xb") as file:
                file.write(f"{run.name}\n".encode())
                file.flush()
                os.fsync(file.fileno())
            sync_folder(folder)
        except FileExistsError:
            raise NotApproved(
                f"a move was asked for already with the approval of {approval.by}",
                where=run.name,
                next_step="Prepare the move again, and have it approved.",
            ) from None
        except OSError as error:
            raise cannot_write(folder, error) from error


def _unproved(signed: bool, owner: int, by: str, row: JsonObject, rules: RunSettings, operator: Person) -> str:
    """The reason why the author of an approval is not proved."""
    if rules.allowed_signers is not None:
        return "" if signed else "it has no valid signature of an allowed signer"
    person = row.get("person")
    account = person.get("account") if isinstance(person, dict) else None
    if account_name(owner) == operator.account:
        return "the operator's own account wrote it"
    if account_name(owner) != account or (owner != 0 and account != by):
        return f"the account {account_name(owner)} wrote it"
    return ""


def _principals(signers: Path) -> set[str]:
    """The names in a file of allowed signers (ssh-keygen(1)).

    OpenSSH takes them for patterns. Here a pattern counts for no name: with ``*@example.org`` one person could approve
    under any name of the firm.
    """
    lines = signers.read_text(encoding="utf-8", errors="replace").splitlines()
    return {name for line in lines if line.strip() for name in line.split()[0].strip('"').split(",")}


def _verified(content: bytes, path: Path, by: str, signers: Path) -> bool:
    """True where an allowed signer of that name signed this very content."""
    signature = path.with_name(f"{path.name}.sig")
    if by.startswith("-") or not signers.is_file() or signature.is_symlink() or not signature.is_file():
        return False
    if by not in _principals(signers):
        return False
    done = subprocess.run(  # noqa: S603 - OpenSSH itself
        [_program(), "-Y", "verify", "-f", str(signers), "-I", by, "-n", NAMESPACE, "-s", str(signature)],
        input=content, capture_output=True, check=False, timeout=30,
    )  # fmt: skip
    return done.returncode == 0


def require(run: Run, rules: RunSettings, operator: Person, clock: Clock) -> tuple[Approval, ...]:
    """The approvals that count. Raises `NotApproved` where they are fewer logins than the site asks for."""
    if rules.approvals == 0:
        return ()
    found = approvals(run, rules, operator, clock)
    counting = {one.by: one for one in found if not one.refused}
    if len(counting) >= rules.approvals:
        return tuple(counting.values())
    why_not = "; ".join(f"of {one.by}: {one.refused}" for one in found if one.refused)
    key = " --key YOUR-SSH-KEY" if rules.allowed_signers else ""
    raise NotApproved(
        (
            f"this order needs {rules.approvals} approval{'s' if rules.approvals > 1 else ''} by other logins than "
            f"{operator.login}'s, and has {len(counting)}"
        )
        + (f" that counts. Not counted {why_not}" if why_not else ""),
        where=run.name,
        next_step=f"Somebody else types `lpmkit approve {run.name}{key}`.",
    )
