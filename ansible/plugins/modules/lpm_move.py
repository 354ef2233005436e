#!/usr/bin/python
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)
"""The module lpm_move."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lpm_move
short_description: Move a running partition to another frame
version_added: "0.1.0"
description:
  - Runs C(lpmkit move), once, and waits until the partition has moved and the recording is over.
  - Needs a recent validation of the same order that passed (M(lpmkit.powervm.lpm_validate)).
  - A partition that is on the target already, and on no other frame, is not moved; the move command is not run.
  - Succeeds with status 0 and 4. Status 3 always fails; nobody knows then whether the partition moved.
    Look with C(lpmkit attach) and C(lpmkit recover --look) before anything else, and put no C(retries) on the task.
  - The recording and the migration go on if Ansible loses its connection. The task is lost then, the move is not;
    C(lpmkit attach) shows it. Long moves want C(async) and C(poll).
options:
  confirm:
    description:
      - The partition's name once more, as a person types it to confirm the move. Ask for it (C(vars_prompt)) or have it
        given on the command line; written into a playbook beside O(partition) it confirms nothing.
      - Needed unless in check mode.
    type: str
  wait_for_window:
    description: Wait until the change window begins, then check and validate again.
    type: bool
    default: false
  lead_in:
    description: Seconds of baseline before the move, 2 to 3600; the site's without it.
    type: float
  tail:
    description: Seconds of recording after the move, 2 to 3600; the site's without it.
    type: float
extends_documentation_fragment:
  - lpmkit.powervm.lpmkit
  - lpmkit.powervm.lpmkit.order
attributes:
  check_mode:
    description: Runs C(lpmkit check) instead, and tells whether the partition would be moved.
    support: full
  diff_mode:
    description: Has no differences to show.
    support: none
"""

EXAMPLES = r"""
- name: Move a partition, for two hours at most
  lpmkit.powervm.lpm_move:
    site: /etc/lpmkit/site.yaml
    partition: bxaix85
    target: bvio83
    limits: {suspension: 2}
    confirm: "{{ confirm }}"
  async: 7200
  poll: 30
  register: move

- name: Show what is not proved
  ansible.builtin.debug:
    var: move.open_questions
  when: move.status == 4
"""

RETURN = r"""
status:
  description:
    - Exit status of C(lpmkit), 0 moved and fine, 1 a move or a limit failed, 2 cannot be and nothing was changed,
      3 nobody knows whether it moved, 4 moved with questions open.
  returned: always
  type: int
exit_status:
  description: Exit status of the process; differs from RV(status) if it crashed or its answer cannot be read.
  returned: if a command was run
  type: int
moved:
  description: Whether the partition arrived; null where that is not known.
  returned: outside of check mode
  type: bool
already_there:
  description: The partition was on the target; the move command was not run.
  returned: if it was
  type: bool
open_questions:
  description: The questions of the verdict that are not evaluated, each with the reason.
  returned: if the move was run
  type: list
  elements: str
answer:
  description: The answer for programs (C(lpmkit schema move)); of an error, C(lpmkit schema error).
  returned: always
  type: dict
run:
  description: The run folder; empty without one.
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
    already_there,
    call,
    leave,
    look_only,
    move_words,
    moved_result,
    would_move,
)

MOVE_OPTIONS = {
    "confirm": {"type": "str"},
    "wait_for_window": {"type": "bool", "default": False},
    "lead_in": {"type": "float"},
    "tail": {"type": "float"},
}


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=dict(COMMON_OPTIONS, **ORDER_OPTIONS, **MOVE_OPTIONS), supports_check_mode=True
    )
    if module.check_mode:
        leave(module, would_move(look_only(module, "check")))
    if not module.params["confirm"]:
        module.fail_json(msg="Nothing was moved. Give the partition's name as confirm.", status=2, moved=False)
    there = already_there(module)
    if there is not None:
        leave(module, dict(there, moved=False))
    outcome = call(module, "move", move_words(module.params), [module.params["partition"]])
    for question in outcome.open_questions():
        module.warn(f"Not evaluated: {question}")
    leave(module, moved_result(outcome))


if __name__ == "__main__":
    main()
