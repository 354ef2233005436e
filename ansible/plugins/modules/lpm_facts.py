#!/usr/bin/python
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)
"""The module lpm_facts."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lpm_facts
short_description: List what frames hold
version_added: "0.1.0"
description:
  - Runs C(lpmkit inventory). Changes nothing.
  - Fails with status 3 if something could not be read; what was read is in RV(answer) all the same.
options:
  frames:
    description: Frames by their names in the site file; all of them without it.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - lpmkit.powervm.lpmkit
attributes:
  check_mode:
    description: Runs in check mode as it does without.
    support: full
  diff_mode:
    description: Has no differences to show.
    support: none
"""

EXAMPLES = r"""
- name: List what two frames hold
  lpmkit.powervm.lpm_facts:
    site: /etc/lpmkit/site.yaml
    frames: [bvio82, bvio83]

- name: Show which partitions are on the target
  ansible.builtin.debug:
    msg: "{{ ansible_facts.lpmkit.partitions | selectattr('frame', 'eq', 'bvio83') | map(attribute='partition') }}"
"""

RETURN = r"""
ansible_facts:
  description: The answer as facts, if everything was read.
  returned: success
  type: dict
  contains:
    lpmkit:
      description: Tables by name, such as C(systems), C(partitions), C(adapters), C(disks) and C(networks).
      type: dict
status:
  description: Exit status of C(lpmkit), 0 everything was read, 3 something was not.
  returned: always
  type: int
exit_status:
  description: Exit status of the process; differs from RV(status) if it crashed or its answer cannot be read.
  returned: always
  type: int
answer:
  description: The answer for programs (C(lpmkit schema inventory)); of an error, C(lpmkit schema error).
  returned: always
  type: dict
msg:
  description: Result, reason and next step.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lpmkit.powervm.plugins.module_utils.command import COMMON_OPTIONS, call, leave


def main():
    """Run the module."""
    options = dict(COMMON_OPTIONS, frames={"type": "list", "elements": "str", "default": []})
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    outcome = call(module, "inventory", names=module.params["frames"])
    result = outcome.as_result()
    if outcome.is_success:
        result["ansible_facts"] = {"lpmkit": outcome.answer}
    leave(module, result)


if __name__ == "__main__":
    main()
