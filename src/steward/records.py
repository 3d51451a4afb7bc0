"""The nouns that travel: money, predictions, receipts, and the record that a caller gets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Generic, Literal, SupportsFloat, TypeVar
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

P = TypeVar("P")
FeatureValue = float | int | str | bool | None | tuple[float | None, ...]
"""A feature's value; ``None`` means that there was nothing to compute it from."""


class Status(StrEnum):
    """How far a decision has come.

    Example:
        >>> Status.WAITING.value
        'waiting'
    """

    DECIDED = "decided"
    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    ACTING = "acting"
    IN_DOUBT = "in-doubt"
    HALTED = "halted"
    ACTED = "acted"
    UNDONE = "undone"
    FAILED = "failed"


class Money(Struct, frozen=True):
    """An exact amount in a currency, in JSON ``{"amount": "12.34", "unit": "EUR"}``.

    Example:
        >>> Money.rounded(12.345, "EUR")
        Money(amount=Decimal('12.34'), unit='EUR')
        >>> Money.of_minor(-5, "EUR").amount
        Decimal('-0.05')
    """

    amount: Decimal
    unit: str

    @classmethod
    def rounded(cls, amount: Decimal | float, unit: str) -> Money:
        """Round to minor units, half to even; raise ``ValueError`` for what is no finite number or too large."""
        if type(amount) is float:
            exact = Decimal(repr(amount))
        elif isinstance(amount, Decimal | int):
            exact = Decimal(amount)
        elif isinstance(amount, SupportsFloat):  # numpy's numbers, whose repr names their type
            exact = Decimal(repr(float(amount)))
        else:
            raise ValueError(f"an amount of money must be a number, got {amount!r}")
        if not exact.is_finite():
            raise ValueError(f"an amount of money must be finite, got {amount}")
        try:
            return cls(exact.quantize(minor_unit(unit), rounding=ROUND_HALF_EVEN), unit)
        except InvalidOperation as error:
            raise ValueError(f"an amount of money has at most 28 digits, got {amount}") from error

    @classmethod
    def of_minor(cls, minor: int, unit: str) -> Money:
        """Make an amount from minor units (cents)."""
        return cls(minor * minor_unit(unit), unit)

    @property
    def minor(self) -> int:
        """The amount in minor units (cents)."""
        return int(self.amount / minor_unit(self.unit))


_CENT = Decimal("0.01")
_DIGITS = {"JPY": Decimal(1), "KRW": Decimal(1), "KWD": Decimal("0.001"), "BHD": Decimal("0.001")}


def minor_unit(unit: str) -> Decimal:
    """Return the smallest amount of a currency (ISO 4217), 0.01 where not known otherwise.

    Example:
        >>> minor_unit("EUR"), minor_unit("JPY")
        (Decimal('0.01'), Decimal('1'))
    """
    return _DIGITS.get(unit, _CENT)


class Interval(Struct, frozen=True):
    """Bounds that hold the true value with probability ``level`` (0..1).

    Example:
        >>> Interval(low=1.0, high=2.0, level=0.9).level
        0.9
    """

    low: float
    high: float
    level: float


class CalibrationFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an interval or a set of labels was made, and how well those before it have held.

    Attributes:
        method: ``split`` (by the first outcomes), ``pi`` (by the tracker); as long as too few have come, ``borrowed``
            (by the outcomes of the model that answered before) or ``none``.
        level: The share (0..1) of truths that are to be held.
        n: Over how many answers, those whose outcome has come, ``coverage`` is counted.
        coverage: The share of them that held the truth; absent without any.
        learnt: From how many outcomes it was made.
        group: The group by whose outcomes it was made; absent where it was all of them.
        threshold: The bound on the score that made it: of the residual in units of its scale, or of 1 - probability.
        band: The bounds that the pipeline told itself, which the threshold was added to; absent for a plain number.

    Example:
        >>> CalibrationFacts(method="pi", level=0.9, n=812, coverage=0.897, learnt=821, threshold=431.5).coverage
        0.897
    """

    method: Literal["none", "borrowed", "split", "pi"]
    level: float
    n: int
    learnt: int
    coverage: float | UnsetType = UNSET
    group: str | UnsetType = UNSET
    threshold: float | UnsetType = UNSET
    band: tuple[float, float] | UnsetType = UNSET


class ServingFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which engine answered for a model that is not computed beside the loop, and why that one.

    Attributes:
        endpoint: What the settings call it.
        region: Where it stands, if the settings say.
        reason: Why it and not the first in the order, if it is not the first.
        prompt: ``sha256:`` of the very prompt, of an answer in words; the prompt itself is kept nowhere.
        answer: ``sha256:`` of the very words that came back.
        tokens_in: How many tokens the prompt had, as the endpoint counted.
        tokens_out: How many it answered with.

    Example:
        >>> ServingFacts(endpoint="models-eu", region="eu", reason="models-es is full").reason
        'models-es is full'
    """

    endpoint: str
    region: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    prompt: str | UnsetType = UNSET
    answer: str | UnsetType = UNSET
    tokens_in: int | UnsetType = UNSET
    tokens_out: int | UnsetType = UNSET


class Prediction(Struct, Generic[P], frozen=True, kw_only=True):
    """What a model or pipeline answered.

    Attributes:
        value: The answer itself.
        confidence: Probability (0..1) that it is right, if the model tells.
        interval: Bounds of the true value, if the model tells or the decision is calibrated.
        probabilities: The probability of each label, if the answer is one of several.
        labels: The labels that the truth is among with the declared level, if the decision is calibrated.
        calibration: How interval or labels were made.
        attribution: Contribution of each feature, in units of the model's raw output.
        model_id: Registered name of the model, or the pipeline's own name.
        model_version: Its version.
        model_hash: SHA-256 of its artefact, ``sha256:<hex>``.
        reasons: Why this model answered and not the declared one, if so.
        serving: Which engine answered, if it was not computed beside the loop.
        cost: What the answer has cost, if it costs anything.

    Example:
        >>> Prediction(value=0.93, confidence=0.93, model_id="fraud", model_version="3").value
        0.93
    """

    value: P
    confidence: float | None = None
    interval: Interval | None = None
    probabilities: Mapping[str, float] | None = None
    labels: tuple[Any, ...] | None = None
    calibration: CalibrationFacts | None = None
    attribution: Mapping[str, float] | None = None
    model_id: str | None = None
    model_version: str | None = None
    model_hash: str | None = None
    reasons: tuple[str, ...] = ()
    serving: ServingFacts | None = None
    cost: Money | None = None

    @property
    def abstains(self) -> bool:
        """Whether the labels that the truth is among are not exactly one, so that no single one can be relied on.

        Example:
            >>> Prediction(value=0.6, labels=("legit", "fraud")).abstains
            True
        """
        return self.labels is not None and len(self.labels) != 1


class Receipt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The proof that an action took effect.

    Attributes:
        reference: How the outside world names what was done.
        detail: More, as text by name.

    Example:
        >>> Receipt(reference="setpoint-17", detail={"power_mw": "4.0"}).reference
        'setpoint-17'
    """

    reference: str
    detail: dict[str, str] = {}


class PolicyFacts(Struct, frozen=True):
    """Which policy chose: hash of its source, and the rule that fired.

    Example:
        >>> PolicyFacts("sha256:ab", "small-amount").rule
        'small-amount'
    """

    hash: str
    rule: str | UnsetType = UNSET


class Rung(Struct, frozen=True):
    """A rung of the ladder: whom a question goes to at ``at``, if nobody has answered by then.

    Example:
        >>> Rung("duty-manager", datetime.fromisoformat("2026-01-01T12:05:00Z")).to
        'duty-manager'
    """

    to: str
    at: datetime


class GateFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the gate found: the money at stake, and, where a person is ``needed``, who is asked until when.

    Attributes:
        needed: Whether a person must agree.
        impact: The money at stake.
        approvers: The group that may answer.
        deadline: Until when.
        otherwise: What is done if they refuse, or do not answer until then.
        ladder: Who is asked besides, and when; earliest first.
        approvals: How many people must agree.
        four_eyes: Whether proposer, author, editor and approver must be different people.

    Example:
        >>> GateFacts(needed=False, impact=Money.rounded(12, "EUR"), approvers="desk").needed
        False
    """

    needed: bool
    impact: Money
    approvers: str
    deadline: datetime | UnsetType = UNSET
    otherwise: object = UNSET
    ladder: tuple[Rung, ...] = ()
    approvals: int = 1
    four_eyes: bool = False


class ActionFacts(Struct, frozen=True, kw_only=True):
    """What will be done and under which idempotency key; ``code`` is the hash of the code that is to do it.

    Example:
        >>> ActionFacts(name="pay", key="pay.release/1").key
        'pay.release/1'
    """

    name: str
    key: str
    code: str | UnsetType = UNSET


class Provenance(Struct, frozen=True, kw_only=True):
    """Where the decision came from.

    ``event_time`` is when the event happened, if its sender says; ``by`` is the person or service that asked for the
    decision, if known; ``ledger_index`` is added to the answer once the entry is durable.

    Example:
        >>> Provenance(event_id="7", source="shop", contract="payment", contract_version=2).contract_version
        2
    """

    event_id: str
    source: str
    contract: str
    contract_version: int
    event_time: datetime | UnsetType = UNSET
    trace_id: str | UnsetType = UNSET
    by: str | UnsetType = UNSET
    ledger_index: int | UnsetType = UNSET


class RolloutFacts(Struct, frozen=True):
    """Where in a rollout a decision fell: its name, the arm (champion, canary or holdout) and that arm's share (0..1).

    Example:
        >>> RolloutFacts("pay.release/3", "canary", 0.05).arm
        'canary'
    """

    name: str
    arm: str
    share: float


class EntryBody(Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    """What every entry says: which run it belongs to, of which decision, and when it was made.

    Example:
        >>> EntryBody(decision_id=UUID(int=1), decision="pay.release").decision
        'pay.release'
    """

    decision_id: UUID
    decision: str


class Record(EntryBody, frozen=True, kw_only=True, tag="decided", forbid_unknown_fields=True):
    """The standard wrapper of an answer, which is also the ledger's ``decided`` entry.

    A field is really filled or absent, never invented. See ``docs/record.md`` for every field.

    Example:
        >>> record = Record(decision_id=UUID(int=1), decision="pay.release", release="pay.release@ab", event={},
        ...     decided_at=datetime.fromisoformat("2026-01-01T00:00:00Z"), status=Status.DECIDED, features={},
        ...     choice="pay", reasons=("small",), propensity=1.0, policy=PolicyFacts("sha256:ab"),
        ...     provenance=Provenance(event_id="7", source="shop", contract="payment", contract_version=1))
        >>> record.confidence
        UNSET
    """

    release: str
    decided_at: datetime
    status: Status
    event: object
    features: dict[str, FeatureValue]
    choice: object
    reasons: tuple[str, ...]
    propensity: float
    policy: PolicyFacts
    prediction: object = UNSET
    confidence: float | UnsetType = UNSET
    interval: Interval | UnsetType = UNSET
    probabilities: dict[str, float] | UnsetType = UNSET
    labels: tuple[object, ...] | UnsetType = UNSET
    calibration: CalibrationFacts | UnsetType = UNSET
    attribution: dict[str, float] | UnsetType = UNSET
    model_id: str | UnsetType = UNSET
    model_version: str | UnsetType = UNSET
    model_hash: str | UnsetType = UNSET
    serving: ServingFacts | UnsetType = UNSET
    gate: GateFacts | UnsetType = UNSET
    action: ActionFacts | UnsetType = UNSET
    expected_value: Money | UnsetType = UNSET
    cost: Money | UnsetType = UNSET
    outcome_key: str | UnsetType = UNSET
    context: dict[str, str] | UnsetType = UNSET
    rollout: RolloutFacts | UnsetType = UNSET
    development: bool | UnsetType = UNSET
    provenance: Provenance
