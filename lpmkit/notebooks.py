"""The notebook models, and the dated copies that one works on.

A model is never run: `copy_models` puts copies into a folder of their own, and the copy with its outputs is the record of that night.
"""

from __future__ import annotations

import shutil
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from lpmkit.errors import RecordError


def models() -> list[Path]:
    """The models, in their order."""
    # Inside an installed package they are in ``models/``; in a checkout they stand at its top.
    for folder in (Path(str(files("lpmkit"))) / "models", Path(str(files("lpmkit"))).parent / "notebooks"):
        found = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
        if found:
            return found
    raise RecordError("the notebook models are missing from this installation", next_step="Install lpmkit again.")


def copy_models(parent: Path) -> Path:
    """Copy the models into a new dated folder under ``parent`` and return it."""
    stem = f"{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    folder = parent.resolve() / stem
    folder.mkdir(parents=True)
    for model in models():
        shutil.copyfile(model, folder / model.name)
    return folder
