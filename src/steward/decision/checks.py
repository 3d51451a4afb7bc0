"""What a decision checks when it is made: everything that can be known before the first event."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from graphlib import CycleError, TopologicalSorter
from types import UnionType
from typing import TYPE_CHECKING, Any, cast, get_args

from steward.decision.action import Action
from steward.decision.calibration import Calibration
from steward.decision.canary import NEEDS, Canary
from steward.decision.choice import Choice
from steward.decision.contract import Contract
from steward.decision.economics import Economics
from steward.decision.fallback import Fallback
from steward.decision.feature import Feature, Features
from steward.decision.gate import Gate
from steward.decision.lane import Lane
from steward.decision.model import Attribution, Model, Pipeline
from steward.decision.risk import Risk
from steward.decision.schedule import Every
from steward.decision.signatures import check_arity, check_plain, check_takes, is_class, returned
from steward.decision.steps import Check, Steps, Wait
from steward.decision.stream import WindowFeature
from steward.errors import DeclarationError
from steward.records import Prediction

if TYPE_CHECKING:
    from steward.decision.decision import Decision

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*")


def check(decision: Decision[Any, Any, Any]) -> None:
    """Raise ``DeclarationError`` at the first thing that does not fit, naming the decision: a file may have many."""
    try:
        _check(decision)
    except DeclarationError as error:
        if repr(decision.name) in error.what:
            raise
        what = f"decision {decision.name!r}: {error.what}"
        named = DeclarationError(what, why=error.why, fix=error.fix, code=error.code, field=error.field)
        raise named.with_traceback(error.__traceback__) from error.__cause__


def _check(decision: Decision[Any, Any, Any]) -> None:
    _check_kinds(decision)
    if len(decision.name) > 100 or not _NAME.fullmatch(decision.name):
        raise DeclarationError(
            f"{decision.name!r} is not a name for a decision",
            fix="use lower-case words joined by dots and hyphens: grid.battery-dispatch",
            field="name",
        )
    for argument in ("owner", "purpose"):
        if not getattr(decision, argument).strip():
            raise DeclarationError(f"decision {decision.name!r} has no {argument}", field=argument)
    contract = Contract.of(decision.event)
    names = _check_features(decision, contract)
    _check_predict(decision, names)
    _check_immutable(decision, names)
    _check_fallback(decision, names)
    _check_policy(decision)
    _check_gate(decision)
    _check_action(decision)
    _check_economics(decision, contract)
    _check_schedule(decision, contract)
    _check_calibration(decision, names)
    if decision.canary is not None:
        decision.canary.check_known({metric: getattr(decision, part) is not None for metric, part in NEEDS.items()})


_KINDS: tuple[tuple[str, type | UnionType, str], ...] = (
    ("name", str, "pass a text"),
    ("owner", str, "pass a text"),
    ("purpose", str, "pass a text"),
    ("risk", Risk, "pass Risk.LOW, Risk.MEDIUM or Risk.HIGH"),
    ("attribution", Attribution, "pass Attribution.INLINE, Attribution.DEFERRED or Attribution.OFF"),
    ("lane", Lane, "pass Lane.EMERGENCY, Lane.NORMAL or Lane.BATCH"),
)
_PARTS: tuple[tuple[str, type | UnionType, str], ...] = (
    ("fallback", Fallback, "pass Fallback(...)"),
    ("gate", Gate, "pass Gate(...)"),
    ("action", Action | Steps, "wrap the function: Action(do=...), or Steps(Action(...), ...)"),
    ("economics", Economics, "pass Economics(...)"),
    ("schedule", Every, "pass Every(period, make=...)"),
    ("calibration", Calibration, "pass Calibration(truth=...)"),
    ("canary", Canary, "pass Canary(guardrails=(...,))"),
    ("explain_within", timedelta, "pass timedelta(microseconds=...)"),
)


def _check_kinds(decision: Decision[Any, Any, Any]) -> None:
    given = [(name, kind, fix) for name, kind, fix in _PARTS if getattr(decision, name) is not None]
    for name, kind, fix in (*_KINDS, *given):
        value = getattr(decision, name)
        if not isinstance(value, kind):
            raise DeclarationError(f"{name} is {value!r}, not {_named(kind)}", fix=fix, field=name)


def _named(kind: type | UnionType) -> str:
    return " or ".join(f"a {each.__name__}" for each in get_args(kind) or (kind,))


def nearest(wrong: str, known: Iterable[str]) -> str:
    """Return what may have been meant, as the end of an error message."""
    known = sorted(known)
    close = difflib.get_close_matches(wrong, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(known) or '(none declared)'}"


def _check_features(decision: Decision[Any, Any, Any], contract: Contract[Any]) -> set[str]:
    names: set[str] = set()
    if not isinstance(decision.features, tuple):
        raise DeclarationError(
            f"features is a {type(decision.features).__name__}",
            fix="pass a tuple: features=(Feature(...),)",
            field="features",
        )
    for feature in decision.features:
        if not isinstance(feature, Feature | WindowFeature):
            raise DeclarationError(
                f"{feature!r} is not a feature",
                fix="wrap a function or a field's name in Feature(...)",
                field="features",
            )
        if feature.name in names:
            raise DeclarationError(
                f"two features are named {feature.name!r}",
                fix="pass name=... to one of them",
                field="features",
            )
        names.add(feature.name)
    for window in decision.windows:
        for needed in filter(None, (window.stream.key, window.at)):
            if needed not in contract.fields:
                raise DeclarationError(
                    f"feature {window.name!r} needs the field {needed!r} of the event {contract.name!r}",
                    fix=nearest(needed, contract.fields),
                    field="features",
                )
    for row in decision.rows:
        _check_row(row, names, contract)
    try:
        TopologicalSorter({row.name: row.needs for row in decision.rows}).prepare()
    except CycleError as error:
        raise DeclarationError(
            f"features need each other in a circle: {' -> '.join(error.args[1])}",
            fix="break the circle",
            field="features",
        ) from error
    return names


def _check_row(row: Feature[Any], names: set[str], contract: Contract[Any]) -> None:
    if row.compute is not None:
        check_plain(row.compute, "features")
        check_takes(row.compute, 0, contract.schema, "features")
    if row.field is not None and row.field not in contract.fields:
        raise DeclarationError(
            f"the event {contract.name!r} has no field {row.field!r}",
            fix=nearest(row.field, contract.fields),
            field="features",
        )
    for needed in row.needs:
        if needed not in names:
            raise DeclarationError(
                f"feature {row.name!r} needs the unknown feature {needed!r}",
                fix=nearest(needed, names - {row.name}),
                field="features",
            )


def _check_immutable(decision: Decision[Any, Any, Any], names: set[str]) -> None:
    if not isinstance(decision.immutable, tuple):
        raise DeclarationError(
            f"immutable is a {type(decision.immutable).__name__}", fix='pass a tuple: ("age",)', field="immutable"
        )
    for name in decision.immutable:
        if name not in names:
            raise DeclarationError(
                f"immutable names the unknown feature {name!r}", fix=nearest(name, names), field="immutable"
            )


def _check_explain_within(decision: Decision[Any, Any, Any]) -> None:
    within = decision.explain_within
    if within is not None and decision.attribution is not Attribution.INLINE:
        raise DeclarationError(
            "explain_within limits what is computed before the answer, and nothing is",
            fix="declare attribution=Attribution.INLINE, or leave explain_within out",
            field="explain_within",
        )
    if within is not None and within <= timedelta(0):
        raise DeclarationError(
            f"explain_within must be more than nothing, got {within}",
            fix="declare attribution=Attribution.DEFERRED to compute it after the answer",
            field="explain_within",
        )


def _check_predict(decision: Decision[Any, Any, Any], names: set[str]) -> None:
    predict = decision.predict
    if predict is None and decision.attribution is not Attribution.OFF:
        raise DeclarationError(
            "there is no model whose answer could be attributed", fix="leave attribution out", field="attribution"
        )
    _check_explain_within(decision)
    if predict is None or isinstance(predict, Model):
        inputs = [] if predict is None else list(predict.inputs)
    elif isinstance(predict, Pipeline):
        inputs = [name for step in predict.steps for name in step.skill.inputs]
        for step in predict.steps:
            check_plain(step.skill.run, "predict")
        _check_models(predict)
        if decision.attribution is not Attribution.OFF:
            raise DeclarationError(
                "the attribution of a pipeline is not defined",
                fix="leave attribution out",
                field="attribution",
            )
    else:
        raise DeclarationError(
            f"{predict!r} cannot predict", fix="pass a Model(...) or a Pipeline(...)", field="predict"
        )
    for name in inputs:
        if name not in names:
            raise DeclarationError(
                f"predict takes the unknown feature {name!r}",
                fix=nearest(name, names),
                field="predict.inputs",
            )


def _check_fallback(decision: Decision[Any, Any, Any], names: set[str]) -> None:
    fallback = decision.fallback
    if fallback is None:
        return
    if decision.predict is None:
        raise DeclarationError("nothing predicts that could fail", fix="leave fallback out", field="fallback")
    if fallback.people and decision.gate is None:
        raise DeclarationError("nobody could be asked", fix="declare a gate=Gate(...)", field="fallback.people")
    if fallback.rule is not None:
        check_plain(fallback.rule, "fallback.rule")
    if fallback.models and isinstance(decision.predict, Pipeline):
        raise DeclarationError(
            "a model answers with something else than a pipeline", fix="pass a rule=...", field="fallback.models"
        )
    own = [model.name for model in decision.models]
    for model in fallback.models:
        if own.count(model.name) > 1:
            raise DeclarationError(
                f"the model {model.name!r} would take its own place", fix="name another one", field="fallback.models"
            )
        for name in model.inputs:
            if name not in names:
                raise DeclarationError(
                    f"fallback takes the unknown feature {name!r}", fix=nearest(name, names), field="fallback.models"
                )


def _check_models(pipeline: Pipeline[Any]) -> None:
    versions: dict[str, str] = {}
    used = (model for step in pipeline.steps for each in step.skill.models for model in each.used)
    for model in used:
        if versions.setdefault(model.name, model.version) != model.version:
            raise DeclarationError(
                f"model {model.name!r} is used in the versions {versions[model.name]} and {model.version}",
                why="skills find their models by name",
                fix="use one version of it",
                field="predict.models",
            )


def _check_policy(decision: Decision[Any, Any, Any]) -> None:
    check_arity(decision.policy, 2, "policy", "features and prediction")
    check_plain(decision.policy, "policy")
    check_takes(decision.policy, 0, Features, "policy")
    check_takes(decision.policy, 1, Prediction, "policy")
    chosen = returned(decision.policy)
    if is_class(chosen) and not issubclass(chosen, Choice):
        raise DeclarationError(
            f"the policy returns a {chosen.__name__}",
            fix="return Choice(value, reasons=(...,)), declared as Choice[...]",
            field="policy",
        )


def _check_gate(decision: Decision[Any, Any, Any]) -> None:
    gate = decision.gate
    if gate is None:
        return
    if decision.economics is None:
        raise DeclarationError(
            "a gate weighs money, but the decision has no economics",
            fix="declare economics=...",
            field="economics",
        )
    check_arity(gate.impact, 3, "gate.impact", "features, prediction and choice")
    check_arity(gate.needed, 1, "gate.needed", "the impact")
    if gate.limits is not None:
        check_arity(gate.limits, 3, "gate.limits", "features, what is proposed and what is wanted")
    if gate.checks is not None:
        check_arity(gate.checks.wrong, 2, "gate.checks", "features and choice")
    for argument in ("impact", "needed"):
        check_plain(getattr(gate, argument), f"gate.{argument}")
    chosen = _choice_type(decision.policy)
    fits = (int, float) if chosen is float else chosen  # as type checkers see it
    if is_class(chosen) and not isinstance(gate.otherwise, cast("type", fits)):
        raise DeclarationError(
            f"gate.otherwise is {gate.otherwise!r}, but the policy chooses a {chosen.__name__}",
            fix=f"pass a {chosen.__name__}",
            field="gate.otherwise",
        )


def _check_action(decision: Decision[Any, Any, Any]) -> None:
    action = decision.action
    for step in action.steps if isinstance(action, Steps) else [action]:
        if isinstance(step, Action):
            functions = {verb: getattr(step, verb) for verb in ("do", "undo", "verify")}
        elif isinstance(step, Check):
            functions = {"safe": step.safe}
        else:
            functions = {"until": step.until} if isinstance(step, Wait) and callable(step.until) else {}
        for verb, function in functions.items():
            if function is not None:
                check_arity(function, 2, f"action.{verb}", "choice and call")


def _check_schedule(decision: Decision[Any, Any, Any], contract: Contract[Any]) -> None:
    schedule = decision.schedule
    if schedule is None:
        return
    check_arity(schedule.make, 1, "schedule.make", "the tick's time")
    made = returned(schedule.make)
    # mypy infers a common supertype for the two, so that this mistake is found here only.
    if is_class(made) and not issubclass(made, contract.schema):
        raise DeclarationError(
            f"schedule.make returns a {made.__name__}, but the decision is asked by {contract.name!r}",
            fix=f"return a {contract.schema.__name__}",
            field="schedule.make",
        )


def _check_calibration(decision: Decision[Any, Any, Any], names: set[str]) -> None:
    calibration, economics = decision.calibration, decision.economics
    if calibration is None:
        return
    for argument, needed in (("predict", decision.predict), ("economics", economics)):
        if needed is None:
            raise DeclarationError(
                f"calibration compares predictions with outcomes, but the decision has no {argument}",
                fix=f"declare {argument}=...",
                field=argument,
            )
    check_arity(calibration.truth, 1, "calibration.truth", "the outcome")
    check_plain(calibration.truth, "calibration.truth")
    if economics is not None:
        check_takes(calibration.truth, 0, Contract.of(economics.outcome).schema, "calibration.truth")
    for argument in ("group", "scale"):
        feature = getattr(calibration, argument)
        if feature is not None and feature not in names:
            raise DeclarationError(
                f"calibration.{argument} is the unknown feature {feature!r}",
                fix=nearest(feature, names),
                field=f"calibration.{argument}",
            )


def _choice_type(policy: Callable[..., Any]) -> object:
    arguments = getattr(returned(policy), "__args__", ())
    return arguments[0] if arguments else None


def _check_economics(decision: Decision[Any, Any, Any], contract: Contract[Any]) -> None:
    economics = decision.economics
    if economics is None:
        return
    sticky = [(name, "sticky", "to share decisions out by") for name in economics.sticky or ()]
    for name, part, why in [*((name, "key", "to join the outcome by") for name in economics.key), *sticky]:
        if name not in contract.fields:
            raise DeclarationError(
                f"the event {contract.name!r} has no field {name!r} {why}",
                fix=nearest(name, contract.fields),
                field=f"economics.{part}",
            )
    check_arity(economics.value, 3, "economics.value", "features, choice and outcome")
    check_arity(economics.baseline, 2, "economics.baseline", "features and outcome")
    if economics.expected is not None:
        check_arity(economics.expected, 3, "economics.expected", "features, prediction and choice")
        check_plain(economics.expected, "economics.expected")
    outcome = Contract.of(economics.outcome).schema
    for part, function, place in (("value", economics.value, 2), ("baseline", economics.baseline, 1)):
        check_plain(function, f"economics.{part}")
        check_takes(function, place, outcome, f"economics.{part}")
