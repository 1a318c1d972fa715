"""What tests/schemathesis.toml cannot say: settings that would change what every other request is answered."""

import schemathesis

# A limit that is in force, or figures that are open to everybody: the one refuses the requests that follow, the
# other answers them without a key.
KEPT_OFF = (("rate_limits", "enabled"), ("metrics", "open"))


def keep_off(body):
    if isinstance(body, dict):
        for group, field in KEPT_OFF:
            member = body.get(group)
            if isinstance(member, dict) and member.get(field) is True:
                member[field] = False
        for member in body.values():
            keep_off(member)


@schemathesis.hook
def before_call(context, case, kwargs):
    keep_off(case.body)
