"""Whom to tell when."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from steward.people.book import AddressBook, Contact, Group, Smtp
from steward.people.notice import Notice
from steward.people.plan import NEEDS_TIME, deliveries
from steward.people.rota import QuietHours, Rota

NIGHTS = QuietHours(start=time(22), end=time(6))
ROTA = Rota(people=("ana",), since=datetime.fromisoformat("2026-01-01"))
BOOK = AddressBook(
    groups={
        "desk": Group(people=("ana", "bo"), rota=ROTA, quiet=NIGHTS),
        "small": Group(people=("bo", "cy"), quiet=NIGHTS),
        "awake": Group(people=("cy",)),
    },
    people={name: Contact(smtp=f"{name}@example.org") for name in ("ana", "bo", "cy")},
    smtp=Smtp(host="mail.example.org", sender="steward@example.org"),
)
DAY, NIGHT = datetime(2026, 1, 2, 12, tzinfo=UTC), datetime(2026, 1, 2, 23, tzinfo=UTC)
MORNING = datetime(2026, 1, 3, 6, tzinfo=UTC)


def told(to: str | tuple[str, ...], at: datetime, *, deadline: datetime | None = None, urgent: bool = False) -> object:
    groups = (to,) if isinstance(to, str) else to
    notice = Notice(
        id="7",
        about="asked",
        decision="pay.release",
        run_id=UUID(int=1),
        to=groups,
        title="t",
        lines=(),
        at=at,
        deadline=deadline,
        urgent=urgent,
    )
    return {each.person: each.at for each in deliveries(BOOK, notice, at)}


def test_by_day_everybody_is_told() -> None:
    assert told("desk", DAY) == {"ana": DAY, "bo": DAY}


def test_by_night_who_is_on_call_is_told_at_once_and_the_others_in_the_morning() -> None:
    assert told("desk", NIGHT) == {"ana": NIGHT, "bo": MORNING}
    assert told("desk", NIGHT, urgent=True) == {"ana": NIGHT, "bo": MORNING}


def test_without_anybody_on_call_only_what_presses_wakes_people() -> None:
    assert told("small", NIGHT) == {"bo": MORNING, "cy": MORNING}
    assert told("small", NIGHT, urgent=True) == {"bo": NIGHT, "cy": NIGHT}


def test_a_question_presses_if_its_deadline_leaves_no_time_in_the_morning() -> None:
    late = MORNING + NEEDS_TIME
    assert told("small", NIGHT, deadline=late) == {"bo": MORNING, "cy": MORNING}
    assert told("small", NIGHT, deadline=late - timedelta(seconds=1)) == {"bo": NIGHT, "cy": NIGHT}


def test_who_is_in_two_groups_is_told_once_at_the_earlier_time() -> None:
    assert told(("small", "awake"), NIGHT) == {"bo": MORNING, "cy": NIGHT}


def test_a_person_can_be_named_and_a_stranger_is_nobody() -> None:
    assert told(("bo", "nobody"), NIGHT) == {"bo": NIGHT}
