"""The new machine as the system sees it: the licence, ``lsconf`` from inside, and the conversation that
crossed over.
"""

from __future__ import annotations

from lpmkit.rules.question import Question, ReplyWord
from lpmkit.sap.judge.values import FAILED, OPEN, PASSED, Case, no_way, some
from lpmkit.sap.lsconf import OF_THE_PARTITION, SERIAL, changes, head_of
from lpmkit.sap.model import licences_to_log_on, licensed_products
from lpmkit.sap.observation import SapObservation
from lpmkit.wording.counts import plural


def licence(case: Case) -> Question:
    key, title = f"sap-licence-{case.sid}", f"{case.sid}: licence valid on this system?"
    now = case.after or (None if case.moved else case.before)
    if now is None:
        return Question(
            key,
            title,
            OPEN,
            "not asked after the move",
            counts=case.before is not None and case.before.licences is not None,
        )
    if now.hardware_key is None or now.licences is None:
        missing = "hardware_key" if now.hardware_key is None else "licences"
        configured = next((one.configured for one in now.missed if one.question == missing), True)
        return Question(key, title, OPEN, now.why_not(missing) if configured else no_way(missing), counts=configured)
    mine = [one for one in now.licences if one.key == now.hardware_key]
    good = licences_to_log_on(now.licences, case.sid, now.hardware_key)
    used = _products_before(case)
    lacking = sorted(used - licensed_products(good)) if licensed_products(good) else []
    changed = ""
    if case.before is not None and case.before.hardware_key not in (None, now.hardware_key):
        changed = f" (before: {case.before.hardware_key})"
    if not good:
        what = "no permanent licence" if not mine else "no valid permanent licence"
        return Question(
            key,
            title,
            FAILED,
            f"{what} for the hardware key {now.hardware_key}{changed}",
            "logged-on users go on, new logons fail once the grace period is over",
            reply=ReplyWord.NO,
        )
    if lacking and len(lacking) == len(used):
        text = f"the licences for the hardware key {now.hardware_key}{changed} are not for {some(lacking)}"
        return Question(
            key, title, FAILED, text, f"they are for {some(sorted(licensed_products(good)))}", reply=ReplyWord.NO
        )
    noted = f"; none for {some(lacking)}" if lacking else ""
    return Question(
        key,
        title,
        PASSED,
        f"permanent, for the hardware key {now.hardware_key}{changed}{noted}",
        f"by {now.ways.get('licences', 'saplikey')} -get and -show; the message server's own key was not queried",
        warns=bool(noted),
        reply=None if noted else ReplyWord.YES,
    )


def _products_before(case: Case) -> set[str]:
    """The products that the licences for the machine of before the move let people log on to."""
    was = case.before
    if was is None or was.licences is None or was.hardware_key is None:
        return set()
    return licensed_products(licences_to_log_on(was.licences, case.sid, was.hardware_key))


def host(case: Case) -> Question:
    """``lsconf`` from inside SAP before and after: another machine as it should be, the partition the same, and every
    other line that changed by its name.
    """
    key, title = f"sap-host-{case.sid}", f"{case.sid}: lsconf as expected?"
    if case.before is None or case.after is None:
        asked = case.before is not None and case.before.lsconf is not None
        return Question(key, title, OPEN, "not read before and after the move", counts=asked and case.moved)
    for snapshot, when in ((case.before, "before"), (case.after, "after")):
        if snapshot.lsconf is None:
            configured = next((one.configured for one in snapshot.missed if one.question == "lsconf"), True)
            why = f"could not look {when} the move: {snapshot.why_not('lsconf')}"
            return Question(key, title, OPEN, why if configured else no_way("lsconf"), counts=configured)
    assert case.before.lsconf is not None
    assert case.after.lsconf is not None
    replies = changes(case.before.lsconf, case.after.lsconf)
    was, now = (head_of(lines).get(SERIAL, "") for lines in (case.before.lsconf, case.after.lsconf))
    first, last = (snapshot.ways.get("lsconf", "?") for snapshot in (case.before, case.after))
    by = f"lsconf by {first}, before and after" if first == last else f"lsconf by {first} before and by {last} after"
    wrong = list(replies.partition)
    if case.moved and was == now:
        wrong.insert(0, f"{SERIAL} is {now} still")
    elif case.moved and case.target_serial and now != case.target_serial:
        wrong.insert(0, f"{SERIAL} is {now}, and the target's is {case.target_serial}")
    elif not case.moved and was != now:
        wrong.insert(0, f"{SERIAL}: {was} → {now}")
    had, has = case.before.entitlement, case.after.entitlement
    if had is not None and has is not None and had != has:
        wrong.append(f"Entitled Capacity: {had:g} → {has:g}")
    if wrong:
        return Question(key, title, FAILED, some(wrong), by, reply=ReplyWord.NO)
    told = had is not None and has is not None
    entitled = (
        f", Entitled Capacity {has:g}" if told else "; the entitled capacity was not told (lparstat -i over SSH would)"
    )
    kept = head_of(case.after.lsconf)
    same = ", ".join(f"{label} {kept[label]}" for label in OF_THE_PARTITION if label in kept)
    machine = f"changed with the machine: {some(replies.machine, 8)}; " if replies.machine else ""
    others = f"; changed besides: {some(replies.others, 6)}" if replies.others else "; no other line changed"
    lost = f"; not listed any more: {some(replies.lost)}" if replies.lost else ""
    text = f"{machine}the same: {same}{entitled}{lost}{others}"
    return Question(key, title, PASSED, text, by, warns=bool(lost), reply=None if lost else ReplyWord.YES)


def conversation(case: Case) -> list[Question]:
    """The question whether the RFC conversation lived on, where there was one. The library opens another silently."""
    told = [observation for observation in case.observations if observation.session and observation.rows is not None]
    if not told:
        return []
    key, title = f"sap-rfc-{case.sid}", f"{case.sid}: RFC session kept?"
    # a recorder that takes over has a conversation of its own, and so has each way
    lives = {(one.segment, way_of(one)) for one in told}
    count = len({(one.segment, way_of(one), one.session) for one in told}) - len(lives)
    if count:
        return [
            Question(
                key,
                title,
                FAILED,
                f"it was reopened {plural(count, 'time')}, without notice",
                (
                    "its identity (RFC: handle and conversation id; SOAP-RFC: the session cookie) changed; "
                    "whatever lived in it is gone"
                ),
                reply=ReplyWord.NO,
            )
        ]
    return [Question(key, title, PASSED, "the same session in every answer", reply=ReplyWord.YES)]


def way_of(sap_observation: SapObservation) -> str:
    return sap_observation.way.split(",")[0]
