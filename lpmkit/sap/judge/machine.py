"""What the new machine means to the system: the licence, and the conversation that crossed over with it."""

from __future__ import annotations

from lpmkit.sap.judge.values import FAILED, OPEN, PASSED, Case, Said, no_way, plural


def licence(case: Case) -> Said:
    key, title = f"sap-licence-{case.sid}", f"{case.sid}: licence valid on this machine?"
    now = case.after or (None if case.moved else case.before)
    if now is None:
        return Said(
            key,
            title,
            OPEN,
            "nobody asked after the move",
            counts=case.before is not None and case.before.licences is not None,
        )
    if now.hardware_key is None or now.licences is None:
        missing = "hardware_key" if now.hardware_key is None else "licences"
        configured = next((one.configured for one in now.missed if one.question == missing), True)
        return Said(key, title, OPEN, now.why_not(missing) if configured else no_way(missing), counts=configured)
    mine = [one for one in now.licences if one.key == now.hardware_key]
    good = [one for one in mine if one.permanent is not False and one.valid is not False]
    changed = ""
    if case.before is not None and case.before.hardware_key not in (None, now.hardware_key):
        changed = f", another one than before ({case.before.hardware_key})"
    if not good:
        what = "no permanent licence" if not mine else "no valid permanent licence"
        return Said(
            key,
            title,
            FAILED,
            f"no: {what} for the hardware key {now.hardware_key}{changed}",
            "logged-on users go on, new logons fail once the grace period is over",
        )
    return Said(
        key,
        title,
        PASSED,
        f"yes: permanent, for the hardware key {now.hardware_key}{changed}",
        "by saplikey -get and -show; whether the message server has reckoned its key anew is not asked",
    )


def conversation(case: Case) -> list[Said]:
    """Whether the RFC conversation lived through it, where there was one. The library opens another without a word."""
    told = [one for one in case.observations if one.session and one.rows is not None]
    if not told:
        return []
    key, title = f"sap-rfc-{case.sid}", f"{case.sid}: RFC conversation kept?"
    # a recorder that takes over has a conversation of its own
    lives = {one.segment for one in told}
    count = len({(one.segment, one.session) for one in told}) - len(lives)
    if count:
        return [
            Said(
                key,
                title,
                FAILED,
                f"no: it was reopened {plural(count, 'time')} behind our back",
                "its handle and conversation id changed; whatever lived in it is gone",
            )
        ]
    return [Said(key, title, PASSED, "yes: the same handle and conversation id in every answer")]
