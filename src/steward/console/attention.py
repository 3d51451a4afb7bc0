"""What does not go on by itself: stops that stand, effects that did not come through, and events nobody could read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from steward.api.stopping import stops_for
from steward.console.audience import Audience
from steward.console.words import number, title
from steward.insight.rows import DecisionTotals
from steward.records import Status
from steward.runtime.stops import EVERY, Stop

STUCK: Final = {
    Status.HALTED: ("stands still and asks an operator", "stand still and ask an operator"),
    Status.IN_DOUBT: ("may or may not have taken effect", "may or may not have taken effect"),
    Status.FAILED: ("failed", "failed"),
}
"""The statuses that somebody should look at, with what one and several of them do; the most pressing first."""
_LETTERS: Final = 100


class Concern(Struct, frozen=True, kw_only=True):
    """Something that needs somebody.

    Attributes:
        tone: How bad it is: ``neg``, ``warn``, or ``pos`` for nothing.
        what: In a few words.
        detail: Since when, by whom, and why.
        link: Where something can be done about it; empty for nowhere in the console.
        action: What the link is called.

    Example:
        >>> Concern(tone="neg", what="2 runs failed", link="/decisions?status=failed").action
        'Look'
    """

    tone: str
    what: str
    detail: str = ""
    link: str = ""
    action: str = "Look"


def stopped(stop: Stop) -> str:
    """Return what is stopped, as a sentence without its end."""
    return "Everything is stopped" if stop.decision == EVERY else f"{title(stop.decision)} is stopped"


def stops_of(audience: Audience) -> Sequence[Stop]:
    """Return the stops that an audience may know, those of everything first."""
    return sorted(stops_for(audience.service, audience.readable).stops, key=lambda stop: stop.decision != EVERY)


async def concerns(audience: Audience, totals: Sequence[DecisionTotals]) -> list[Concern]:
    """Return what needs somebody, of what an audience may read; where nothing does, that this was looked at."""
    stops = [_stop(stop, audience) for stop in stops_of(audience)]
    stuck = _stuck(totals)
    letters = await _letters(audience)
    return [
        *(stops or [Concern(tone="pos", what="Nothing is stopped")]),
        *(stuck or [Concern(tone="pos", what="Every effect came through", detail="None failed or is in doubt")]),
        *(letters or [Concern(tone="pos", what="Every event could be read", detail="There are no dead letters")]),
    ]


def _stuck(totals: Sequence[DecisionTotals]) -> list[Concern]:
    found = []
    for status, (one, several) in STUCK.items():
        count = sum(each.by_status.get(status, 0) for each in totals)
        if count:
            names = sorted(title(each.decision) for each in totals if each.by_status.get(status))
            what = f"decision {one}" if count == 1 else f"decisions {several}"
            found.append(
                Concern(
                    tone="neg" if status is Status.FAILED else "warn",
                    what=f"{number(count)} {what}",
                    detail=", ".join(names),
                    link=f"/decisions?status={status.value}",
                )
            )
    return found


async def _letters(audience: Audience) -> list[Concern]:
    letters = await audience.runtime.dead_letters.messages(_LETTERS, among=audience.readable, open_only=True)
    if not letters:
        return []
    last = letters[0]
    more = "" if len(letters) < _LETTERS else " or more"
    what = f"{number(len(letters))}{more} {'event' if len(letters) == 1 else 'events'} could not be read"
    detail = f"the last for {last.topic}: {last.reason}. Mend it and publish it again: steward dead-letters"
    return [Concern(tone="warn", what=what, detail=detail)]


def _stop(stop: Stop, audience: Audience) -> Concern:
    since = f"{audience.zone.clock(stop.at)} {audience.zone.abbreviation(stop.at)}"
    detail = f"by {stop.by} since {since}: {stop.reason}"
    return Concern(tone="neg", what=stopped(stop), detail=detail, link="/stop", action="Stops")
