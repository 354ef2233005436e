#!/usr/bin/python
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)
"""The module lpm_watch."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lpm_watch
short_description: Record hosts while they are moved by other means
version_added: "0.1.0"
description:
  - Runs C(lpmkit watch) for some time, and tells how long the hosts were suspended. Changes nothing on the hosts.
  - Start it with C(async) and C(poll=0) before the move, and collect it with M(ansible.builtin.async_status).
  - Fails with status 1 if something failed, and with status 3 if a question of the verdict is not evaluated.
options:
  hosts:
    description: Hosts with an SSH login, as typed after C(ssh).
    type: list
    elements: str
    required: true
  duration:
    description: Seconds of recording.
    type: float
    required: true
  hz:
    description: Ticks per second in each host, 1 to 1000; 100 without it.
    type: int
  runs:
    description: The folder for the run folder; the site's without it.
    type: path
  ssh_config:
    description: OpenSSH configuration; C(~/.ssh/config) without it.
    type: path
extends_documentation_fragment:
  - lpmkit.powervm.lpmkit
attributes:
  check_mode:
    description: Records nothing, and says so.
    support: partial
    details: Only the options are checked.
  diff_mode:
    description: Has no differences to show.
    support: none
"""

EXAMPLES = r"""
- name: Record two partitions for an hour
  lpmkit.powervm.lpm_watch:
    hosts: [bxaix85, bxaix86]
    duration: 3600
  async: 4000
  poll: 30
  register: watch

- name: Show the bounds of the suspension in seconds
  ansible.builtin.debug:
    msg: "{{ watch.answer.suspension.length.low }} to {{ watch.answer.suspension.length.high }}"
  when: watch.answer.suspension is not none
"""

RETURN = r"""
status:
  description: Exit status of C(lpmkit), 0 fine, 1 something failed, 2 cannot be, 3 inconclusive.
  returned: unless in check mode
  type: int
exit_status:
  description: Exit status of the process; differs from RV(status) if it crashed or its answer cannot be read.
  returned: unless in check mode
  type: int
answer:
  description: The answer for programs (C(lpmkit schema watch)); of an error, C(lpmkit schema error).
  returned: unless in check mode
  type: dict
run:
  description: The run folder; empty without one.
  returned: unless in check mode
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
    leave,
    watch_words,
)

WATCH_OPTIONS = {
    "hosts": {"type": "list", "elements": "str", "required": True},
    "duration": {"type": "float", "required": True},
    "hz": {"type": "int"},
    "runs": {"type": "path"},
    "ssh_config": {"type": "path"},
}


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=dict(COMMON_OPTIONS, **WATCH_OPTIONS), supports_check_mode=True)
    if module.check_mode:
        module.exit_json(changed=False, skipped=True, msg="Nothing is recorded in check mode.")
    leave(module, call(module, "watch", watch_words(module.params), module.params["hosts"]).as_result())


if __name__ == "__main__":
    main()
