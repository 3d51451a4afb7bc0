"""Bind: a decision whose policy is data gets its rows, before it is prepared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from steward.decision.checks import nearest
from steward.decision.decision import Decision
from steward.decision.rules import Rules
from steward.errors import DeclarationError, IntegrityError
from steward.models.artefact import Artefact
from steward.policies.bound import Bound
from steward.policies.inputs import FROM_PREDICTION
from steward.policies.jdm import FILE, KIND
from steward.policies.policy import Policy

AnyDecision = Decision[Any, Any, Any]


class Fetch(Protocol):
    """What hands out registered artefacts: a registry."""

    def fetch(self, name: str, version: str = "latest") -> Artefact:
        """Return a version with its verified bytes."""
        ...


def bind(decision: AnyDecision, registry: Fetch, version: str = "") -> AnyDecision:
    """Return the decision with the rows of its policy; one whose policy is a function, or bound already, as it is.

    Args:
        decision: The declaration; its fingerprint does not change.
        registry: Where registered policies are.
        version: A version or digest other than the declared one; no part of the declaration.

    Raises:
        NotFound: There is no such policy, or version.
        IntegrityError: What is registered under the name is no policy.
        DeclarationError: The policy reads something that the decision does not have, or chooses another type.
        EngineError: ``zen-engine`` is not installed.
    """
    policy = decision.policy
    if not isinstance(policy, Rules) or policy.decide is not None:
        return decision
    content, digest = policy.content, ""
    if not content:
        found = registry.fetch(policy.name, version or policy.version)
        if found.manifest.kind != KIND or FILE not in found.files:
            raise IntegrityError(
                f"{policy.name!r} is registered as {found.manifest.kind}, not as a policy",
                fix="name a policy; steward policy register makes one",
            )
        content, digest = found.files[FILE], found.digest
    bound = Bound(Policy.read(content), policy.choices, digest=digest, name=policy.name)
    _check_inputs(decision, bound)
    return replace(decision, policy=policy.bound(bound, bound.digest))


def _check_inputs(decision: AnyDecision, bound: Bound) -> None:
    names = [feature.name for feature in decision.features]
    for name in bound.inputs:
        if name not in names:
            raise DeclarationError(
                f"the policy {bound.name!r} reads {name!r}, which is no feature of {decision.name!r}",
                fix=nearest(name, [*names, *FROM_PREDICTION]),
                field="policy",
            )
    told = {path.partition(".")[0] for path in bound.policy.inputs} & {*FROM_PREDICTION} - set(names)
    if told and decision.predict is None:
        raise DeclarationError(
            f"the policy {bound.name!r} reads {min(told)!r}, but {decision.name!r} predicts nothing",
            fix="declare predict=..., or leave it out of the policy",
            field="policy",
        )
