"""A registry with a folder of trust, and the people whose keys are in it; what the tests of signing share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.models.artefacts import INPUTS, clock, linear_file

from steward.models.registry import FolderRegistry, Registered
from steward.models.signing.keys import Kind, PrivateKey
from steward.models.signing.trust import Trust, trust_key


@cache
def key_of(person: str, kind: Kind = "ed25519") -> PrivateKey:
    """Return a person's key; the same within a run of the tests, since P-256 keys cost time to make."""
    return PrivateKey.of_seed(person.ljust(32).encode()) if kind == "ed25519" else PrivateKey.new(kind)


@dataclass(frozen=True)
class House:
    """A registry below ``root``, which trusts anna (Ed25519) and ben (P-256), and nobody else."""

    root: Path

    @classmethod
    def at(cls, root: Path) -> House:
        house = cls(root)
        trust_key(house.trusted, "anna", key_of("anna").public)
        trust_key(house.trusted, "ben", key_of("ben", "p256").public)
        return house

    @property
    def trusted(self) -> Path:
        return self.root / "trusted"

    @property
    def open(self) -> FolderRegistry:
        """The registry that asks nobody."""
        return FolderRegistry(self.root / "models")

    @property
    def strict(self) -> FolderRegistry:
        """The registry that asks who vouches."""
        return FolderRegistry(self.root / "models", self.trusted)

    @property
    def trust(self) -> Trust:
        return Trust.read(self.trusted)

    def register(
        self, intercept: float = 0.25, *, key: PrivateKey | None = None, name: str = "load", **changes: Any
    ) -> Registered:
        files = {"model.json": linear_file(intercept)}
        facts: dict[str, Any] = {"kind": "linear", "files": files, "inputs": INPUTS, "task": "regression", **changes}
        return self.open.register(name, clock=clock(), key=key, **facts)


def statement(made: Registered, name: str = "signature.json") -> Path:
    """Return the file of a statement beside a version."""
    return made.path.parent / "statements" / name
