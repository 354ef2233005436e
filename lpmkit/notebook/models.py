"""The notebook models, and the dated copies to work on.

A model is never run: `copy_models` copies them into a new folder, and a copy with its outputs is part of the record.
"""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from lpmkit.errors import RecordError
from lpmkit.json_values import JsonObject
from lpmkit.runs.files import make_folder


def models() -> list[Path]:
    """The models, in the order of their numbers."""
    # Inside an installed package they are in ``models/``; in a checkout they are at its top.
    for folder in (Path(str(files("lpmkit"))) / "models", Path(str(files("lpmkit"))).parent / "notebooks"):
        found = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
        if found:
            return found
    raise RecordError("the notebook models are missing from this installation", next_step="Install lpmkit again.")


def copy_models(parent: Path) -> Path:
    """Copy the models into a new dated folder under ``parent`` and return it."""
    stem = f"{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    folder = parent.resolve() / stem
    parent.mkdir(parents=True, exist_ok=True)
    make_folder(folder)
    for model in models():
        shutil.copyfile(model, folder / model.name)
    return folder


#: The application's only cell; Voilà shows its output.
_APPLICATION = """import os

from lpmkit.notebook.application import application_for
from lpmkit.config import load_site
from lpmkit.settings.site_file import find_site_file
from lpmkit.account.person import person_of_request
from lpmkit.runbook import Runbook

book = Runbook(load_site(find_site_file(None)), person=person_of_request())
application_for(book, os.environ.get("QUERY_STRING", ""))
"""


def write_application(folder: Path) -> Path:
    """Write the application's notebook into a folder and return its path."""
    cell: JsonObject = {
        "cell_type": "code",
        "execution_count": None,
        "id": "application",
        "metadata": {},
        "outputs": [],
        "source": _APPLICATION,
    }
    kernel = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}}
    make_folder(folder)
    path = folder / "application.ipynb"
    path.write_text(
        json.dumps({"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}, indent=1),
        encoding="utf-8",
    )
    return path
