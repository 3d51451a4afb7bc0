"""Whom to tell when: a pure function of the address book, the notice and the time."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from steward.people.book import AddressBook, Group
from steward.people.notice import Notice

NEEDS_TIME = timedelta(minutes=30)
"""A question whose deadline is less than this after the quiet hours does not wait for their end."""


class Delivery(Struct, frozen=True, kw_only=True):
    """One person is to be told over one channel.

    Attributes:
        person: Who.
        channel: How.
        address: Where.
        at: When, at the earliest.

    Example:
        >>> Delivery(person="ana", channel="smtp", address="a@example.org",
        ...          at=datetime.fromisoformat("2026-01-01T00:00:00Z")).person
        'ana'
    """

    person: str
    channel: str
    address: str
    at: datetime


def deliveries(book: AddressBook, notice: Notice, now: datetime) -> list[Delivery]:
    """Return whom to tell, each person once.

    In quiet hours only who is on call is told at once, the others when these end. What is urgent, and a question
    whose deadline does not leave time after the quiet hours, is told at once: to who is on call, or to all if nobody
    is.

    Example:
        >>> from datetime import UTC, time
        >>> from uuid import UUID
        >>> from steward.people.book import Contact, Smtp
        >>> from steward.people.rota import QuietHours, Rota
        >>> nights = QuietHours(start=time(22), end=time(6))
        >>> rota = Rota(people=("ana",), since=datetime(2026, 1, 1))
        >>> book = AddressBook(groups={"desk": Group(people=("ana", "bo"), rota=rota, quiet=nights)},
        ...     people={"ana": Contact(smtp="a@example.org"), "bo": Contact(smtp="b@example.org")},
        ...     smtp=Smtp(host="localhost", sender="s@example.org"))
        >>> night = datetime(2026, 1, 2, 23, tzinfo=UTC)
        >>> notice = Notice(id="7", about="asked", decision="pay.release", run_id=UUID(int=1), to=("desk",),
        ...     title="", lines=(), at=night, deadline=night + timedelta(days=1))
        >>> [(each.person, each.at.hour) for each in deliveries(book, notice, night)]
        [('ana', 23), ('bo', 6)]
    """
    when: dict[str, datetime] = {}
    for name in notice.to:
        group = book.groups.get(name, Group(people=book.members(name)))
        for person, at in _times(group, notice, now).items():
            when[person] = min(at, when.get(person, at))
    return [
        Delivery(person=person, channel=channel, address=address, at=at)
        for person, at in when.items()
        for channel, address in book.people[person].channels.items()
    ]


def _times(group: Group, notice: Notice, now: datetime) -> dict[str, datetime]:
    on_call = (group.rota.on_call(now),) if group.rota else ()
    people = dict.fromkeys((*on_call, *group.people), now)
    ends = group.quiet.end_after(now) if group.quiet else None
    if ends is None:
        return people
    presses = notice.urgent or (notice.deadline is not None and notice.deadline < ends + NEEDS_TIME)
    awake = on_call or (tuple(people) if presses else ())
    return {person: now if person in awake else ends for person in people}
