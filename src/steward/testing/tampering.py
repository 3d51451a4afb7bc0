"""Two hundred ways to tamper with a registered model, each tried on a copy of the same small registry.

Who can write to the registry's folder, but has no trusted key, must not get a model to answer that was not signed. So
each of these changes has to end in an error::

    from steward.testing.tampering_cases import cases

    assert all(error is not None for error in refusals(Path("scratch"), cases()).values())
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from steward.clock import Clock, VirtualClock
from steward.errors import StewardError
from steward.models.artefact import CARD, PROVENANCE, SIGNATURE
from steward.models.engines.linear import FILE, LinearFile, Term
from steward.models.manifest import MANIFEST
from steward.models.registry import FolderRegistry, Registered
from steward.models.signing.card import Card, read_card, sign_card
from steward.models.signing.keys import PrivateKey
from steward.models.signing.provenance import Provenance, read_provenance, sign_provenance
from steward.models.signing.trust import Trust, revoke, trust_key

MODEL, OTHER, LAST = "load", "price", 3
NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
ANNA, BEN, MALLORY = (PrivateKey.of_seed(bytes([each]) * 32) for each in (1, 2, 3))
STATED: Final = (SIGNATURE, PROVENANCE, CARD)


@dataclass(frozen=True)
class Ground:
    """A registry to tamper with: version 3 of ``load`` is what is asked for; all is signed by ``anna``.

    Example:
        >>> Ground(Path("scratch")).file.parts[:4]
        ('scratch', 'models', 'load', '3')
    """

    folder: Path

    @property
    def root(self) -> Path:
        """The registry's folder."""
        return self.folder / "models"

    @property
    def trust(self) -> Path:
        """The folder of trusted keys: anna's, and ben's, which is revoked."""
        return self.folder / "trust"

    def place(self, name: str = MODEL, version: int = LAST) -> Path:
        """Return the folder of a version."""
        return self.root / name / str(version)

    def inner(self, name: str = MODEL, version: int = LAST) -> Path:
        """Return the folder of a version's files, named by its digest."""
        return next(iter(self.place(name, version).glob("sha256-*")), self.place(name, version) / "sha256-")

    @property
    def file(self) -> Path:
        """The model's file."""
        return self.inner() / FILE

    @property
    def manifest(self) -> Path:
        """The manifest."""
        return self.inner() / MANIFEST

    def statement(self, statement: str, name: str = MODEL, version: int = LAST) -> Path:
        """Return a statement beside a version."""
        return self.place(name, version) / "statements" / statement

    def part(self, part: str) -> Path:
        """Return any file of the version by its name."""
        return self.statement(part) if part in STATED else self.inner() / part


class Tampering(NamedTuple):
    """One way to tamper.

    Attributes:
        name: What is done, unlike any other.
        change: Does it.

    Example:
        >>> Tampering("all removed", lambda ground: shutil.rmtree(ground.root)).name
        'all removed'
    """

    name: str
    change: Callable[[Ground], object]


def prepare(folder: Path) -> Ground:
    """Make the registry: three versions of one model and one of another, with statements, and the trusted keys."""
    ground, clock = Ground(folder), VirtualClock(NOW, seed=5)
    ground.trust.mkdir(parents=True)
    trust_key(ground.trust, "anna", ANNA.public)
    trust_key(ground.trust, "ben", BEN.public)
    revoke(ground.trust, BEN.id, reason="the laptop was stolen", at=NOW)
    registry = FolderRegistry(ground.root)
    for name, intercepts in ((MODEL, (1.0, 2.0, 3.0)), (OTHER, (4.0,))):
        for intercept in intercepts:
            term = Term("hour", coefficient=2.0, mean=11.5, missing=12.0)
            files = {FILE: LinearFile(intercept=intercept, terms=(term,)).to_bytes()}
            made = registry.register(
                name, kind="linear", files=files, inputs=("hour",), task="regression", clock=clock, key=ANNA
            )
            _state(registry, made, clock)
    return ground


def _state(registry: FolderRegistry, made: Registered, clock: Clock) -> None:
    of = (made.name, made.version, made.digest)
    card = Card(purpose=f"To be tampered with, {made.version}.", author="anna")
    provenance = Provenance(builder="nightly", finished_at=NOW, parameters={"version": made.version})
    registry.attach(made, CARD, sign_card(card, *of, ANNA), clock=clock)
    registry.attach(made, PROVENANCE, sign_provenance(provenance, *of, ANNA), clock=clock)


def answer(ground: Ground, version: str = str(LAST)) -> float:
    """Do what a decision does with its model, and read all that is stated about it: return what the model answers.

    Raises:
        StewardError: Something of it is not what was registered and signed.
    """
    registry = FolderRegistry(ground.root, ground.trust)
    found, trust = registry.fetch(MODEL, version), Trust.read(ground.trust)
    read_card(found, trust)
    read_provenance(found, trust)
    return registry.load(MODEL, version).predict_one([0.0])


def refusals(folder: Path, tried: Sequence[Tampering]) -> Mapping[str, StewardError | None]:
    """Try each way to tamper on a fresh copy; return the error that each ended in, ``None`` where the model answered.

    Args:
        folder: Where to work; emptied of the copies again.
        tried: Which ways, as :func:`steward.testing.tampering_cases.cases`.

    Raises:
        StewardError: Even the untouched copy is refused, so that nothing would be proven.
    """
    template = prepare(folder / "template")
    answer(template)
    found: dict[str, StewardError | None] = {}
    for number, case in enumerate(tried):
        ground = Ground(folder / f"case-{number}")
        shutil.copytree(template.folder, ground.folder)
        case.change(ground)
        try:
            answer(ground)
        except StewardError as error:
            found[case.name] = error
        else:
            found[case.name] = None
        shutil.rmtree(ground.folder)
    shutil.rmtree(template.folder)
    return found
