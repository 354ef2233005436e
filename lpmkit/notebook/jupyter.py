"""Jupyter's servers without the second that they spend on a grammar which they never use.

jsonschema, which reads their notebooks and events, compiles the grammar of international web addresses when it is
imported; no schema of theirs has a format ``iri``. ``python -m lpmkit.notebook.jupyter MODULE`` starts a server.
"""

from __future__ import annotations

import runpy
import sys

# for jsonschema as if the package was not there
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

if __name__ == "__main__":
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
