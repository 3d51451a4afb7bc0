"""The story of one run as its entries tell it: read as plain JSON, so that it shares no code with what it judges."""

from __future__ import annotations

from typing import Any

import msgspec

from steward.ledger.port import Entry

ANSWERS = ("approved", "rejected", "expired")
ENDED = ("acted", "failed", "undone", "halted")
GOES_ON = ("redriven", "aborted")
Body = dict[str, Any]


class Story:
    """What is durable of one run.

    Example:
        >>> from uuid import UUID
        >>> story = Story()
        >>> story.add(Entry(0, "decided", UUID(int=1), b'{"decision":"pay","choice":"yes","action":{"key":"k"}}'))
        >>> story.choice, story.must_wait, story.ended
        ('yes', False, False)
    """

    def __init__(self) -> None:
        self.bodies: list[tuple[str, Body]] = []

    def add(self, entry: Entry) -> None:
        """Take the next entry of the run."""
        self.bodies.append((entry.kind, msgspec.json.decode(entry.body)))

    def all(self, *kinds: str) -> list[Body]:
        """Return the bodies of some kinds, in order."""
        return [body for kind, body in self.bodies if kind in kinds]

    def last(self, *kinds: str) -> Body | None:
        """Return the last body of some kinds."""
        return next((body for kind, body in reversed(self.bodies) if kind in kinds), None)

    @property
    def decided(self) -> Body | None:
        """The decision itself."""
        return self.last("decided")

    @property
    def name(self) -> str:
        """Which decision it is a run of."""
        return "" if self.decided is None else str(self.decided["decision"])

    @property
    def key(self) -> str | None:
        """The action's idempotency key, if there is an action."""
        return None if self.decided is None else self.decided.get("action", {}).get("key")

    @property
    def answer(self) -> tuple[str, Body] | None:
        """What settled the question, and how."""
        return next(((kind, body) for kind, body in self.bodies if kind in ANSWERS), None)

    @property
    def must_wait(self) -> bool:
        """Whether a person is asked and nothing has settled the question."""
        return self.last("asked") is not None and self.answer is None

    def misses_people(self) -> str:
        """Return what the last approval lacks of the people that the gate wants; nothing if they are all there."""
        asked, decided, changed = self.last("asked"), self.decided or {}, self.all("changed")
        assert asked is not None
        gate, by = asked["gate"], self.bodies[-1][1]["by"]
        agreed = {each["by"] for each in self.all("endorsed") if each["round"] == len(changed)}
        needed, four_eyes = gate.get("approvals", 1), gate.get("four_eyes", False)
        if (needed > 1 or four_eyes) and len(agreed) < needed:
            return f"only {sorted(agreed)} agreed, and {needed} are needed"
        others = {decided.get("provenance", {}).get("by")}
        if four_eyes:
            others |= {each["person"] for each in self.all("barred")} | {each["by"] for each in changed[-1:]}
        if wrong := sorted((agreed | {by}) & others):
            return f"{', '.join(wrong)} had another part in it"
        return ""

    @property
    def choice(self) -> Any:
        """What is to be done, by what is written."""
        asked, answer = self.last("asked"), self.answer
        if asked is None or answer is None:
            return None if self.decided is None else self.decided["choice"]
        if answer[0] == "approved":
            return (self.last("changed") or asked)["choice"]
        return asked["gate"]["otherwise"]

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be done, or an operator is asked."""
        if self.decided is None or self.key is None:
            return not self.must_wait
        return self._turn in ENDED

    @property
    def is_halted(self) -> bool:
        """Whether it stands still for an operator's answer."""
        return self._turn == "halted"

    @property
    def _turn(self) -> str:
        kinds = [kind for kind, body in self.bodies if kind in (*ENDED, *GOES_ON) and not body.get("step")]
        return kinds[-1] if kinds else ""

    @property
    def is_turned_back(self) -> bool:
        """Whether what was done is to be taken back, so that nothing more may be done."""
        turns = [kind for kind, _ in self.bodies if kind in ("reverting", "redriven")]
        return turns[-1:] == ["reverting"]

    def done(self, single: str | None) -> dict[str, Body]:
        """Return the steps that are done and not taken back; ``single`` is the name of a plain action."""
        done: dict[str, Body] = {}
        for kind, body in self.bodies:
            if kind == "stepped":
                done[body["step"]] = body
            elif kind == "acted" and single is not None:
                done[single] = body
            elif kind == "undone":
                for step in [body["step"]] if body.get("step") else list(done):
                    done.pop(step, None)
        return done
