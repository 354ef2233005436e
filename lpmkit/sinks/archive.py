"""The archive of a finished run: its folder, copied to another folder or, with fsspec, to a store.

The list of hashes is written last: an archive that has it is whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

from lpmkit.errors import RecordError
from lpmkit.runs.deliveries import LOCK as COURIER_LOCK
from lpmkit.runs.deliveries import NAME as DELIVERIES
from lpmkit.runs.files import open_plain, plain_files
from lpmkit.runs.folder import LOCK, Run
from lpmkit.sinks.wire import NotDelivered

#: The list of hashes, as ``sha256sum --check`` reads it.
HASHES = "SHA256SUMS"
#: The files of the process that writes the folder now, which do not belong to the run.
_LEFT_OUT = frozenset({LOCK, COURIER_LOCK, DELIVERIES, "courier.log"})


def archive(run: Run, to: str) -> None:
    """Copy a run to ``to``/NAME. An archive that is there and is the same is left as it is.

    Raises `NotDelivered`, also where another archive of that name is there; the exceptions of a store as they are.
    """
    files = archived_files(run.path)
    hashes = hashes_of(files)
    try:
        if "://" in to:
            _to_store(run.name, files, hashes, to)
        else:
            _to_folder(run.name, files, hashes, Path(to))
    except OSError as error:
        raise NotDelivered(f"{to}: {error.strerror or error}.") from error


def archived_files(folder: Path) -> dict[str, Path]:
    """The files of a run that belong to its archive, by their paths in it. Raises `NotDelivered` for a link."""
    try:
        found = {path.relative_to(folder).as_posix(): path for path in plain_files(folder)}
    except RecordError as error:
        raise NotDelivered(str(error), is_final=True) from error
    return {
        name: path
        for name, path in found.items()
        if name not in _LEFT_OUT and not any(part.startswith(".") for part in Path(name).parts)
    }


def hashes_of(files: dict[str, Path]) -> bytes:
    """The list of hashes of files."""
    lines = []
    for name, path in files.items():
        with open_plain(path, "rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    return "".join(lines).encode()


def _another(where: str) -> NotDelivered:
    return NotDelivered(f"{where} is there already and is another one; nothing was changed there.", is_final=True)


def _to_folder(name: str, files: dict[str, Path], hashes: bytes, to: Path) -> None:
    if not to.is_dir():
        raise NotDelivered(f"{to} is no folder.")
    target, draft = to / name, to / f".{name}.partial"
    if target.exists():
        if (target / HASHES).is_file() and (target / HASHES).read_bytes() == hashes:
            return
        raise _another(str(target))
    if draft.is_dir() and not draft.is_symlink():
        shutil.rmtree(draft)  # of a try that was ended
    draft.mkdir(mode=0o700)
    for relative, path in files.items():
        copy = draft / relative
        copy.parent.mkdir(parents=True, exist_ok=True)
        with open_plain(path, "rb") as source, open_plain(copy, "xb") as written:
            shutil.copyfileobj(source, written)
            written.flush()
            os.fsync(written.fileno())
    (draft / HASHES).write_bytes(hashes)
    copied = {path.relative_to(draft).as_posix(): path for path in plain_files(draft) if path.name != HASHES}
    if hashes_of({relative: copied[relative] for relative in files}) != hashes:
        raise NotDelivered(f"{draft}: what was read back is not what was written, or the run was still written to.")
    draft.rename(target)


def _to_store(name: str, files: dict[str, Path], hashes: bytes, to: str) -> None:
    import fsspec  # noqa: PLC0415 - an extra

    store: Any
    store, root = fsspec.url_to_fs(to)
    target = f"{root.rstrip('/')}/{name}"
    mark = f"{target}/{HASHES}"
    if store.exists(mark):
        if store.cat_file(mark) == hashes:
            return
        raise _another(f"{to.rstrip('/')}/{name}")
    for relative, path in files.items():
        there = f"{target}/{relative}"
        store.makedirs(there.rpartition("/")[0], exist_ok=True)
        store.put_file(str(path), there)
        if store.size(there) != path.stat().st_size:
            raise NotDelivered(f"{to}: {relative} did not arrive whole.")
    store.pipe_file(mark, hashes)
