"""What a limited process does with a model from outside: all that it takes to believe that it is one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from typing import IO, Any, Final, cast
from zlib import crc32

import msgspec
from msgspec import Struct

from steward.clock import SystemClock
from steward.errors import EngineError, IntegrityError
from steward.models.code_reference import CodeReference
from steward.models.engines.linear import LinearFile
from steward.models.folders import proven
from steward.models.formats import zips
from steward.models.formats.sniffing import Format, check_kind, sniff, stored_name
from steward.models.formats.ubjson import decode
from steward.models.loading import ENGINES, engine
from steward.models.manifest import Manifest, digest_of
from steward.models.untrusted import archive
from steward.models.untrusted.intake import ELSEWHERE, Told, contents

MAX_UNPACKED_BYTES: Final = 1 << 30


def check_archive(given: IO[bytes]) -> bytes:
    """Read an archive whole: its check sums and digests, the format of each file, and the model by its engine.

    Raises:
        ContractError: It is no archive of a model, or a file is in no allowed format.
        IntegrityError: A check sum or digest does not hold, or the files are not a model of their kind.
        EngineError: The engine is not installed, or does not support the model.
    """
    manifest, digest, files = _read(given)
    _tried(manifest, digest, files)
    return b""


def prove_archive(given: IO[bytes]) -> bytes:
    """Do the same, and compare the model with its original: what was found, encoded; ``nil`` where nothing was.

    Raises:
        ContractError: As :func:`check_archive`.
        IntegrityError: As :func:`check_archive`.
        EngineError: As :func:`check_archive`, or the model does not answer as its original does.
    """
    from steward.models.compilation.compiling import prove  # noqa: PLC0415 - only registration needs it

    manifest, digest, files = _read(given)
    if manifest.kind in ENGINES and manifest.kind not in ELSEWHERE:
        return msgspec.msgpack.encode(prove(manifest, digest, files, clock=SystemClock()))
    _tried(manifest, digest, files)
    return msgspec.msgpack.encode(None)


def tell(given: IO[bytes], name: str) -> bytes:
    """Tell what a file is by its bytes; returns :class:`steward.models.untrusted.intake.Told`, encoded.

    Raises:
        ContractError: It is in no format that models may be in.
        MsgspecError: It is one, and not well-formed.
    """
    content = given.read()
    found = sniff(name, content)
    kind = "" if found is Format.JSON else found.value
    return msgspec.msgpack.encode(Told(kind, stored_name(name, content), _inputs(found, content)))


_NAMES = re.compile(rb"^feature_names=(.*)$", re.MULTILINE)


class _Learner(Struct, frozen=True):
    feature_names: tuple[str, ...] = ()


class _XGBoost(Struct, frozen=True):
    learner: _Learner


def _inputs(found: Format, content: bytes) -> tuple[str, ...]:
    """Return the input columns that a file names itself; whether they are right is found out when it is loaded."""
    if found is Format.LIGHTGBM and (names := _NAMES.search(content, 0, 1 << 20)):
        return tuple(names[1].decode("utf-8", "replace").split(" "))
    if found is Format.LINEAR:
        return tuple(term.input for term in msgspec.json.decode(content, type=LinearFile).terms)
    if found is Format.XGBOOST:
        is_text = content[1:2] != b"L"
        model = msgspec.json.decode(content, type=_XGBoost) if is_text else msgspec.convert(decode(content), _XGBoost)
        return model.learner.feature_names
    return ()


def _read(given: IO[bytes]) -> tuple[Manifest, str, Mapping[str, bytes]]:
    for entry in archive.read(given):
        check_sum = 0
        for piece in archive.Part(given, entry.at, entry.size_bytes):
            check_sum = crc32(piece, check_sum)
        if check_sum != entry.crc32:
            raise IntegrityError(
                "the archive is not what was exported",
                why=f"the check sum of {entry.name} does not hold",
                fix="export it again, and copy it as binary",
            )
    found = contents(given)
    files = {
        name: b"".join(cast("Iterable[bytes]", pieces)) for name, pieces in proven(found.manifest, found.files).items()
    }
    check_kind(found.manifest.kind, files)
    return found.manifest, digest_of(found.content), files


def _tried(manifest: Manifest, digest: str, files: Mapping[str, bytes]) -> None:
    try:
        _TRIED.get(manifest.kind, _load)(manifest, digest, files)
    except ValueError as error:
        raise _refused(manifest, str(error)) from error


def _load(manifest: Manifest, digest: str, files: Mapping[str, bytes]) -> None:
    if manifest.kind in ENGINES:
        engine(manifest.kind)(manifest, digest, files)


def _load_skops(manifest: Manifest, digest: str, files: Mapping[str, bytes]) -> None:
    """Do what the engine's own process would do, which cannot be started from here."""
    for content in files.values():
        zips.check(content, most_bytes=MAX_UNPACKED_BYTES)
    if find_spec("skops") is None:
        raise EngineError(
            "skops is not installed", fix="pip install 'steward-aios[skops]'", code="engine-not-installed"
        )
    from skops.io import loads  # noqa: PLC0415 - only models of this kind need it

    try:
        for content in files.values():
            loads(content, trusted=[])
    except Exception as error:
        raise _refused(manifest, f"{type(error).__name__}: {error}") from error


def _read_code(manifest: Manifest, digest: str, files: Mapping[str, bytes]) -> None:
    """Read the name of a function; whether it is there, only a process that has imported it can tell."""
    for name, content in files.items():
        if sniff(name, content) is Format.JSON:
            CodeReference.decode(content)
        else:
            from steward.models.formats.safetensors import decode as decode_arrays  # noqa: PLC0415 - as above

            decode_arrays(content)


_TRIED: Final[Mapping[str, Callable[[Manifest, str, Mapping[str, bytes]], Any]]] = {
    "skops": _load_skops,
    "safetensors": _read_code,
    "function": _read_code,
}
"""What is done instead for the kinds that are loaded elsewhere."""


def _refused(manifest: Manifest, why: str) -> IntegrityError:
    return IntegrityError(
        f"model {manifest.name!r} version {manifest.version} cannot be loaded", why=why, fix="register it again"
    )
