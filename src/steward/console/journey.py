"""The path that a decision took through the loop, as stages that went well, wait, or did not come."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET

from steward.console.charts.figures import Stage
from steward.console.choices import by
from steward.console.words import money, title
from steward.entries import Approved, Rejected
from steward.ledger.run import Run
from steward.records import ActionFacts, GateFacts, Status

_NOT_YET = "to come"


def journey(run: Run, *, expects_outcome: bool) -> list[Stage]:
    """Return the stages of a run, in order.

    Args:
        run: The folded run.
        expects_outcome: Whether its decision declares an outcome.
    """
    return [*_decided(run), *_asked(run), *_acted(run), *_valued(run, expects_outcome=expects_outcome)]


def _decided(run: Run) -> Iterator[Stage]:
    record = run.record
    yield Stage("Event", record.provenance.contract, "pos")
    if count := len(record.features):
        yield Stage("Features", f"{count} value{'' if count == 1 else 's'}", "pos")
    if isinstance(record.model_id, str):
        version = f" {record.model_version}" if isinstance(record.model_version, str) else ""
        # A pipeline is called by its steps; the last of them gives the answer.
        yield Stage("Model", f"{record.model_id.rpartition(' > ')[2]}{version}", "pos")
    rule = record.policy.rule
    yield Stage("Policy", f"rule {rule}" if isinstance(rule, str) else "chose", "pos")


def _asked(run: Run) -> Iterator[Stage]:
    gate = run.record.gate
    if not isinstance(gate, GateFacts):
        return
    if not gate.needed:
        yield Stage("Gate", f"open: {money(gate.impact)}", "pos")
        return
    yield Stage("Gate", f"{money(gate.impact)} at stake", "warn")
    answer = run.answer
    if answer is None:
        yield Stage("Person", f"waits for {gate.approvers}" if run.is_waiting else "", "warn" if run.is_waiting else "")
    elif isinstance(answer, Approved):
        yield Stage("Approved", by(answer.by), "pos")
    elif isinstance(answer, Rejected):
        yield Stage("Refused", by(answer.by), "neg")
    else:
        yield Stage("Expired", "nobody answered", "neg")


def _acted(run: Run) -> Iterator[Stage]:
    action = run.record.action
    if not isinstance(action, ActionFacts):
        return
    name = title(action.name)
    if run.failure is not None:
        yield Stage("Failed", run.failure.code, "neg")
    elif run.halted is not None:
        yield Stage("Halted", "waits for an operator", "warn")
    elif run.undone is not None:
        yield Stage("Taken back", name, "neg")
    elif run.aborted is not None or run.reverting is not None:
        yield Stage("Taking back", name, "warn")
    elif run.receipt is not None:
        yield Stage("Done", name, "pos")
    elif run.doubted is not None:
        yield Stage("In doubt", name, "warn")
    elif run.status is Status.ACTING:
        yield Stage("Acting", name, "info")
    else:
        yield Stage("Action", name)


def _valued(run: Run, *, expects_outcome: bool) -> Iterator[Stage]:
    if run.observed:
        yield Stage("Outcome", "late" if run.observed[-1].late else "observed", "pos")
    elif expects_outcome:
        yield Stage("Outcome", _NOT_YET)
    if run.valued is not None:
        yield Stage("Value", money(run.valued.saving, sign=True), "neg" if run.valued.saving.minor < 0 else "pos")
    elif expects_outcome or run.record.expected_value is not UNSET:
        yield Stage("Value", _NOT_YET)
