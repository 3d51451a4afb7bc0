"""The registry of models as folders: ``<root>/<name>/<version>/sha256-<digest>/``.

A version is written once and never changed. Its number is given by the rename that puts its folder in place,
so that two writers never share one. Listing reads no model and needs no engine.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec.structs import replace

from steward.clock import Clock
from steward.decision.checks import nearest
from steward.decision.model import Model
from steward.errors import Conflict, DeclarationError, NotFound
from steward.models.artefact import SIGNATURE, STATEMENTS, Artefact, Registered
from steward.models.checked import Checked
from steward.models.folders import (
    MAX_FILE_BYTES,
    Pieces,
    proven,
    read_files,
    read_manifest,
    read_statements,
    replace_statement,
    write,
)
from steward.models.loading import check_fit, engine
from steward.models.manifest import FileFacts, Manifest, Task, Trained, check_name, declared, decode, digest_of, encode
from steward.models.port import LoadedModel
from steward.models.signing.keys import PrivateKey
from steward.models.signing.statements import sign_version, signer_of
from steward.models.signing.trust import Trust, TrustedKey

__all__ = ["FolderRegistry", "Registered", "Registry"]


class Registry(Protocol):
    """Where declared models are found."""

    def load(self, model: Model[Any] | str, version: str = "latest") -> LoadedModel:
        """Return the model, verified and ready to answer.

        Args:
            model: A declaration, or a registered name.
            version: With a name: a version number, a ``sha256:`` digest, or ``latest``.

        Raises:
            NotFound: There is no such model or version.
            IntegrityError: What is stored is not what was registered.
            DeclarationError: The declared inputs cannot stand for the model's.
            EngineError: The model's engine is not installed or failed.
        """
        ...

    def fetch(self, name: str, version: str = "latest") -> Artefact:
        """Return what is registered, verified, with its bytes; a policy, say, which no engine loads.

        Args:
            name: A registered name.
            version: A version number, a ``sha256:`` digest, or ``latest``.

        Raises:
            NotFound: There is no such name or version, or it is not made of files.
            IntegrityError: What is stored is not what was registered.
        """
        ...


class FolderRegistry:
    """Models in folders below ``root``.

    Args:
        root: The folder; made by the first registration.
        trust: The folder of trusted public keys. With it nothing is handed out that a trusted key has not signed;
            without it, who made a model is not asked.

    Example:
        >>> import tempfile
        >>> from datetime import UTC, datetime
        >>> from steward.clock import VirtualClock
        >>> from steward.models.engines.linear import LinearFile, Term
        >>> file = LinearFile(intercept=1.0, terms=(Term("hour", coefficient=2.0, mean=11.5, missing=12.0),))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     models = FolderRegistry(Path(folder))
        ...     made = models.register("load", kind="linear", files={"model.json": file.to_bytes()}, inputs=("hour",),
        ...                            task="regression", clock=VirtualClock(datetime(2026, 1, 1, tzinfo=UTC)))
        ...     models.names(), made.version, models.load("load").predict_one([3.0])
        (('load',), '1', 7.0)
    """

    def __init__(self, root: Path, trust: Path | None = None) -> None:
        self._root = Path(root)
        self._trust = trust

    @property
    def root(self) -> Path:
        """The folder."""
        return self._root

    def register(
        self,
        name: str,
        *,
        kind: str,
        files: Mapping[str, bytes],
        inputs: Sequence[str],
        task: Task,
        clock: Clock,
        metrics: Mapping[str, float] | None = None,
        trained: Trained | None = None,
        outputs: Sequence[str] = (),
        checked: Checked | None = None,
        check: Callable[[Manifest, str, Mapping[str, bytes]], object] | None = None,
        key: PrivateKey | None = None,
    ) -> Registered:
        """Store a model for good, after loading it once to see that it answers.

        The same content registered again is the version that it already has; no second one is made.

        Args:
            name: Lower-case letters and digits, joined by one of ``. _ -``.
            kind: The engine; see :data:`~steward.models.loading.ENGINES`.
            files: Each file's name and bytes.
            inputs: Names of the input columns, in the order the model was trained on.
            task: ``regression``, ``binary`` if it answers with a probability, or another; see :class:`Manifest`.
            clock: Tells when it was registered.
            metrics: Finite figures of its training, by name.
            trained: What it was trained on.
            outputs: The labels of a ``multiclass`` model.
            checked: What a check of its exactness and speed has found.
            check: Proves the files, for what no engine loads (a policy), or compares them with an original; by default
                :func:`steward.models.compilation.compiling.prove`. What it finds is written into the manifest.
            key: Signs the version, which is never there without its signature then.

        Raises:
            DeclarationError: An argument is not valid.
            NotFound: There is no engine of that kind.
            IntegrityError: The files are no such model.
            EngineError: The engine is not installed, or the disk failed.
        """
        _refuse_large(files)
        first = declared(
            name,
            version=1,
            kind=kind,
            task=task,
            inputs=tuple(inputs),
            files={file: FileFacts.of(content, file) for file, content in sorted(files.items())},
            created_at=clock.now(),
            metrics=dict(metrics or {}),
            trained=trained,
            outputs=tuple(outputs),
            checked=checked,
        )
        if not self._knows(first):
            from steward.models.compilation import compiling  # noqa: PLC0415 - what only lists needs no numpy

            first = compiling.checked(first, files, clock=clock, check=check)
        return self.take(first, files, clock=clock, key=key)

    def _knows(self, first: Manifest) -> bool:
        return any(self.show(first.name, each).manifest.same_content(first) for each in self._versions(first.name))

    def take(
        self, first: Manifest, files: Mapping[str, Pieces], *, clock: Clock, key: PrivateKey | None = None
    ) -> Registered:
        """Store what was checked elsewhere under the version that it has already, or the next free one.

        Args:
            first: Its manifest as that of version 1.
            files: Each file's bytes; pieces of a file may be asked for again.
            clock: Gives the draft its name.
            key: Signs the version, which is never there without its signature then.

        Raises:
            IntegrityError: The files are not those of the manifest.
            EngineError: The disk is full, not writable, or failed.
        """
        name = first.name
        while True:
            known = [self.show(name, version) for version in self._versions(name)]
            for version in reversed(known):
                if version.manifest.same_content(first):
                    return version if key is None else self.sign(name, version.version, key=key, clock=clock)
            number = 1 + max((int(version.version) for version in known), default=0)
            place = self._root / name / str(number)
            draft = self._root / name / f".draft-{clock.new_id()}"
            numbered = replace(first, version=number)
            content = encode(numbered)
            signature = {} if key is None else {SIGNATURE: sign_version(numbered, digest_of(content), key)}
            if write(place, draft, content, proven(first, files), signature):
                return self.show(name, str(number))

    def adopt(
        self,
        content: bytes,
        files: Mapping[str, Pieces],
        statements: Mapping[str, bytes] | None = None,
        *,
        clock: Clock,
    ) -> Registered:
        """Store a version just as it was registered elsewhere: its name, number and digest stay the same.

        It is not loaded. With a trust, its signature is verified before anything is written.

        Args:
            content: The bytes of its manifest.
            files: Each file's bytes, whole or in pieces; they are hashed while they are written.
            statements: What was stated about it, by the statements' files.
            clock: Gives the draft its name.

        Raises:
            Conflict: Another model has this version here.
            IntegrityError: The files are not the manifest's, nobody trusted has signed it, or what is there already
                is not what was registered.
            EngineError: The disk is full, not writable, or failed.
        """
        manifest, digest, beside = decode(content), digest_of(content), dict(statements or {})
        name, number = manifest.name, str(manifest.version)
        place = self._root / name / number
        self._signer(
            Artefact(
                name=name, version=number, digest=digest, path=place, manifest=manifest, files={}, statements=beside
            )
        )
        if number not in self._versions(name):
            draft = self._root / name / f".draft-{clock.new_id()}"
            write(place, draft, content, proven(manifest, files), beside)
        known = self.show(name, number)
        if known.digest != digest:
            raise Conflict(
                f"version {number} of {name!r} is another model here",
                why=f"it is {known.digest}, and {digest} was to be stored",
                fix="register the files here instead; they get the next version",
                field="version",
            )
        return known

    def sign(self, name: str, version: str = "latest", *, key: PrivateKey, clock: Clock) -> Registered:
        """Sign a version, after comparing each of its bytes with its digest; a former signature is replaced.

        Args:
            name: A registered name.
            version: A version number, a ``sha256:`` digest, or ``latest``.
            key: Who vouches for it.
            clock: Names the draft.

        Raises:
            NotFound: There is no such model or version.
            IntegrityError: What is stored is not what was registered.
            EngineError: The disk failed.
        """
        found = self.read(name, version)
        return self.attach(found, SIGNATURE, sign_version(found.manifest, found.digest, key), clock=clock)

    def attach(self, to: Artefact | Registered, statement: str, content: bytes, *, clock: Clock) -> Registered:
        """Put a statement beside a version, in the place of the former one; whoever reads it verifies it.

        Args:
            to: The version.
            statement: One of ``signature.json``, ``provenance.json``, ``card.json``.
            content: Its bytes.
            clock: Names the draft.

        Raises:
            DeclarationError: There is no such statement.
            EngineError: The disk failed.
        """
        if statement not in STATEMENTS:
            raise DeclarationError(f"{statement!r} is no statement", fix=f"use one of {', '.join(STATEMENTS)}")
        fresh = self._root / to.name / f".draft-{clock.new_id()}"
        replace_statement(self._root / to.name / to.version, fresh, statement, content)
        return self.show(to.name, to.version)

    def names(self) -> tuple[str, ...]:
        """Return the names of all models, sorted."""
        if not self._root.is_dir():
            return ()
        return tuple(sorted(path.name for path in self._root.iterdir() if self._versions(path.name)))

    def versions(self, name: str) -> tuple[str, ...]:
        """Return the versions of a model, oldest first.

        Raises:
            NotFound: There is no model of that name.
        """
        if found := self._versions(name):
            return found
        fix = nearest(name, self.names()) if self.names() else "register it first"
        raise NotFound(f"no model is named {name!r} in {self._root}", fix=fix, field="model")

    def show(self, name: str, version: str = "latest") -> Registered:
        """Return what is known of a version, its manifest verified; reads no model file.

        Args:
            name: A registered name.
            version: A version number, a ``sha256:`` digest, or ``latest``.

        Raises:
            NotFound: There is no such model or version.
            IntegrityError: The manifest is not what was registered.
        """
        known = self.versions(name)
        number = known[-1] if version == "latest" else version
        if version.startswith("sha256:"):
            folder_name = version.replace(":", "-")
            held = (each for each in known if folder_name in _entries(self._root / name / each))
            number = next(held, version)
        if number not in known:
            raise NotFound(f"model {name!r} has no version {version!r}", fix=_choose(known), field="model")
        manifest, digest, folder = read_manifest(self._root / name / number)
        return Registered(name, number, digest, folder, manifest)

    def load(self, model: Model[Any] | str, version: str = "latest") -> LoadedModel:
        """Return the model, verified from the very bytes it is made of; see :class:`Registry`."""
        wanted = Model(model, version=version) if isinstance(model, str) else model
        found = self.fetch(wanted.name, wanted.version)
        return check_fit(wanted, engine(found.manifest.kind)(found.manifest, found.digest, found.files))

    def fetch(self, name: str, version: str = "latest") -> Artefact:
        """Return what is registered with its bytes, which are the very ones that were verified.

        Raises:
            NotFound: There is no such name or version.
            IntegrityError: What is stored is not what was registered.
            Distrusted: There is a trust, and nobody in it vouches for these bytes.
        """
        found = self.read(name, version)
        signer = self._signer(found)
        return found if signer is None else dataclasses.replace(found, signed_by=signer.key.id)

    def read(self, name: str, version: str = "latest") -> Artefact:
        """Return the same without asking who vouches for it: to sign it, to show it, to carry it elsewhere.

        Raises:
            NotFound: There is no such name or version.
            IntegrityError: What is stored is not what was registered.
        """
        shown = self.show(name, version)
        return Artefact(
            name=shown.name,
            version=shown.version,
            digest=shown.digest,
            path=shown.path,
            manifest=shown.manifest,
            files=read_files(shown.path, shown.manifest),
            statements=read_statements(shown.path.parent),
        )

    def _signer(self, found: Artefact) -> TrustedKey | None:
        return None if self._trust is None else signer_of(found, Trust.read(self._trust))

    def _versions(self, name: str) -> tuple[str, ...]:
        # A link or a file with a version's name counts too: to skip it would answer with an older version, unseen.
        try:
            check_name(name)
            found = [path.name for path in (self._root / name).iterdir()]
        except (ValueError, FileNotFoundError, NotADirectoryError):
            return ()
        numbers = (each for each in found if each.isascii() and each.isdigit() and not each.startswith("0"))
        return tuple(sorted(numbers, key=int))


def _refuse_large(files: Mapping[str, bytes]) -> None:
    for file, content in files.items():
        if len(content) > MAX_FILE_BYTES:
            raise DeclarationError(f"{file} is larger than {MAX_FILE_BYTES} bytes", field="files")


def _entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _choose(versions: Sequence[str]) -> str:
    return f"choose one of the versions {', '.join(versions[-10:])}, or 'latest'"
