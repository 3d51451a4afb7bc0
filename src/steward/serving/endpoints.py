"""Endpoints: the servers that models are answered by, and which model goes where, as a file of the operator's.

A decision declares a model by its name; where it is answered is no matter of code. ``serving.toml``::

    [endpoints.models-eu]
    url = "oip+http://10.0.0.7:8080"
    region = "eu"
    managed = false

    [models.fraud-gbm]
    to = ["models-eu", "in-process"]

What an endpoint does not say of itself is taken for the worst: run by somebody else, anywhere, trusted with nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from steward.decision.checks import nearest
from steward.decision.risk import Risk
from steward.errors import DeclarationError
from steward.serving.inprocess import NAME as IN_PROCESS

_Positive = Annotated[float, Meta(gt=0)]
_Count = Annotated[int, Meta(ge=1)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_NAME = Annotated[str, Meta(pattern=r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$", max_length=64)]


class Price(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an endpoint costs; exact decimals.

    Attributes:
        unit: The currency.
        per_million_in: For a million tokens of a prompt.
        per_million_out: For a million tokens of an answer.
        per_call: For each call, besides.

    Example:
        >>> Price(unit="EUR", per_million_in=Decimal("0.15"), per_million_out=Decimal("0.60")).micro(1_000, 200)
        270
    """

    unit: Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]
    per_million_in: Annotated[Decimal, Meta()] = Decimal(0)
    per_million_out: Annotated[Decimal, Meta()] = Decimal(0)
    per_call: Annotated[Decimal, Meta()] = Decimal(0)

    def __post_init__(self) -> None:
        amounts = (self.per_million_in, self.per_million_out, self.per_call)
        if not all(amount.is_finite() and amount >= 0 for amount in amounts):
            raise ValueError("a price is a number, at least 0, written as text: '0.15'")

    def micro(self, tokens_in: int, tokens_out: int) -> int:
        """Return the price of a call in millionths of the currency, rounded up: a call costs less than a cent."""
        exact = self.per_million_in * tokens_in + self.per_million_out * tokens_out + self.per_call * 1_000_000
        return int(exact.to_integral_value(rounding="ROUND_CEILING"))


class Endpoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server that answers for models.

    Attributes:
        url: Engine and address: ``oip+http://host:port``, ``openai+https://host/v1``.
        region: Where it stands, in the words that placements use.
        managed: Whether somebody else runs it. Said by default, so that only what is known to be ours is taken for it.
        risk: The highest risk of a decision that it may be asked for, if it is managed.
        allow: Private addresses and networks that its name may lead to.
        token_file: A file with the bearer token that it wants; the token itself stands in no setting.
        model: What it calls the model; the registered name by default.
        version: Which version of it is asked for; it chooses by default.
        binary: Whether it takes the binary extension though it does not say so.
        output: Which output holds the answer, if there are several.
        at_once: How many requests it gets at a time.
        waiting: How many may wait for a place.
        failures: After how many failures in a row it is spared.
        spared_s: For how long.
        price: What it costs.

    Example:
        >>> Endpoint(url="oip+http://10.0.0.7:8080").managed
        True
    """

    url: str
    region: str = ""
    managed: bool = True
    risk: Risk = Risk.LOW
    allow: tuple[str, ...] = ()
    token_file: str = ""
    model: str = ""
    version: str = ""
    binary: bool = False
    output: str = ""
    at_once: _Count = 16
    waiting: Annotated[int, Meta(ge=0)] = 1000
    failures: _Count = 5
    spared_s: _Positive = 10.0
    price: Price | None = None

    @property
    def engine(self) -> str:
        """The scheme that names the engine: ``oip``."""
        return self.url.partition("://")[0].rpartition("+")[0]

    @property
    def address(self) -> str:
        """The plain URL: ``http://host:port``."""
        return self.url.partition("+")[2]


class Route(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a model is answered.

    Attributes:
        to: Endpoints in the order of preference; ``in-process`` stands for this process.
        within_ms: How long all of it may take.
        each_ms: How long one endpoint may take before the next is asked; by default as long as is left.
        escalate_below: An answer less sure than this is asked again of the next in the order.
        spill_above: From this share of its places on, the next in the order is asked instead.
        day_budget: How much the decision may spend on it a day (UTC), in the unit of the prices.
        place: Where this process answers it: ``loop``, ``threads``, ``processes``; measured by default.
        workers: How many threads or processes.
        batch_ms: How long a batch of theirs may take.

    Example:
        >>> Route(to=("models-eu", "in-process")).within_ms
        2000.0
    """

    to: Annotated[tuple[str, ...], Meta(min_length=1)] = (IN_PROCESS,)
    within_ms: _Positive = 2000.0
    each_ms: _Positive | None = None
    escalate_below: _Share = 0.0
    spill_above: _Positive | None = None
    day_budget: Decimal | None = None
    place: Literal["auto", "loop", "threads", "processes"] = "auto"
    workers: _Count = 2
    batch_ms: _Positive = 20.0


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file.

    Example:
        >>> Table.of({"models": {"fraud-gbm": {"to": ["models-eu"]}}})
        Traceback (most recent call last):
        ...
        steward.errors.DeclarationError: model 'fraud-gbm' is served by 'models-eu', which is no endpoint. Next: ...
    """

    endpoints: Mapping[_NAME, Endpoint] = {}
    models: Mapping[str, Route] = {}

    @classmethod
    def of(cls, plain: object) -> Table:
        """Read the file's content strictly.

        Raises:
            DeclarationError: A name is not known, or a value does not fit.
        """
        try:
            table = msgspec.convert(plain, cls)
        except (msgspec.ValidationError, ValueError) as error:
            raise DeclarationError(
                "the file of endpoints does not fit", why=str(error), fix="see docs/serving.md", field="serving"
            ) from error
        known = {*table.endpoints, IN_PROCESS}
        for model, served in table.models.items():
            for name in served.to:
                if name not in known:
                    raise DeclarationError(
                        f"model {model!r} is served by {name!r}, which is no endpoint",
                        fix=nearest(name, known),
                        field="serving",
                    )
        units = {endpoint.price.unit for endpoint in table.endpoints.values() if endpoint.price is not None}
        if len(units) > 1:
            raise DeclarationError(f"prices are given in {', '.join(sorted(units))}", fix="use one", field="serving")
        return table

    @classmethod
    def read(cls, path: Path) -> Table:
        """Read the file; errors as for :meth:`of`."""
        try:
            return cls.of(tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise DeclarationError(
                f"the file of endpoints {path} cannot be read", why=str(error), fix="see docs/serving.md"
            ) from error


NO_ENDPOINTS: Final = Table()
"""The table of an installation that serves everything by itself."""
