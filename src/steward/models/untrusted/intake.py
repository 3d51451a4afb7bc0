"""Takes models in from outside: spooled to disk up to a quota, checked in a limited process, then copied in pieces.

Whatever comes, in whatever form, is first made or taken as an archive (:mod:`steward.models.untrusted.archive`). A
process that can do little reads it whole, proves every digest, tells each file's format by its bytes and has the engine
of its kind load it. Only what passed is copied into the registry, digests being proven again from the bytes that are
copied. A file is never whole in this process's memory, and what is refused leaves nothing behind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import IO, Final, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from steward.clock import Clock
from steward.errors import ContractError, EngineError, IntegrityError
from steward.models.artefact import STATEMENTS as STATED
from steward.models.checked import Checked
from steward.models.folders import (
    MAX_MANIFEST_BYTES,
    MAX_STATEMENT_BYTES,
    Pieces,
    open_file,
    proven,
    read_statements,
)
from steward.models.manifest import MANIFEST, FileFacts, Manifest, Trained, declared, decode, digest_of, encode
from steward.models.registry import FolderRegistry, Registered
from steward.models.sandbox.limited import Limits, run
from steward.models.signing.keys import PrivateKey
from steward.models.untrusted import archive
from steward.models.untrusted.archive import CHUNK_BYTES, FILES, STATEMENTS, Entry, Part
from steward.models.untrusted.spool import check_quota, limits_for, spool
from steward.wire import check_bounds, check_keys

CHECK: Final = "steward.models.untrusted.intake_process:check_archive"
PROVE: Final = "steward.models.untrusted.intake_process:prove_archive"
TELL: Final = "steward.models.untrusted.intake_process:tell"
ELSEWHERE: Final = frozenset({"skops", "safetensors", "function"})
"""Kinds that an engine cannot load in a limited process: it needs a process of its own, or code of this one."""

MAX_ELSEWHERE_BYTES: Final = 64 << 20
"""How much of such a model is taken into this process's memory to try it."""


class Contents(NamedTuple):
    """What an archive holds, its names compared with its manifest.

    Attributes:
        manifest: The manifest.
        content: Its bytes.
        files: Each file.
        statements: Each statement.

    Example:
        >>> Contents._fields
        ('manifest', 'content', 'files', 'statements')
    """

    manifest: Manifest
    content: bytes
    files: Mapping[str, Part]
    statements: Mapping[str, Part]


def contents(given: IO[bytes]) -> Contents:
    """Return what an archive holds; reads its manifest only, and proves no digest yet.

    Raises:
        ContractError: It is no archive of a model (``code`` is ``model-archive``).
        IntegrityError: Its manifest cannot be read, or its files are not those of the manifest.
    """
    first, *others = archive.read(given)
    _check_length(first, MAX_MANIFEST_BYTES)
    content = Part(given, first.at, first.size_bytes).read()
    _check_keys(content)
    manifest = decode(content)
    files = {each.name.removeprefix(FILES): each for each in others if each.name.startswith(FILES)}
    statements = {each.name.removeprefix(STATEMENTS): each for each in others if each.name.startswith(STATEMENTS)}
    if files.keys() != manifest.files.keys():
        other = ", ".join(sorted(files.keys() ^ manifest.files.keys()))
        raise _broken(f"{other} is in the archive or in its {MANIFEST}, and not in both")
    for name, facts in manifest.files.items():
        if files[name].size_bytes != facts.size_bytes:
            raise _broken(f"{name} has {files[name].size_bytes} bytes, and {MANIFEST} says {facts.size_bytes}")
    for statement in statements.values():
        _check_length(statement, MAX_STATEMENT_BYTES)
    if unknown := statements.keys() - set(STATED):
        raise _broken(f"{', '.join(sorted(unknown))} is no statement")
    return Contents(manifest, content, _parts(given, files), _parts(given, statements))


def _check_keys(content: bytes) -> None:
    """Refuse a manifest that another program may read differently: not JSON, nested deeply, or a key twice."""
    try:
        check_bounds(content, max_bytes=MAX_MANIFEST_BYTES)
        check_keys(content)
    except (ContractError, ValueError) as error:
        raise _broken(f"its {MANIFEST} cannot be read: {error}") from error


def _parts(given: IO[bytes], entries: Mapping[str, Entry]) -> Mapping[str, Part]:
    return {name: Part(given, entry.at, entry.size_bytes) for name, entry in entries.items()}


def _check_length(entry: Entry, most_bytes: int) -> None:
    if entry.size_bytes > most_bytes:
        raise _broken(f"{entry.name} is larger than {most_bytes} bytes")


def take_in(
    registry: FolderRegistry, given: IO[bytes], *, clock: Clock, name: str = "", limits: Limits | None = None
) -> Registered:
    """Import an archive: the version it was exported as, under the same digest, with its statements.

    A version that is there already stays as it is, and gets the statements of the archive.

    Args:
        registry: Where it is put.
        given: The archive, a file with a descriptor.
        clock: Gives the draft its name.
        name: The model that it must be of; any by default.
        limits: What reading it may use.

    Raises:
        ContractError: It is no archive of a model or of another one, not safe to read, or in no allowed format.
        IntegrityError: What it holds is not what was exported.
        Conflict: Another model has this version here.
        EngineError: The model's engine is not installed, or the disk failed.
    """
    run(CHECK, given, limits=limits or limits_for(given.seek(0, os.SEEK_END)))
    found = contents(given)
    if name not in ("", found.manifest.name):
        fix = f"take it in under its own name, {found.manifest.name!r}: its digest covers it"
        raise ContractError(f"the archive is not one of {name!r}", fix=fix, code="model-archive", field="name")
    statements = {name: part.read() for name, part in found.statements.items()}
    known = registry.adopt(found.content, found.files, statements, clock=clock)
    there = read_statements(known.path.parent)
    for kind, statement in statements.items():
        if there.get(kind) != statement:
            registry.attach(known, kind, statement, clock=clock)
    return known


def draft(
    name: str,
    *,
    kind: str,
    task: str,
    inputs: Sequence[str],
    outputs: Sequence[str] = (),
    metrics: Mapping[str, float] | None = None,
    trained: Trained | None = None,
) -> Manifest:
    """Return what is known of a model before it is registered: its manifest without version, files and time.

    Args:
        name: As :meth:`steward.models.registry.FolderRegistry.register`, as is all else.
        kind: The engine.
        task: What it answers.
        inputs: Names of the input columns, in order.
        outputs: The labels of a ``multiclass`` model.
        metrics: Finite figures of its training, by name.
        trained: What it was trained on.

    Raises:
        DeclarationError: An argument is not valid.

    Example:
        >>> draft("load", kind="linear", task="regression", inputs=["hour"]).inputs
        ('hour',)
    """
    known = {"trained": trained} if trained is not None else {}
    return declared(
        name,
        version=1,
        kind=kind,
        task=task,
        inputs=inputs,
        outputs=outputs,
        metrics=metrics or {},
        files={"file": FileFacts.of(b"")},
        created_at=datetime(1970, 1, 1, tzinfo=UTC),
        **known,
    )


class Told(Struct, frozen=True):
    """What a file is.

    Attributes:
        kind: The kind of model; ``""`` for a file that goes with one.
        name: What the engines call it.
        inputs: The input columns, in order, where the file names them.

    Example:
        >>> Told("lightgbm", "model.txt").kind
        'lightgbm'
    """

    kind: str
    name: str
    inputs: tuple[str, ...] = ()


def told(name: str, file: IO[bytes], *, limits: Limits | None = None) -> Told:
    """Tell what a file is by its bytes, which a limited process reads.

    Args:
        name: The file's name.
        file: The file, with a descriptor.
        limits: What reading it may use.

    Raises:
        ContractError: It is in no format that models may be in (``code`` is ``model-format``), or not safe to read.
    """
    allowed = limits or limits_for(file.seek(0, os.SEEK_END))
    return msgspec.msgpack.decode(run(TELL, file, name, limits=allowed), type=Told)


def register(
    registry: FolderRegistry,
    known: Manifest,
    files: Mapping[str, IO[bytes]],
    *,
    clock: Clock,
    key: PrivateKey | None = None,
    limits: Limits | None = None,
) -> Registered:
    """Register files as the next version of a model, after a limited process has read and tried them.

    Args:
        registry: Where they are put.
        known: What is known of the model, as of :func:`draft`.
        files: Each file, with a descriptor.
        clock: Tells when it was registered.
        key: Signs the version.
        limits: What reading them may use.

    Raises:
        ContractError: They are not safe to read, or in no allowed format.
        IntegrityError: They are not a model of that kind.
        EngineError: The model's engine is not installed, does not answer as the original does, or the disk failed.
    """
    parts = {name: Part(file, 0, file.seek(0, os.SEEK_END)) for name, file in sorted(files.items())}
    facts = {name: _facts(name, part) for name, part in parts.items()}
    first = replace(known, version=1, files=facts, created_at=clock.now())
    entries: Sequence[tuple[str, Pieces]] = [(FILES + name, part) for name, part in parts.items()]
    with spool(registry.root, quota_bytes=archive.MAX_ARCHIVE_BYTES) as packed:
        _write(packed.file, [(MANIFEST, encode(first)), *entries])
        allowed = limits or limits_for(packed.file.tell())
        found = msgspec.msgpack.decode(run(PROVE, packed.file, limits=allowed), type=Checked | None)
        copied = contents(packed.file).files
        if first.kind in ELSEWHERE:
            first = _proven_here(first, copied, clock)
        return registry.take(first if found is None else replace(first, checked=found), copied, clock=clock, key=key)


def _proven_here(first: Manifest, files: Mapping[str, Part], clock: Clock) -> Manifest:
    from steward.models.compilation.compiling import checked  # noqa: PLC0415 - only these kinds need it in this process

    check_quota(sum(part.size_bytes for part in files.values()), MAX_ELSEWHERE_BYTES)
    return checked(first, {name: part.read() for name, part in files.items()}, clock=clock)


def take_out(found: Registered, target: IO[bytes]) -> None:
    """Export a version as an archive; the same version gives the same bytes, each time and anywhere.

    Args:
        found: The version; its files are proven while they are copied.
        target: An empty file that can be searched.

    Raises:
        IntegrityError: What is stored is not what was registered.
        EngineError: It cannot be read or written.
    """
    manifest = found.manifest
    entries: list[tuple[str, Pieces]] = [(MANIFEST, _manifest(found))]
    files = proven(manifest, {name: _stored(found.path / name) for name in manifest.files})
    statements = read_statements(found.path.parent)
    entries += [(FILES + name, files[name]) for name in sorted(files)]
    entries += [(STATEMENTS + name, statements[name]) for name in sorted(statements)]
    _write(target, entries)


def _manifest(found: Registered) -> bytes:
    """Return the very bytes that the digest is of."""
    with open_file(found.path / MANIFEST) as file:
        content = file.read(MAX_MANIFEST_BYTES)
    if digest_of(content) != found.digest:
        raise _broken(f"{MANIFEST} was changed in {found.path}")
    return content


def _stored(path: Path) -> Iterator[bytes]:
    with open_file(path) as file:
        while piece := file.read(CHUNK_BYTES):
            yield piece


def _write(target: IO[bytes], entries: Sequence[tuple[str, Pieces]]) -> None:
    try:
        archive.write(target, entries)
        target.flush()
    except OSError as error:
        raise EngineError("an archive cannot be written", retryable=True, why=str(error)) from error


def _facts(name: str, part: Part) -> FileFacts:
    digest = sha256()
    for piece in part:
        digest.update(piece)
    return replace(FileFacts.of(b"", name), sha256=digest.hexdigest(), size_bytes=part.size_bytes)


def _broken(why: str) -> IntegrityError:
    return IntegrityError("the archive is not what was exported", why=why, fix="export it again, and copy it as binary")
