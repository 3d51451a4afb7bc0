"""What stands in a decision's ``predict``: one model, or a pipeline of typed skills."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar, overload

from steward.decision.feature import Features
from steward.decision.fingerprint import ABSENT
from steward.errors import DeclarationError
from steward.records import Interval

In = TypeVar("In")
Out = TypeVar("Out")
P = TypeVar("P")
S1 = TypeVar("S1")
S2 = TypeVar("S2")
S3 = TypeVar("S3")
S4 = TypeVar("S4")


class Attribution(StrEnum):
    """When the contribution of each feature is computed.

    ``INLINE`` before the answer; ``DEFERRED`` after it, from the recorded input, as an entry of its own; ``OFF`` never.

    Example:
        >>> Attribution.DEFERRED.value
        'deferred'
    """

    INLINE = "inline"
    DEFERRED = "deferred"
    OFF = "off"


@dataclass(frozen=True, init=False)
class Model(Generic[P]):
    """A registered model that turns features into one prediction.

    Args:
        name: Its name in the registry.
        inputs: The features it takes, in this order; by default the names in the registered model's manifest.
        version: A registered version number, a ``sha256:`` digest, or ``latest`` at the time of the start.
        returns: The type of the prediction's value; registered models answer with a ``float``.
        calibration: The registered calibrator that its probability goes through, a name or a ``Model``.

    Example:
        >>> Model("fraud-gbm", inputs=("amount_eur", "hour")).version
        'latest'
        >>> Model("fraud-gbm", calibration="fraud-isotonic").calibration.name
        'fraud-isotonic'
    """

    name: str
    inputs: tuple[str, ...]
    version: str
    returns: type[P]
    calibration: Model[Any] | None = field(default=None, metadata=ABSENT)

    @overload
    def __init__(
        self: Model[float],
        name: str,
        *,
        inputs: Sequence[str] = (),
        version: str = "latest",
        calibration: str | Model[Any] | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        name: str,
        *,
        inputs: Sequence[str] = (),
        version: str = "latest",
        returns: type[P],
        calibration: str | Model[Any] | None = None,
    ) -> None: ...

    def __init__(
        self,
        name: str,
        *,
        inputs: Sequence[str] = (),
        version: str = "latest",
        returns: type[Any] = float,
        calibration: str | Model[Any] | None = None,
    ) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "inputs", tuple(inputs))
        object.__setattr__(self, "version", version)
        object.__setattr__(self, "returns", returns)
        object.__setattr__(self, "calibration", Model(calibration) if isinstance(calibration, str) else calibration)

    @property
    def used(self) -> tuple[Model[Any], ...]:
        """The model and, if it has one, its calibrator."""
        return (self,) if self.calibration is None else (self, self.calibration)


class Predictor(Protocol):
    """A loaded model as a skill sees it."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of its input columns."""
        ...

    def predict(self, rows: Any) -> Any:
        """Return ``(n,)`` float64 predictions for ``(n, k)`` float64 rows; NaN means missing."""
        ...


class Models(Protocol):
    """The models that a skill has declared, by name."""

    def __getitem__(self, name: str) -> Predictor:
        """Return the loaded model of that name."""
        ...


@dataclass(frozen=True, init=False)
class Skill(Generic[In, Out]):
    """One step of a pipeline that uses registered models, or whose result may be reused.

    A step that needs neither is written as a plain function ``(features) -> Out`` (first) or
    ``(features, previous) -> Out`` (later).

    Args:
        run: ``(features, models) -> Out`` as the first step, ``(features, previous, models) -> Out`` later.
        models: Names (``"load"``) or versions (``Model("load", version="3")``) of the models it uses.
        inputs: The features it sees; all by default. Needed for ``reuse``.
        reuse: How many results are kept and reused for equal inputs. The step must be a pure function.

    Example:
        >>> def forecast(features: Features, models: Models) -> float:
        ...     return float(models["load"].predict([[features.number("hour")]])[0])
        >>> Skill(forecast, models=("load",), inputs=("hour",), reuse=8).name
        'forecast'
    """

    run: Callable[..., Out]
    models: tuple[Model[Any], ...]
    inputs: tuple[str, ...]
    reuse: int

    @overload
    def __init__(
        self: Skill[None, Out],
        run: Callable[[Features, Models], Out],
        *,
        models: Sequence[str | Model[Any]] = (),
        inputs: Sequence[str] = (),
        reuse: int = 0,
    ) -> None: ...

    @overload
    def __init__(
        self,
        run: Callable[[Features, In, Models], Out],
        *,
        models: Sequence[str | Model[Any]] = (),
        inputs: Sequence[str] = (),
        reuse: int = 0,
    ) -> None: ...

    def __init__(
        self,
        run: Callable[..., Out],
        *,
        models: Sequence[str | Model[Any]] = (),
        inputs: Sequence[str] = (),
        reuse: int = 0,
    ) -> None:
        if reuse and not inputs:
            raise DeclarationError(
                f"skill {getattr(run, '__name__', run)!r} cannot be reused without knowing what it depends on",
                fix="name the features it reads: inputs=('...',)",
                field="predict.inputs",
            )
        object.__setattr__(self, "run", run)
        object.__setattr__(self, "models", tuple(Model(m) if isinstance(m, str) else m for m in models))
        object.__setattr__(self, "inputs", tuple(inputs))
        object.__setattr__(self, "reuse", reuse)

    @property
    def name(self) -> str:
        """The step's name: its function's."""
        return getattr(self.run, "__name__", type(self.run).__name__)


First = Callable[[Features], Out] | Skill[None, Out]
Then = Callable[[Features, In], Out] | Skill[In, Out]


@dataclass(frozen=True, init=False)
class Pipeline(Generic[P]):
    """A chain of skills in the place of a model; each step gets the features and the previous step's result.

    Args:
        *steps: One to five steps, plain functions or :class:`Skill` values, whose types fit each other.
        confidence: Reads the confidence (0..1) out of the last result, if it tells.
        interval: Reads the interval out of the last result, if it tells.

    Example:
        >>> def double(features: Features) -> float:
        ...     return 2 * features.number("load_mw")
        >>> def minus_one(features: Features, doubled: float) -> float:
        ...     return doubled - 1
        >>> [step.name for step in Pipeline(double, minus_one).steps]
        ['double', 'minus_one']
    """

    steps: tuple[Step, ...]
    confidence: Callable[[P], float | None] | None
    interval: Callable[[P], Interval | None] | None

    @overload
    def __init__(
        self,
        first: First[P],
        /,
        *,
        confidence: Callable[[P], float | None] | None = None,
        interval: Callable[[P], Interval | None] | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        first: First[S1],
        second: Then[S1, P],
        /,
        *,
        confidence: Callable[[P], float | None] | None = None,
        interval: Callable[[P], Interval | None] | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        first: First[S1],
        second: Then[S1, S2],
        third: Then[S2, P],
        /,
        *,
        confidence: Callable[[P], float | None] | None = None,
        interval: Callable[[P], Interval | None] | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        first: First[S1],
        second: Then[S1, S2],
        third: Then[S2, S3],
        fourth: Then[S3, P],
        /,
        *,
        confidence: Callable[[P], float | None] | None = None,
        interval: Callable[[P], Interval | None] | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        first: First[S1],
        second: Then[S1, S2],
        third: Then[S2, S3],
        fourth: Then[S3, S4],
        fifth: Then[S4, P],
        /,
        *,
        confidence: Callable[[P], float | None] | None = None,
        interval: Callable[[P], Interval | None] | None = None,
    ) -> None: ...

    def __init__(
        self,
        *steps: Any,
        confidence: Callable[[P], float | None] | None = None,
        interval: Callable[[P], Interval | None] | None = None,
    ) -> None:
        if not steps:
            raise DeclarationError("a pipeline needs at least one step", field="predict")
        object.__setattr__(self, "steps", tuple(Step.of(step, first=i == 0) for i, step in enumerate(steps)))
        object.__setattr__(self, "confidence", confidence)
        object.__setattr__(self, "interval", interval)

    @property
    def name(self) -> str:
        """The names of its steps, joined by arrows."""
        return " > ".join(step.name for step in self.steps)


@dataclass(frozen=True)
class Step:
    """A skill in its place: what the loop calls with ``(features, previous, models)``.

    Example:
        >>> Step.of(len, first=True).call(Features(a=1), None, {})
        1
    """

    skill: Skill[Any, Any]
    call: Callable[[Features, Any, Models], Any] = field(compare=False)

    @property
    def name(self) -> str:
        """The skill's name."""
        return self.skill.name

    @classmethod
    def of(cls, declared: Any, *, first: bool) -> Step:
        """Give a plain function or a skill the one signature that the loop calls."""
        if not isinstance(declared, Skill):
            if not callable(declared):
                raise DeclarationError(f"{declared!r} is not a step", fix="pass a function or a Skill", field="predict")
            plain: Callable[..., Any] = declared
            skill: Skill[Any, Any] = Skill(plain)
            if first:
                return cls(skill, lambda features, _previous, _models: plain(features))
            return cls(skill, lambda features, previous, _models: plain(features, previous))
        run = declared.run
        if first:
            return cls(declared, lambda features, _previous, models: run(features, models))
        return cls(declared, run)
