#!/usr/bin/python
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)
"""The module lpm_check."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lpm_check
short_description: Check every prerequisite of a move
version_added: "0.1.0"
description:
  - Runs C(lpmkit check). Changes nothing on any machine; the findings are saved in a run folder of C(lpmkit).
  - Fails unless the partition is ready, or is on the target already.
extends_documentation_fragment:
  - lpmkit.powervm.lpmkit
  - lpmkit.powervm.lpmkit.order
attributes:
  check_mode:
    description: Runs in check mode as it does without.
    support: full
  diff_mode:
    description: Has no differences to show.
    support: none
"""

EXAMPLES = r"""
- name: Check a move
  lpmkit.powervm.lpm_check:
    site: /etc/lpmkit/site.yaml
    partition: bxaix85
    target: bvio83
  register: check

- name: Show the remedies
  ansible.builtin.debug:
    msg: "{{ check.answer.findings | default([]) | selectattr('remedy') | map(attribute='remedy') | list }}"
"""

RETURN = r"""
status:
  description: Exit status of C(lpmkit), 0 ready, 1 not ready, 2 cannot be, 3 inconclusive.
  returned: always
  type: int
exit_status:
  description: Exit status of the process; differs from RV(status) if it crashed or its answer cannot be read.
  returned: unless RV(already_there)
  type: int
already_there:
  description: The partition is on the target; nothing was checked.
  returned: if it is
  type: bool
answer:
  description: The answer for programs (C(lpmkit schema check)); of an error, C(lpmkit schema error).
  returned: always
  type: dict
run:
  description: The run folder that the check has prepared; empty without one.
  returned: always
  type: str
msg:
  description: Result, reason and next step.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lpmkit.powervm.plugins.module_utils.command import (
    COMMON_OPTIONS,
    ORDER_OPTIONS,
    leave,
    look_only,
)


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=dict(COMMON_OPTIONS, **ORDER_OPTIONS), supports_check_mode=True)
    leave(module, look_only(module, "check"))


if __name__ == "__main__":
    main()
