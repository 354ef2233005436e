#!/usr/bin/python
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)
"""The module lpm_validate."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lpm_validate
short_description: Let the HMC or IVM validate a move
version_added: "0.1.0"
description:
  - Runs C(lpmkit validate), which has the manager validate the move (C(migrlpar -o v)). Changes nothing on any machine.
  - M(lpmkit.powervm.lpm_move) needs a recent validation of the same order.
  - Fails unless the validation passed, or the partition is on the target already.
options:
  npiv_disks:
    description: Have the VIOS try every disk behind virtual Fibre Channel, not only the zoning.
    type: bool
    default: false
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
- name: Validate a move
  lpmkit.powervm.lpm_validate:
    site: /etc/lpmkit/site.yaml
    partition: bxaix85
    target: bvio83
"""

RETURN = r"""
status:
  description: Exit status of C(lpmkit), 0 passed, 1 refused, 2 cannot be, 3 inconclusive.
  returned: always
  type: int
exit_status:
  description: Exit status of the process; differs from RV(status) if it crashed or its answer cannot be read.
  returned: unless RV(already_there)
  type: int
already_there:
  description: The partition is on the target; nothing was validated.
  returned: if it is
  type: bool
answer:
  description: The answer for programs (C(lpmkit schema validate)); of an error, C(lpmkit schema error).
  returned: always
  type: dict
run:
  description: The run folder that the validation stands in; empty without one.
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
    options = dict(COMMON_OPTIONS, **ORDER_OPTIONS, npiv_disks={"type": "bool", "default": False})
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    leave(module, look_only(module, "validate", ["--npiv-disks"] if module.params["npiv_disks"] else []))


if __name__ == "__main__":
    main()
