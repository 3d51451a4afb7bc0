"""A worker process: loads one model from the bytes it is sent, and answers rows until its input ends.

It is told everything over its standard input, and answers on its standard output, in frames: four bytes of length, then
MessagePack or raw float64. No code and no object ever travels; the model's bytes are verified again before they load.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

import msgspec
import numpy as np
from msgspec import Struct

from steward.errors import StewardError
from steward.models import manifest as manifests
from steward.models.loading import engine
from steward.models.port import LoadedModel

LENGTH: Final = struct.Struct("<I")
SHAPE: Final = struct.Struct("<II")
MAX_FRAME_BYTES: Final = 2**31


class Load(Struct, frozen=True):
    """The first frame: the model.

    Attributes:
        manifest: The bytes of its manifest, whose SHA-256 is ``digest``.
        digest: ``sha256:<hex>``.
        files: Each file's name and bytes.
    """

    manifest: bytes
    digest: str
    files: Mapping[str, bytes]


class Failure(Struct, frozen=True):
    """What a worker answers in the place of numbers, and after a model that it loaded (with ``what`` empty)."""

    what: str
    code: str = ""


def matrix(model: LoadedModel) -> Callable[[Any], Any]:
    """Return what answers ``(n, k)`` rows with ``(n, c)`` float64: one column, or a probability for each label.

    Example:
        >>> import numpy
        >>> from steward.models.engines.functions import FunctionModel
        >>> matrix(FunctionModel("twice", lambda x: 2 * x))(numpy.array([[1.0], [2.0]])).tolist()
        [[2.0], [4.0]]
    """
    probabilities = getattr(model, "probabilities", None)
    if model.task == "multiclass" and probabilities is not None:
        return probabilities  # type: ignore[no-any-return]  # the protocol Classifying
    return lambda rows: model.predict(rows).reshape(-1, 1)


def read(source: BinaryIO) -> bytes | None:
    """Return the next frame; ``None`` where the input ends."""
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = source.read(length)
    return body if len(body) == length else None


def _write(out: BinaryIO, body: bytes) -> None:
    out.write(LENGTH.pack(len(body)) + body)
    out.flush()


def _load(frame: bytes) -> LoadedModel:
    load = msgspec.msgpack.decode(frame, type=Load)
    manifest = manifests.decode(load.manifest)
    if manifests.digest_of(load.manifest) != load.digest or any(
        manifest.files[name].sha256 != manifests.FileFacts.of(content).sha256 for name, content in load.files.items()
    ):
        raise StewardError("the model's bytes are not those of its manifest", code="integrity")
    return engine(manifest.kind)(manifest, load.digest, load.files)


def work(source: BinaryIO, out: BinaryIO) -> None:
    """Serve one parent until it closes the pipe."""
    first = read(source)
    if first is None:
        return
    try:
        answer = matrix(_load(first))
    except Exception as error:
        _write(out, msgspec.msgpack.encode(_failure(error)))
        return
    _write(out, msgspec.msgpack.encode(Failure("")))
    while (frame := read(source)) is not None:
        count, width = SHAPE.unpack_from(frame)
        rows = np.frombuffer(frame, np.float64, offset=SHAPE.size).reshape(count, width)
        try:
            answers = np.ascontiguousarray(answer(rows), np.float64)
        except Exception as error:
            _write(out, b"!" + msgspec.msgpack.encode(_failure(error)))
        else:
            _write(out, b"=" + SHAPE.pack(*answers.shape) + answers.tobytes())


def _failure(error: Exception) -> Failure:
    if isinstance(error, StewardError):
        return Failure(str(error), error.code)
    return Failure(f"{type(error).__name__}: {error}", "serving-failed")


def main() -> None:
    """Run a worker on this process's standard input and output."""
    # What the model prints must not be taken for an answer.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    work(sys.stdin.buffer, out)


if __name__ == "__main__":
    main()
