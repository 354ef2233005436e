"""The ``lpmkit`` command of the modules: its command lines, and what its exit status and answer mean.

Everything but `call`, `finish` and `leave` is a function of plain values. lpmkit itself is not imported: the command
may live in an environment of its own.
"""

from __future__ import annotations

import json

FINE, NOT_FINE, CANNOT_BE, COULD_NOT_TELL, DONE_OPEN = 0, 1, 2, 3, 4

#: Options of every module.
COMMON_OPTIONS = {
    "executable": {"type": "path", "default": "lpmkit"},
    "site": {"type": "path"},
    "secrets": {"type": "dict", "no_log": True},
}
#: Options that name a move. The same values have to stand in check, validation and move.
ORDER_OPTIONS = {
    "partition": {"type": "str", "required": True},
    "target": {"type": "str", "required": True},
    "source": {"type": "str"},
    "keep_mapping": {"type": "bool", "default": False},
    "mapping": {"type": "dict"},
    "options": {"type": "dict"},
    "limits": {"type": "dict"},
    "window": {"type": "str"},
    "on_breach": {"type": "str", "choices": ["tell", "stop"]},
}
#: Commands that can end with status 4: the partition arrived, and not everything is proved.
_MOVING = ("move", "plan run")

_LOOK = "Look before anything else, and do not run this task again until you know."


class Outcome:
    """The answer of a command.

    ``status`` is its exit status, but for an answer that cannot be read and for a status that its documentation does
    not have (a signal, a crash): these are 3, could not tell. ``exit_status`` is the one of the process. ``answer`` is
    its JSON value, `None` without one; ``error`` is the answer of a command that ended with an error.
    """

    def __init__(self, command, exit_status, stdout, stderr=""):
        self.command, self.exit_status, self.stderr = command, exit_status, stderr
        self.answer = self.error = None
        try:
            value = json.loads(stdout)
        except ValueError:
            value = None
        known = (FINE, NOT_FINE, CANNOT_BE, COULD_NOT_TELL) + ((DONE_OPEN,) if command in _MOVING else ())
        self.status = exit_status if isinstance(value, dict) and exit_status in known else COULD_NOT_TELL
        if isinstance(value, dict) and exit_status != FINE and {"error", "next_step"} <= set(value):
            self.error = value
        elif isinstance(value, dict):
            self.answer = value

    @property
    def is_success(self):
        """True for 0 and for 4, and for nothing else."""
        return self.status in (FINE, DONE_OPEN)

    @property
    def run(self):
        """The run folder; empty where the answer names none."""
        return str((self.answer or {}).get("run") or "")

    @property
    def moved(self):
        """True if the partition arrived, False if it did not move, `None` where that is not known."""
        if self.status == CANNOT_BE:
            return False
        states = {row["key"]: row["state"] for row in self._questions()}
        return {"passed": True, "failed": False}.get(states.get("moved", ""))

    def open_questions(self):
        """The questions of the verdict that count and are not evaluated, each with the reason."""
        rows = [row for row in self._questions() if row["counts"] and row["state"] == "not evaluated"]
        return [f"{row['question']} {row['answer']}".strip() for row in rows]

    def _questions(self):
        return ((self.answer or {}).get("verdict") or {}).get("questions") or []

    def message(self):
        """Result, reason and next step, for people."""
        if self.error is not None:
            where = f"{self.error['where']}: " if self.error.get("where") else ""
            said = _sentence(where + self.error["error"])
            if self.error.get("answered"):
                said += f" It answered: {_sentence(self.error['answered'])}"
            if self.error.get("next_step"):
                said += f" {_sentence(self.error['next_step'])}"
        elif self.answer is not None:
            said = _sentence(_result(self.answer))
        else:
            said = f"lpmkit {self.command} ended with status {self.exit_status} and no answer that can be read."
            last = self.stderr.strip().splitlines()[-1:]
            said += "".join(f" It printed: {_sentence(line)}" for line in last)
        if self.status != COULD_NOT_TELL:
            return said
        return f"Could not tell. {said} {_LOOK}{self._where_to_look()}"

    def _where_to_look(self):
        """The commands that show how it stands; nothing for a command that changes nothing."""
        if self.command == "move" and self.run:
            return f" `lpmkit attach {self.run}` shows the move, `lpmkit recover {self.run} --look` both frames."
        if self.command == "move":
            return " `lpmkit attach` shows the newest run, `lpmkit inventory` where the partition is."
        if self.command == "plan run":
            return f" `lpmkit plan attach {(self.answer or {}).get('plan') or 'PLAN'}` shows the plan."
        return ""

    def as_result(self):
        """The result of a task."""
        result = {
            "status": self.status,
            "exit_status": self.exit_status,
            "answer": self.answer if self.answer is not None else self.error or {},
            "run": self.run,
            "msg": self.message(),
            "failed": not self.is_success,
        }
        if self.command in _MOVING:
            result["open_questions"] = self.open_questions()
        return result


def _sentence(text):
    text = text.strip()
    return text if text.endswith((".", "?", "!")) else text + "."


def _result(answer):
    """The result in an answer, without the next step."""
    if "verdict" in answer:
        return answer["verdict"]["line"]
    if "findings" in answer:
        told = [row for row in answer["findings"] if row["verdict"] in ("fail", "unknown") and not row["only_firmware"]]
        rows = [f"{row['title']} ({row['verdict']})" for row in sorted(told, key=lambda row: row["verdict"])]
        return f"{answer['answer']}" + (": " + "; ".join(rows) if rows else "")
    if "passed" in answer:
        word = "Validation passed" if answer["passed"] else "Validation failed"
        return word + (f": {answer['text'].strip()}" if answer["text"].strip() else "")
    if "gaps" in answer:
        rows = [f"{row['not read']} of {row['of']}: {row['why']}" for row in answer["gaps"]]
        return ("not read: " + "; ".join(rows)) if rows else "everything was read"
    if "moves" in answer:
        rows = "; ".join(f"{row['partition']}: {_move_of_plan(row)}" for row in answer["moves"])
        return f"{answer['answer']}: {rows}" if "answer" in answer else rows
    return "done"


def _move_of_plan(row):
    if "stage" in row:
        return " ".join(text for text in (row["stage"], row["verdict"], row["why"]) if text)
    return "; ".join(text for text in (row["checks"], row["trouble"]) if text)


def order_words(values):
    """The words of a command line that name a move.

    >>> order_words({"target": "bvio83", "keep_mapping": True, "limits": {"suspension": 2}})
    ['--to', 'bvio83', '--keep-mapping', '--limit', 'suspension=2']
    """
    words = []
    for option, name in (
        ("--to", "target"),
        ("--from", "source"),
        ("--window", "window"),
        ("--on-breach", "on_breach"),
    ):
        words += [option, values[name]] if values.get(name) else []
    words += ["--keep-mapping"] if values.get("keep_mapping") else []
    for option, name in (("--map", "mapping"), ("--option", "options"), ("--limit", "limits")):
        for key, value in (values.get(name) or {}).items():
            words += [option, f"{key}={value}"]
    return words


def command_line(values, command, options, names):
    """The whole command line. ``names`` stand behind ``--``: a name that begins with a dash is no option.

    >>> command_line({"executable": "lpmkit", "site": "s.yaml"}, "plan check", ["--without-firmware"], ["rack8.yaml"])
    ['lpmkit', '--site', 's.yaml', 'plan', 'check', '--without-firmware', '--json', '--', 'rack8.yaml']
    """
    site = ["--site", values["site"]] if values.get("site") else []
    return [values["executable"], *site, *command.split(), *options, "--json", "--", *names]


def move_words(values):
    """The options of ``lpmkit move`` but for ``--json``.

    >>> move_words({"target": "bvio83", "confirm": "bxaix85", "tail": 30.0, "wait_for_window": True})
    ['--to', 'bvio83', '--confirm', 'bxaix85', '--wait', '--tail', '30.0']
    """
    words = [*order_words(values), "--confirm", values["confirm"]]
    words += ["--wait"] if values.get("wait_for_window") else []
    for option, name in (("--lead-in", "lead_in"), ("--tail", "tail")):
        words += [option, str(values[name])] if values.get(name) is not None else []
    return words


def moved_result(outcome):
    """The result of a move. It has changed something unless it is known that nothing was."""
    return dict(outcome.as_result(), moved=outcome.moved, changed=outcome.moved is not False)


def would_move(checked):
    """The result of a move in check mode, from the result of the checks."""
    would = not checked["failed"] and not checked.get("already_there")
    return dict(checked, changed=would, msg=("Would be moved: " if would else "") + checked["msg"])


def watch_words(values):
    """The options of ``lpmkit watch`` but for ``--json``.

    >>> watch_words({"duration": 60.0, "hz": 1000})
    ['--for', '60.0', '--hz', '1000']
    """
    words = []
    for option, name in (("--for", "duration"), ("--hz", "hz"), ("--runs", "runs"), ("--ssh-config", "ssh_config")):
        words += [option, str(values[name])] if values.get(name) is not None else []
    return words


def plan_result(outcome):
    """The result of a plan that was run. It has changed something unless it was refused."""
    folder = str((outcome.answer or {}).get("plan") or "")
    return dict(outcome.as_result(), plan=folder, changed=outcome.status != CANNOT_BE)


def on_target(plan, inventory):
    """The partitions of a plan that are on their targets already, each with the reason. ``plan`` is the answer of
    ``lpmkit plan check``.
    """
    places = {row["partition"]: place(inventory, row["partition"], row["to"]) for row in plan["moves"]}
    return {partition: why for partition, (where, why) in places.items() if where == "there"}


def place(inventory, partition, target):
    """The place of a partition: ``there`` (on the target, and on no other frame), ``elsewhere`` or ``unknown``, with
    the reason.

    ``inventory`` is the answer of ``lpmkit inventory``. A partition that two frames list is *elsewhere*: lpmkit judges
    that. A frame without a row could not be read.
    """
    rows = [row for row in inventory["partitions"] if row["kind"] == "partition" and row["partition"] == partition]
    read = {row["frame"] for row in inventory["partitions"]}
    unread = sorted({row["frame"] for row in (*inventory["gaps"], *inventory["systems"])} - read)
    states = {row["frame"]: str(row["state"]) for row in rows}
    if target not in read:
        return "unknown", f"the partitions of {target} could not be read"
    if target not in states or len(states) > 1:
        return "elsewhere", ""
    if states[target].startswith("Migrating"):
        return "unknown", f"{partition} is on {target} in the state {states[target]}"
    if unread:
        return "unknown", f"{target} lists {partition}, and the partitions of {', '.join(unread)} could not be read"
    return "there", f"{partition} is on {target} already"


def unknown_place(why):
    """The result of a task that does not know where the partition is."""
    return {
        "status": COULD_NOT_TELL,
        "run": "",
        "answer": {},
        "msg": f"Could not tell. {_sentence(why)} Nothing was asked. {_LOOK}",
        "failed": True,
    }


def there_already(why):
    """The result of a task that has nothing to do."""
    return {"status": FINE, "run": "", "answer": {}, "msg": _sentence(why), "already_there": True, "failed": False}


def call(module, command, options=(), names=()):
    """Run the command once and return its `Outcome`; never a second time, whatever it answers."""
    values = dict(module.params, executable=module.get_bin_path(module.params["executable"], required=True))
    secrets = {str(name): str(value) for name, value in (values.get("secrets") or {}).items()}
    words = command_line(values, command, list(options), list(names))
    status, stdout, stderr = module.run_command(words, environ_update=secrets)
    return Outcome(command, status, stdout, stderr)


def look(module):
    """The place of a module's partition, as `place` has it, and the failed `Outcome` of a look that was refused.

    The target is asked first; only if it lists the partition, the source, or without one every frame of the site.
    """
    partition, target, source = (module.params[name] for name in ("partition", "target", "source"))
    outcome = call(module, "inventory", names=[target])
    if outcome.answer is None:
        return "refused", "", outcome
    where, why = place(outcome.answer, partition, target)
    if where != "there":
        return where, why, None
    outcome = call(module, "inventory", names=[source, target] if source else [])
    if outcome.answer is None:
        return "refused", "", outcome
    return (*place(outcome.answer, partition, target), None)


def already_there(module):
    """The result of a task that has nothing to do, or cannot know; `None` if the partition is elsewhere."""
    where, why, refused = look(module)
    if refused is not None:
        return refused.as_result()
    return {"there": there_already, "unknown": unknown_place}[where](why) if where != "elsewhere" else None


def look_only(module, command, options=()):
    """The result of ``check`` or ``validate``. One that cannot be asks where the partition is: on the target there is
    nothing to move, and that is fine.
    """
    outcome = call(module, command, [*order_words(module.params), *options], [module.params["partition"]])
    if outcome.status == CANNOT_BE and look(module)[0] == "there":
        return there_already(f"{module.params['partition']} is on {module.params['target']} already")
    return outcome.as_result()


def checked_plan(module):
    """The result of ``plan check``. Where it is not ready the frames are asked: a plan whose partitions are all on
    their targets has nothing to do; one with a part of them names these.
    """
    outcome = call(module, "plan check", names=[module.params["file"]])
    result = outcome.as_result()
    if outcome.status != NOT_FINE or outcome.answer is None:
        return result
    listed = call(module, "inventory")
    if listed.answer is None:
        return result
    there = on_target(outcome.answer, listed.answer)
    if len(there) == len(outcome.answer["moves"]):
        return dict(there_already("; ".join(there.values())), answer=outcome.answer)
    return dict(result, on_target=sorted(there))


def leave(module, result):
    """End the module with a result."""
    result.setdefault("changed", False)
    if result.pop("failed"):
        module.fail_json(**result)
    module.exit_json(**result)
