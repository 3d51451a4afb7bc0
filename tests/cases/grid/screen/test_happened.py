"""What happened besides the battery's hours, and a drill that somebody asks for on the page."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import msgspec
import pytest

from steward.access.identity import Assignment, Identity
from steward.access.identity import Kind as Who
from steward.access.permissions import Permission, Role
from steward.api.app import create_app
from steward.cases.grid.battery import Battery
from steward.cases.grid.data.generator import COLUMNS
from steward.cases.grid.data.history import History
from steward.cases.grid.data.local_days import HOUR
from steward.cases.grid.dispatch.feed import Feed
from steward.cases.grid.dispatch.references import Market
from steward.cases.grid.dispatch.simulation import Simulation, open_runtime
from steward.cases.grid.field.points import Layout
from steward.cases.grid.field.world import FieldPlant, conditions_of
from steward.cases.grid.live.drill import NAME, Drill, DrillWanted, Kind, Stage, make_drill
from steward.cases.grid.screen import page
from steward.cases.grid.screen.happened import Chronicle, Happening, together
from steward.cases.grid.screen.page import DRILL_PATH
from steward.clock import VirtualClock
from steward.console.audience import Audience
from steward.console.charts.figures import Tone
from steward.console.console import Console
from steward.console.zones import Zone
from steward.decision.choice import Choice
from steward.decision.contract import Event
from steward.decision.decision import Decision
from steward.decision.feature import Feature, Features
from steward.decision.risk import Risk
from steward.records import Prediction, Status
from steward.runtime.project import AnyDecision
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

FIRST = date(2024, 3, 1)
ASKED = {"kind": "outage", "hours": "3"}
HTML = {"accept": "text/html", "sec-fetch-site": "same-origin"}


class ShavingWanted(Event, contract="test.shaving"):
    """Asks for some power."""

    power_mw: float


class Power(msgspec.Struct, frozen=True):
    power_mw: float


def obey(features: Features, prediction: Prediction[None]) -> Choice[Power]:
    power = features.number("power_mw")
    return Choice(Power(power), reasons=(f"the peak needs <b>{power:g} MW</b>",), rule="obey")


SHAVING = Decision(
    name="grid.peak-shaving",
    owner="desk",
    purpose="Cut peaks",
    risk=Risk.LOW,
    event=ShavingWanted,
    features=(Feature("power_mw"),),
    policy=obey,
)


@pytest.fixture
async def simulation(tmp_path: Path, trained_folder: Path, region: History) -> AsyncIterator[Simulation]:
    """Two hours of a day are over, the third has begun."""
    shutil.copytree(trained_folder, tmp_path, dirs_exist_ok=True)
    own = replace(region, columns={**region.columns, COLUMNS.price: region.columns[COLUMNS.price].copy()})
    conditions, start = conditions_of(own, COLUMNS), region.local.start(FIRST)
    plant = FieldPlant(Layout("region"), region.local, Battery(), conditions=conditions, start=start, step=HOUR)
    market, feed, clock = Market.of(own, COLUMNS.price), Feed("region", own, COLUMNS), VirtualClock(start - HOUR)
    beside: list[AnyDecision] = [make_drill(Stage(plant, feed, market)), SHAVING]
    async with await open_runtime(tmp_path, plant, COLUMNS, clock, approve_above_eur=1e6, beside=beside) as runtime:
        played = Simulation(runtime, clock=clock, plant=plant, feed=feed, market=market)
        await played.warm_up()
        for n in range(2):
            await played.begin(start + n * HOUR)
            played.end(start + n * HOUR)
        await played.begin(start + 2 * HOUR)
        yield played


def client(runtime: Runtime, console: Console, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=create_app(runtime, rooms=[console]))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers={**HTML, **headers})


def words(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


async def test_somebody_asks_for_an_outage_and_it_stands_in_the_record_and_on_the_page(simulation: Simulation) -> None:
    runtime = simulation.runtime
    async with client(runtime, Console(cases=[page.case()]), cookie="steward-acting=anna") as browser:
        before = (await browser.get("/grid")).text
        assert "Nothing out of the ordinary yet" in words(before)
        assert f'action="{DRILL_PATH}"' in before
        answer = await browser.post(DRILL_PATH, data=ASKED)
        assert (answer.status_code, answer.headers["location"]) == (303, "/grid#drill")
        text = (await browser.get("/grid")).text
        yesterday = (await browser.get("/grid?day=2024-02-29")).text
    [row] = runtime.views.runs(decision=NAME)
    record = (await runtime.run(row.decision_id)).record
    assert record.provenance.by == "anna"
    assert record.provenance.source == "console"
    start = simulation.plant.local.start(FIRST)
    assert msgspec.convert(record.choice, Drill) == Drill(Kind.OUTAGE, start + 3 * HOUR, start + 6 * HOUR)
    assert f'href="/decisions/{row.decision_id}"' in text
    assert "Outage 03:00\N{EN DASH}06:00" in words(text)
    assert "the plant takes no set-point, and the battery rests · wanted by anna" in words(text)
    assert text.count('class="stripe neg"') == 4, "in each panel"
    assert "Outage 03:00" not in words(yesterday)


async def test_hours_of_an_outage_are_told_as_not_done(simulation: Simulation) -> None:
    runtime, start = simulation.runtime, simulation.plant.local.start(FIRST)
    async with client(runtime, Console(cases=[page.case()])) as browser:
        await browser.post(DRILL_PATH, data={**ASKED, "hours": "12"})
        await runtime.advance()
        for n in range(2, 14):
            simulation.end(start + n * HOUR)
            await simulation.begin(start + (n + 1) * HOUR)
        text = words((await browser.get("/grid")).text)
    assert "Not done, as the plant did not take it" in text


@pytest.mark.parametrize(
    ("sent", "headers", "status"),
    [
        ({"kind": "storm", "hours": "3"}, {}, 422),
        ({"kind": "outage", "hours": "13"}, {}, 422),
        ({"kind": "outage", "hours": "0"}, {}, 422),
        ({"kind": "outage"}, {}, 422),
        (ASKED, {"sec-fetch-site": "cross-site"}, 403),
        (ASKED, {"origin": "http://elsewhere.example", "sec-fetch-site": ""}, 403),
    ],
)
async def test_what_does_not_fit_or_comes_from_elsewhere_plays_nothing(
    simulation: Simulation, sent: dict[str, str], headers: dict[str, str], status: int
) -> None:
    async with client(simulation.runtime, Console(cases=[page.case()]), **headers) as browser:
        assert (await browser.post(DRILL_PATH, data=sent)).status_code == status
    await simulation.runtime.catch_up()
    assert not simulation.runtime.views.runs(decision=NAME)


async def test_only_who_may_invoke_it_may_drill(simulation: Simulation) -> None:
    guard = simulation.runtime.guard
    once = await guard.bootstrap()
    assert once is not None
    ada = await guard.exchange(once.reveal(), id="ada", display="Ada")
    office = await guard.identify({b"authorization": f"Bearer {ada.secret.reveal()}".encode()})
    for role, may in ((Role.AUDITOR, False), (Role.OPERATOR, True)):
        who = Identity(id=f"a-{role.value}", kind=Who.PERSON, display=role.value, roles=(Assignment(role),))
        await guard.administration.enrol(office, who)
        key = (await guard.administration.issue_key(office, who.id, label="test")).secret.reveal()
        assert guard.allows(who, Permission.INVOKE, NAME) is may
        async with client(simulation.runtime, Console(cases=[page.case()]), authorization=f"Bearer {key}") as browser:
            assert (DRILL_PATH in (await browser.get("/grid")).text) is may
            assert (await browser.post(DRILL_PATH, data=ASKED)).status_code == (303 if may else 403)
    await simulation.runtime.catch_up()
    [row] = simulation.runtime.views.runs(decision=NAME)
    assert (await simulation.runtime.run(row.decision_id)).record.provenance.by == "a-operator"


async def test_other_decisions_are_told_by_their_records_unless_they_rest(simulation: Simulation) -> None:
    runtime, console = simulation.runtime, Console(cases=[page.case()])
    for power_mw in (0.0, 7.0):
        await runtime.decide(SHAVING.name, ShavingWanted(power_mw=power_mw))
    await runtime.catch_up()
    start = simulation.plant.local.start(FIRST)
    [told] = await Chronicle(runtime).between(start, start + 24 * HOUR)
    assert (told.label, told.at, told.until) == ("Peak", start + 2 * HOUR, None)
    assert await Chronicle(runtime).between(start + 3 * HOUR, start + 24 * HOUR) == []
    async with client(runtime, console) as browser:
        text = (await browser.get("/grid")).text
    assert "the peak needs &lt;b&gt;7 MW&lt;/b&gt;" in text

    class Only:
        pass

    Only.runtime = runtime  # type: ignore[attr-defined]  # an audience asks for nothing else
    [case] = console.cases
    for name, sees in ((SHAVING.name, True), ("other", False)):
        readable = frozenset({"grid.battery-dispatch", name})
        audience = Audience(console, Only(), Zone("site", "Europe/Madrid"), readable)  # type: ignore[arg-type]
        assert ("the peak needs" in await case.fragments["grid-events"](audience)) is sees
        assert ("mark" in await case.fragments["grid-chart"](audience)) is sees


async def test_a_drill_over_midnight_is_told_on_both_days(simulation: Simulation) -> None:
    runtime, start = simulation.runtime, simulation.plant.local.start(FIRST)
    late = DrillWanted(site="region", kind=Kind.PRICE_SPIKE, at=start + 23 * HOUR, hours=3)
    await runtime.decide(NAME, late)
    await runtime.catch_up()
    chronicle, until = Chronicle(runtime), start + 26 * HOUR
    for begin in (start, start + 24 * HOUR):
        [told] = await chronicle.between(begin, begin + 24 * HOUR)
        assert (told.label, told.until) == ("Price spike", until)
    assert await chronicle.between(start + 48 * HOUR, start + 72 * HOUR) == []
    assert isinstance(told.at, datetime)


class Called(msgspec.Struct, frozen=True):
    start: datetime | None
    hours: int
    reduce_mw: float


class CallWanted(Event, contract="test.call"):
    """Asks for a call, some hours from now."""

    start: datetime
    reduce_mw: float


def begins_at(event: CallWanted) -> str:
    return event.start.isoformat()


def call(features: Features, prediction: Prediction[None]) -> Choice[Called]:
    wanted = features.number("reduce_mw")
    return Choice(Called(datetime.fromisoformat(features.text("begins_at")), 4, wanted), reasons=("hot",), rule="call")


async def test_a_call_is_told_on_its_day_and_none_is_not(tmp_path: Path) -> None:
    response = Decision(
        name="grid.demand-response",
        owner="desk",
        purpose="Call",
        risk=Risk.LOW,
        event=CallWanted,
        features=(Feature("reduce_mw"), Feature(begins_at)),
        policy=call,
    )
    noon = datetime(2024, 3, 1, 12, tzinfo=UTC)
    tomorrow = noon + 12 * HOUR
    async with await Runtime.open([response], settings=Settings(root=tmp_path), clock=VirtualClock(noon)) as runtime:
        for reduce_mw in (0.0, 18.0):
            await runtime.decide(response.name, CallWanted(start=tomorrow + 4 * HOUR, reduce_mw=reduce_mw))
        await runtime.catch_up()
        [told] = await Chronicle(runtime).between(tomorrow, tomorrow + 24 * HOUR)
        assert (told.label, told.at, told.until) == ("Call", tomorrow + 4 * HOUR, tomorrow + 8 * HOUR)
        assert await Chronicle(runtime).between(noon - 12 * HOUR, tomorrow) == []


def happening(decision: str, minutes: int, until: int | None = None) -> Happening:
    at = datetime(2024, 3, 1, tzinfo=UTC)
    return Happening(
        run=UUID(int=minutes),
        decision=decision,
        label=decision,
        tone=Tone.FIRST,
        at=at + timedelta(minutes=minutes),
        until=None if until is None else at + timedelta(minutes=until),
        said="",
        status=Status.ACTED,
    )


def test_moments_near_each_other_are_one_stretch() -> None:
    told = [happening("a", 0), happening("b", 20), happening("a", 30), happening("c", 40, 90), happening("a", 90)]
    told += [happening("c", 95, 99), happening("a", 151)]
    kept = together(told)
    assert [(each.decision, each.at.minute, each.until and each.until.minute) for each in kept] == [
        ("a", 0, 30),
        ("b", 20, None),
        ("c", 40, 30),
        ("c", 35, 39),
        ("a", 31, None),
    ]
    assert kept[0].run == UUID(int=0)
    assert together([]) == []
