#!/usr/bin/python
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)
"""The module lpm_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lpm_plan
short_description: Run a plan of several moves
version_added: "0.1.0"
description:
  - Runs C(lpmkit plan check) with the validation of each move. If the plan is ready, runs C(lpmkit plan run), once.
  - A plan whose partitions are all on their targets is not run. One with a part of them there is not ready;
    they are named in RV(on_target), and have to be taken out of the plan.
  - Succeeds with status 0 and 4. Status 3 always fails; nobody knows then how far the plan came.
    Look with C(lpmkit plan attach) before anything else, and put no C(retries) on the task.
  - The plan goes on if Ansible loses its connection. Long plans want C(async) and C(poll).
options:
  file:
    description: The plan, on the host where the module runs.
    type: path
    required: true
  confirm:
    description:
      - The plan's title, as a person types it to confirm the plan. Ask for it (C(vars_prompt)) or have it given on the
        command line.
      - Needed unless in check mode.
    type: str
extends_documentation_fragment:
  - lpmkit.powervm.lpmkit
attributes:
  check_mode:
    description: Runs C(lpmkit plan check) only, and tells whether the plan would be run.
    support: full
  diff_mode:
    description: Has no differences to show.
    support: none
"""

EXAMPLES = r"""
- name: Run a plan
  lpmkit.powervm.lpm_plan:
    site: /etc/lpmkit/site.yaml
    file: /etc/lpmkit/rack8.yaml
    confirm: "{{ confirm }}"
  async: 28800
  poll: 60
"""

RETURN = r"""
status:
  description:
    - Exit status of C(lpmkit), 0 every move arrived and is fine, 1 one failed or is not ready, 2 cannot be,
      3 nobody knows how far it came, 4 arrived with questions open.
  returned: always
  type: int
exit_status:
  description: Exit status of the process; differs from RV(status) if it crashed or its answer cannot be read.
  returned: unless RV(already_there)
  type: int
already_there:
  description: All partitions were on their targets; the plan was not run.
  returned: if they were
  type: bool
on_target:
  description: The partitions of a plan that is not ready that are on their targets already.
  returned: if the plan is not ready and the frames could be asked
  type: list
  elements: str
answer:
  description: >-
    The answer for programs (C(lpmkit schema plan run); in check mode and of a plan that is not ready
    C(lpmkit schema plan check)); of an error, C(lpmkit schema error).
  returned: always
  type: dict
plan:
  description: The plan's folder; empty without one.
  returned: if the plan was run
  type: str
msg:
  description: Result, reason and next step.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lpmkit.powervm.plugins.module_utils.command import (
    COMMON_OPTIONS,
    call,
    checked_plan,
    leave,
    plan_result,
)


def main():
    """Run the module."""
    options = dict(COMMON_OPTIONS, file={"type": "path", "required": True}, confirm={"type": "str"})
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    if not module.check_mode and not module.params["confirm"]:
        module.fail_json(msg="Nothing was moved. Give the plan's title as confirm.", status=2)
    checked = checked_plan(module)
    if checked["failed"] or checked.get("already_there"):
        leave(module, checked)
    if module.check_mode:
        leave(module, dict(checked, changed=True, msg=f"Would be run: {checked['msg']}"))
    outcome = call(module, "plan run", ["--confirm", module.params["confirm"]], [module.params["file"]])
    leave(module, plan_result(outcome))


if __name__ == "__main__":
    main()
