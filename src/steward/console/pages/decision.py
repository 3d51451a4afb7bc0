"""One decision: its path, why, what came of it, its proof, what if, and what people can do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Response
from msgspec import UNSET, Struct, UnsetType

from steward import wire
from steward.access.permissions import Permission
from steward.api.admission import TheRun
from steward.api.answers import Reasoning, RedriveIn
from steward.api.problems import Problem, problem
from steward.console.choices import chosen, measured, named
from steward.console.forms import fitted, sends
from steward.console.journey import journey
from steward.console.proving import Proof, prove
from steward.console.told import history, waits
from steward.console.trying import trying
from steward.console.view import Looking, View, back_to
from steward.console.why import drivers, promised, worth
from steward.console.words import exactly, plain
from steward.decision.model import Attribution
from steward.errors import Conflict, ContractError, Denied, StewardError
from steward.insight.listing import Filter
from steward.insight.rows import RunRow
from steward.ledger.run import Run
from steward.records import GateFacts, Record
from steward.runtime.effects import Offers

router = APIRouter()
_REFUSED = (ContractError, Conflict, Denied)


class Wish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants to be done about a decision, as typed.

    Attributes:
        reason: Why.
        adopt: ``yes``: it goes on with today's code.
        signal: What it is told, by name.
        payload: What the signal says: JSON, or a text.
    """

    reason: str = ""
    adopt: str = ""
    signal: str = ""
    payload: str = ""


class Failing(NamedTuple):
    """A form that was sent and could not be done: which one, what was typed, and why."""

    form: str
    typed: Wish
    wrong: Problem


class Fact(NamedTuple):
    """One line of the record."""

    name: str
    value: str
    is_code: bool = False


@router.get("/decisions/{decision_id}")
async def decision(view: Looking, run: TheRun, decision_id: str) -> Response:
    """Show a decision."""
    return await _shown(view, run)


@router.post("/decisions/{decision_id}/undo")
async def undo(view: Looking, run: TheRun, decision_id: str, sent: Annotated[Wish, sends(Wish)]) -> Response:
    """Take back what a decision's action did."""
    try:
        wish = _reasoning(sent)
        await view.runtime.undo(run.record.decision_id, by=view.person, reason=wish.reason)
    except _REFUSED as error:
        return await _refused(view, run, "undo", sent, error)
    return _back(run)


@router.post("/decisions/{decision_id}/abort")
async def abort(view: Looking, run: TheRun, decision_id: str, sent: Annotated[Wish, sends(Wish)]) -> Response:
    """End a run under way."""
    try:
        wish = _reasoning(sent)
        await view.runtime.abort(run.record.decision_id, by=view.person, reason=wish.reason)
    except _REFUSED as error:
        return await _refused(view, run, "abort", sent, error)
    return _back(run)


@router.post("/decisions/{decision_id}/redrive")
async def redrive(view: Looking, run: TheRun, decision_id: str, sent: Annotated[Wish, sends(Wish)]) -> Response:
    """Let a failed or halted run go on."""
    try:
        wish = fitted(RedriveIn, {"reason": sent.reason, "adopt_current_code": sent.adopt == "yes"})
        await view.runtime.redrive(
            run.record.decision_id, by=view.person, reason=wish.reason, adopt_current_code=wish.adopt_current_code
        )
    except _REFUSED as error:
        return await _refused(view, run, "redrive", sent, error)
    return _back(run)


@router.post("/decisions/{decision_id}/signal")
async def signal(view: Looking, run: TheRun, decision_id: str, sent: Annotated[Wish, sends(Wish)]) -> Response:
    """Tell a run what it waits for, or will wait for."""
    try:
        await view.runtime.signal(run.record.decision_id, sent.signal, _payload(sent.payload), by=view.person)
    except _REFUSED as error:
        return await _refused(view, run, "signal", sent, error)
    return _back(run)


def _reasoning(sent: Wish) -> Reasoning:
    """Return a wish as the API takes it, so that its rules hold here, too."""
    return fitted(Reasoning, {"reason": sent.reason})


def _payload(text: str) -> object:
    if not text:
        return None
    try:
        return wire.decode(text.encode())
    except ContractError:
        return text


def _back(run: Run) -> Response:
    return back_to(f"/decisions/{run.record.decision_id}")


async def _refused(view: View, run: Run, form: str, sent: Wish, error: StewardError) -> Response:
    now = await view.runtime.run(run.record.decision_id)
    return await _shown(view, now, Failing(form, sent, problem(error)))


async def _shown(view: View, run: Run, failing: Failing | None = None) -> Response:
    runtime, record = view.runtime, run.record
    await runtime.catch_up()
    declared = runtime.decisions.get(record.decision)
    following = runtime.effects.next(run)
    tried = await trying(view, run)
    gate = record.gate if isinstance(record.gate, GateFacts) else None
    newer, older = _beside(view, run)
    wrong = failing.wrong if failing else tried.wrong if tried.is_asked else None
    return await view.page(
        "decision.html",
        status=200 if wrong is None else wrong.status,
        run=run,
        record=record,
        declared=declared,
        title=chosen(run.choice, record.policy.rule if run.choice == record.choice else UNSET),
        gate=gate,
        stages=journey(run, expects_outcome=declared is not None and declared.economics is not None),
        waits="" if following is None else waits(following),
        following=following,
        worth=worth(view, run, record.choice, gate.otherwise if gate and gate.needed else UNSET),
        promise=promised(record),
        drivers=drivers(run),
        is_deferred=declared is not None and declared.attribution is not Attribution.OFF and not run.attribution,
        told=history(run, view.zone, following),
        facts=_facts(view, run),
        features=[(*named(name), name, measured(name, value)) for name, value in record.features.items()],
        proof=await _proof(view, run),
        trying=tried,
        offers=_offered(view, run),
        failing=failing,
        newer=newer,
        older=older,
    )


def _beside(view: View, run: Run) -> tuple[RunRow | None, RunRow | None]:
    """Return the next and the last decision of the same name."""
    which, here, views = Filter(decision=run.record.decision), run.record.decision_id, view.runtime.views
    newer = views.listed(which, sort="time", before=here, limit=1)
    older = views.listed(which, before=here, limit=1)
    return (newer[0] if newer else None), (older[0] if older else None)


async def _proof(view: View, run: Run) -> Proof | None:
    if not view.may(Permission.VERIFY, run.record.decision):
        return None
    return await prove(view.runtime.ledger, run.index)


def _offered(view: View, run: Run) -> Offers:
    """Return what can be done, of what the viewer may do; the doors ask the same."""
    offers, name = view.runtime.effects.offers(run), run.record.decision
    may_stop, may_invoke = view.may(Permission.STOP, name), view.may(Permission.INVOKE, name)
    return Offers(
        undo=offers.undo and may_stop,
        abort=offers.abort and may_stop,
        redrive=offers.redrive and may_invoke,
        adopt=offers.adopt,
        signals=offers.signals if may_invoke else (),
    )


def _facts(view: View, run: Run) -> Sequence[Fact]:
    return [fact for fact in _all_facts(view, run) if fact.value]


def _all_facts(view: View, run: Run) -> Iterator[Fact]:
    record = run.record
    origin, policy = record.provenance, record.policy
    yield Fact("prediction", "" if record.prediction is UNSET else plain(record.prediction))
    yield Fact("confidence", _text(record.confidence))
    yield Fact("interval", _bounds(record))
    yield Fact("labels", "" if record.labels is UNSET else plain(record.labels))
    yield Fact("calibration", promised(record))
    yield Fact("model_id", _text(record.model_id))
    yield Fact("model_version", _text(record.model_version))
    yield Fact("model_hash", _text(record.model_hash), is_code=True)
    yield Fact("release", record.release, is_code=True)
    yield Fact("policy", policy.hash, is_code=True)
    yield Fact("rule", _text(policy.rule))
    yield Fact("propensity", plain(record.propensity))
    yield Fact("features", f"{len(record.features)} values" if record.features else "")
    yield Fact("expected_value", "" if record.expected_value is UNSET else exactly(record.expected_value))
    yield Fact("cost", "" if record.cost is UNSET else exactly(record.cost))
    yield Fact("provenance", f"{origin.contract} version {origin.contract_version}, from {origin.source}")
    yield Fact("event_id", origin.event_id, is_code=True)
    yield Fact("asked by", _text(origin.by))
    yield Fact("trace", _text(origin.trace_id), is_code=True)
    yield Fact("action key", "" if record.action is UNSET else record.action.key, is_code=True)
    yield Fact("workflow", _workflow(run))
    yield Fact("ledger index", f"{run.index:,}")


def _bounds(record: Record) -> str:
    interval = record.interval
    return "" if isinstance(interval, UnsetType) else f"{plain(interval.low)} to {plain(interval.high)}"


def _workflow(run: Run) -> str:
    if run.record.action is UNSET:
        return ""
    tries = sum(step.attempt > 1 for step in run.stepped)
    steps = f"{len(run.stepped)} step{'' if len(run.stepped) == 1 else 's'}"
    return f"{steps}, {tries} retried, {run.redriven} let go on" if run.stepped or run.redriven else ""


def _text(value: Any) -> str:
    return "" if value is UNSET else plain(value) if isinstance(value, float) else str(value)
