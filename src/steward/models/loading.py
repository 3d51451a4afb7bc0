"""Which engine answers for which kind of model, and whether a model fits its declaration."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from steward.decision.checks import nearest
from steward.decision.model import Model
from steward.errors import DeclarationError, NotFound
from steward.models.manifest import Manifest
from steward.models.port import LoadedModel

ENGINES: Mapping[str, str] = {
    "lightgbm": "steward.models.engines.lightgbm:load",
    "linear": "steward.models.engines.linear:load",
    "isotonic": "steward.models.calibration.isotonic:load",
    "beta": "steward.models.calibration.beta:load",
    "onnx": "steward.models.engines.onnx:load",
    "xgboost": "steward.models.engines.xgboost:load",
    "safetensors": "steward.models.engines.tensors:load",
    "skops": "steward.models.engines.skops:load",
    "function": "steward.models.engines.functions:load",
}
"""Kind of model, to the ``module:function`` that loads it; imported when first used."""


class Engine(Protocol):
    """Turns the verified bytes of a model's files into a model that answers."""

    def __call__(self, manifest: Manifest, digest: str, files: Mapping[str, bytes]) -> LoadedModel:
        """Load a model.

        Args:
            manifest: What the model says of itself.
            digest: The model's digest, ``sha256:<hex>``.
            files: Each file's name and its bytes; nothing else may be read.

        Raises:
            IntegrityError: The files are not a model of this kind, or not the one the manifest describes.
            EngineError: The engine is not installed, or does not support this model.
        """
        ...


def engine(kind: str) -> Engine:
    """Return the engine for a kind of model.

    Raises:
        NotFound: There is none of that name.

    Example:
        >>> engine("linear").__module__
        'steward.models.engines.linear'
    """
    if kind not in ENGINES:
        raise NotFound(f"no engine answers for models of kind {kind!r}", fix=nearest(kind, ENGINES), field="kind")
    module, function = ENGINES[kind].split(":")
    return cast("Engine", getattr(import_module(module), function))


def check_fit(declared: Model[Any], loaded: LoadedModel) -> LoadedModel:
    """Return ``loaded``, if the declared inputs can stand for its columns.

    Inputs are given by position, so their names may differ from the columns'; the same names in another order
    are always a mistake.

    Raises:
        DeclarationError: The declared inputs are fewer, more, or in another order.
    """
    given, wanted = declared.inputs, loaded.inputs
    if not given or given == wanted:
        return loaded
    if len(given) != len(wanted):
        raise DeclarationError(
            f"model {declared.name!r} version {loaded.version} takes {len(wanted)} inputs, {len(given)} are declared",
            fix=f"declare inputs={wanted!r}, or features that stand for them in this order",
            field="predict.inputs",
        )
    if sorted(given) == sorted(wanted):
        raise DeclarationError(
            f"the inputs of model {declared.name!r} are declared in another order than version {loaded.version} takes",
            why="a model reads its inputs by position, so its answers would be wrong",
            fix=f"declare inputs={wanted!r}",
            field="predict.inputs",
        )
    return loaded
