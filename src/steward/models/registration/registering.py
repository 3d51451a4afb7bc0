"""Registers what a notebook has trained, in one call: the right format, checked against the original.

Example:
    >>> import tempfile
    >>> from steward.testing.conformance.models import STUMP
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = register(STUMP, name="night", inputs=("hour",), task="regression", registry=folder)
    ...     made.manifest.kind, made.version, made.manifest.checked.largest_difference
    ('lightgbm', '1', 0.0)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

from steward.clock import Clock, SystemClock
from steward.errors import DeclarationError, EngineError, StewardError
from steward.models.code_reference import CodeReference
from steward.models.compilation.compiling import prove
from steward.models.formats.sniffing import sniff, stored_name
from steward.models.manifest import Task, Trained
from steward.models.registration import conversions
from steward.models.registration.conversions import Converted, labels
from steward.models.registry import FolderRegistry, Registered
from steward.models.signing.keys import PrivateKey

_WHOLE = {"lightgbm", "xgboost", "linear", "onnx", "skops"}
"""Kinds whose models are one file."""


@dataclass(frozen=True)
class Weights:
    """Arrays, and the plain function that answers from them: ``function(tensors, rows)``.

    Args:
        function: Takes the arrays by name and ``(n, k)`` rows, and returns ``(n,)`` answers or ``(n, c)``
            probabilities. It is part of the release: a def at the top of a module.
        tensors: The arrays, by name.

    Example:
        >>> def scaled(tensors, rows):
        ...     return rows @ tensors["w"]
        >>> sorted(Weights(scaled, {"w": np.array([2.0])}).tensors)
        ['w']
    """

    function: Callable[[Mapping[str, Any], Any], Any]
    tensors: Mapping[str, Any]


def register(
    model: Any,
    *,
    name: str,
    registry: FolderRegistry | Path | str,
    inputs: Sequence[str] = (),
    outputs: Sequence[Any] = (),
    task: Task | None = None,
    sample: Any = None,
    tolerance: float | None = None,
    metrics: Mapping[str, float] | None = None,
    trained: Trained | None = None,
    key: PrivateKey | None = None,
    clock: Clock | None = None,
) -> Registered:
    """Register a model, what was trained or the bytes of its file, in the form that answers fastest and exactly.

    Args:
        model: A fitted LightGBM, XGBoost or scikit-learn model, an ONNX model, the bytes of a file in a format that is
            registered, :class:`Weights`, or a plain function of numbers.
        name: Its name in the registry.
        registry: The registry, or its folder.
        inputs: Names of the inputs, in order; by default those that the model knows.
        outputs: The labels of a classifier, in order; by default those that the model knows.
        task: ``regression``, ``binary`` or ``multiclass``, where the model does not tell.
        sample: Rows of real data to compare on, ``(n, k)``, beside those that are generated.
        tolerance: The largest relative difference from the original; see
            :func:`~steward.models.compilation.compiling.prove`.
        metrics: Finite figures of its training, by name.
        trained: What it was trained on.
        key: Signs the version.
        clock: Tells when it was registered, and how fast it is.

    Returns:
        The version; the one that is there already if the same model is registered again.

    Raises:
        DeclarationError: It is nothing that can be registered, or an argument is missing or not valid.
        EngineError: No form of it answers as the original does, or an engine is not installed.
        IntegrityError: The bytes are not a model.
    """
    place = registry if isinstance(registry, FolderRegistry) else FolderRegistry(Path(registry))
    timed, rows = clock or SystemClock(), None if sample is None else np.asarray(sample, dtype=np.float64)
    store = partial(place.register, name, metrics=metrics, trained=trained, key=key, clock=timed)
    failed: list[str] = []
    for way in _ways(model, inputs, task, rows):
        try:
            made = _complete(way(), inputs, outputs, task)
            proof = partial(
                prove, clock=timed, original=made.original, rows=_stacked(rows, made.rows), tolerance=tolerance
            )
            return store(**_told_of(made), check=proof)
        except DeclarationError:
            raise
        except Exception as error:  # a converter may fail in any way; the next form is tried
            if _library(model) != "sklearn":
                raise
            kind = "" if isinstance(error, StewardError) else f"{type(error).__name__}: "
            failed.append(f"{kind}{error}"[:500])
    raise _none_exact(model, name, failed)


def _told_of(made: Converted) -> Any:
    return {field: getattr(made, field) for field in ("kind", "files", "inputs", "outputs", "task")}


def _none_exact(model: Any, name: str, failed: Sequence[str]) -> EngineError:
    return EngineError(
        f"no form of model {name!r} answers as {type(model).__name__} does",
        why="; ".join(failed),
        fix="give a sample of real rows, or state the tolerance that is good enough",
        code="model-inexact",
    )


def _stacked(*tables: Any) -> Any:
    given = [table for table in tables if table is not None]
    return np.vstack(given) if given else None


def _ways(model: Any, inputs: Sequence[str], task: Task | None, rows: Any) -> Iterator[Callable[[], Converted]]:
    """Yield what converts a model; several ways where the best one may not be possible."""
    library = _library(model)
    if library == "lightgbm":
        yield partial(conversions.from_lightgbm, model)
    elif library == "xgboost":
        yield partial(conversions.from_xgboost, model)
    elif library == "sklearn":
        yield from conversions.from_sklearn(model, _width(model, inputs, rows), inputs)
    elif isinstance(model, Weights):
        yield partial(_weights, model, task)
    elif isinstance(model, FunctionType):
        yield partial(_function, model, task)
    elif isinstance(model, bytes | bytearray | memoryview):
        yield partial(_bytes, bytes(model), task)
    elif hasattr(model, "SerializeToString"):
        yield partial(_bytes, model.SerializeToString(), task)
    else:
        raise DeclarationError(
            f"{type(model).__module__}.{type(model).__qualname__} cannot be registered as a model",
            fix="give a fitted LightGBM, XGBoost or scikit-learn model, the bytes of an ONNX model, or a function",
            field="model",
        )


def _library(model: Any) -> str:
    """Return whose class a model is of, or inherits from."""
    for kind in type(model).__mro__:
        package = kind.__module__.partition(".")[0]
        if package in {"lightgbm", "xgboost", "sklearn"}:
            return package
    return ""


def _width(model: Any, inputs: Sequence[str], rows: Any) -> int:
    known = getattr(model, "n_features_in_", None)
    if known is None:
        known = len(inputs) or (rows.shape[1] if rows is not None else 0)
    if not known:
        raise DeclarationError("how many inputs the model takes is not known", fix="give inputs=...", field="inputs")
    return int(known)


def _weights(model: Weights, task: Task | None) -> Converted:
    from steward.models.formats.safetensors import encode  # noqa: PLC0415 - formats are loaded when used

    try:
        content = encode(model.tensors)
    except ValueError as error:
        raise DeclarationError("the weights cannot be registered", why=str(error), field="model") from error
    files = {"model.safetensors": content, "code.json": CodeReference.of(model.function).encode()}
    return Converted(kind="safetensors", files=files, inputs=(), task=_known(task))


def _function(function: FunctionType, task: Task | None) -> Converted:
    files = {"function.json": CodeReference.of(function).encode()}
    inputs = tuple(inspect.signature(function).parameters)
    return Converted(kind="function", files=files, inputs=inputs, task=task or "regression")


def _bytes(content: bytes, task: Task | None) -> Converted:
    kind = sniff("the model", content).value
    if kind not in _WHOLE:
        raise DeclarationError(
            f"bytes in the format {kind} are no whole model",
            fix="give Weights(function, tensors) for safetensors",
            field="model",
        )
    return Converted(kind=kind, files={stored_name("model", content): content}, inputs=(), task=_known(task))


def _known(task: Task | None) -> Task:
    if task is None:
        raise DeclarationError(
            "what the model answers is not known", fix="give task='regression', 'binary' or 'multiclass'", field="task"
        )
    return task


def _complete(made: Converted, inputs: Sequence[str], outputs: Sequence[Any], task: Task | None) -> Converted:
    """Put what the caller told before what the model tells."""
    if task is not None and task != made.task:
        raise DeclarationError(f"the model is a {made.task}, not a {task}", fix="leave task out", field="task")
    wanted = tuple(inputs) or made.inputs
    if not wanted:
        raise DeclarationError("the model does not know its inputs' names", fix="give inputs=(...)", field="inputs")
    if made.inputs and len(made.inputs) != len(wanted):
        raise DeclarationError(
            f"the model takes {len(made.inputs)} inputs, {len(wanted)} are named", fix="name each", field="inputs"
        )
    told = labels(outputs, made.task) if outputs else made.outputs
    if made.task == "multiclass" and not told:
        raise DeclarationError("the labels of the classes are not known", fix="give outputs=(...)", field="outputs")
    return replace(made, inputs=wanted, outputs=told)
