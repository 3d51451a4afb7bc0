"""A policy as data, declared: a registered name, or a file of the project, and the type of its choices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, TypeVar

from steward.decision.choice import Choice
from steward.decision.feature import Features
from steward.decision.fingerprint import source_hash
from steward.errors import DeclarationError
from steward.records import Prediction

C = TypeVar("C")
Decide = Callable[[Features, Prediction[Any]], Choice[Any]]
NEEDED: Final = "policy-unbound"
"""The code of the error for rules that were asked before a registry gave them their rows."""


@dataclass(frozen=True)
class Rules(Generic[C]):
    """A policy as data: it stands where a plain function may stand, and is changed without touching code.

    Args:
        name: The registered name.
        choices: The type of the choice; what a row writes is decoded to it strictly.
        version: A version number, a ``sha256:`` digest, or ``latest``.

    Example:
        >>> refunds = Rules("refund-rules", choices=str)
        >>> refunds.version
        'latest'
        >>> refunds(Features(), Prediction(value=0.1))
        Traceback (most recent call last):
        ...
        steward.errors.DeclarationError: the policy 'refund-rules' has no rows yet. Next: ...
    """

    name: str
    choices: type[C] = field(kw_only=True)
    version: str = field(default="latest", kw_only=True)
    content_hash: str = field(default="", kw_only=True)
    content: bytes = field(default=b"", kw_only=True, compare=False, repr=False)
    digest: str = field(default="", kw_only=True, compare=False)
    decide: Decide | None = field(default=None, kw_only=True, compare=False, repr=False)
    code_version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Answer, for those who ask, as a function that is declared to return ``Choice[choices]``."""
        if not self.name or not isinstance(self.name, str):
            raise DeclarationError("rules have a name", fix='Rules("refund-rules", choices=...)', field="policy")
        object.__setattr__(self, "__annotations__", {"return": Choice[self.choices]})  # type: ignore[name-defined]  # a type at run time

    @classmethod
    def of(cls, path: str | Path, *, choices: type[C]) -> Rules[C]:
        """Return rules whose rows are in a file of the project; the file is part of the declaration.

        Raises:
            DeclarationError: The file cannot be read.
        """
        file = Path(path)
        try:
            content = file.read_bytes()
        except OSError as error:
            raise DeclarationError(f"the policy {path} cannot be read", why=str(error), field="policy") from error
        hashed = "sha256:" + sha256(content).hexdigest()
        return cls(file.stem, choices=choices, content_hash=hashed, content=content)

    def bound(self, decide: Decide, digest: str) -> Rules[C]:
        """Return the same rules with their rows: what decides, and the digest that records will name."""
        return replace(self, decide=decide, digest=digest)

    def __call__(self, features: Features, prediction: Prediction[Any]) -> Choice[C]:
        """Decide by the rows; raises ``DeclarationError`` where they are not there yet."""
        if self.decide is None:
            raise DeclarationError(
                f"the policy {self.name!r} has no rows yet",
                fix="let the runtime prepare the decision, or bind(decision, registry)",
                code=NEEDED,
                field="policy",
            )
        return self.decide(features, prediction)


def policy_hash(policy: Callable[..., Any]) -> str:
    """Return what records call a policy's hash: of data the digest of the artefact, of a function that of its source.

    Example:
        >>> policy_hash(Rules("refund-rules", choices=str, digest="sha256:ab"))
        'sha256:ab'
    """
    return policy.digest if isinstance(policy, Rules) and policy.digest else source_hash(policy)
