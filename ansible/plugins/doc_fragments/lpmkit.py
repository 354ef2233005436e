"""Options that several modules have."""

from __future__ import annotations


class ModuleDocFragment:
    """``lpmkit.powervm.lpmkit`` for every module, ``lpmkit.powervm.lpmkit.order`` for those that name a move."""

    DOCUMENTATION = r"""
options:
  executable:
    description:
      - The C(lpmkit) command, by its name or its path.
    type: path
    default: lpmkit
  site:
    description:
      - The site file on the host where the module runs.
      - Without it C(lpmkit) looks in its usual places, C($LPMKIT_SITE) first.
    type: path
  secrets:
    description:
      - Environment variables that the site file refers to as C(env:NAME), by their names.
      - They are handed to the command in its environment, and never logged.
    type: dict
requirements:
  - lpmkit on the host where the module runs
notes:
  - Exit status 3 of C(lpmkit) always fails the task. It means that nobody knows whether it is done.
    Look before anything else, and put no C(retries) on the task.
author:
  - The lpmkit maintainers (@lpmkit)
"""

    ORDER = r"""
options:
  partition:
    description: The partition that is moved.
    type: str
    required: true
  target:
    description: The target frame, by its name in the site file.
    type: str
    required: true
  source:
    description: The source frame; needed only if several frames list the partition.
    type: str
  keep_mapping:
    description: Name where each adapter goes, so that the mapping stays.
    type: bool
    default: false
  mapping:
    description: Attributes for C(migrlpar -i), such as C(dest_lpar_id). They go over O(keep_mapping).
    type: dict
  options:
    description: Options of C(migrlpar), for validation and move alike, such as C(requirerr).
    type: dict
  limits:
    description:
      - Limits of this move in seconds, over those of the site, as C(FAIL) or C(WARN:FAIL).
      - The names are C(suspension), C(session-outage), C(brown-out), C(job-delay) and C(commit-stall).
    type: dict
  window:
    description: Change window with zones, such as C(2026-11-30T22:00+01:00/2026-11-30T23:00+01:00).
    type: str
  on_breach:
    description: What the guard does when a limit is exceeded before the switch-over; the site's without it.
    type: str
    choices: [tell, stop]
notes:
  - Check, validation and move have to name the same order, or C(lpmkit) refuses the move.
    Put the options into C(module_defaults) or a variable.
"""
