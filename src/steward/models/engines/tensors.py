"""Weights in safetensors, answered by a plain function that is part of the release."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from steward.errors import IntegrityError
from steward.models.code_reference import CodeReference
from steward.models.engines.tabular import TabularModel, tabular
from steward.models.formats.safetensors import decode
from steward.models.manifest import Manifest

WEIGHTS, CODE = "model.safetensors", "code.json"


def load(manifest: Manifest, digest: str, files: Mapping[str, bytes]) -> TabularModel:
    """Load the weights of ``model.safetensors`` and the function that ``code.json`` names.

    The function takes the tensors by name and ``(n, k)`` float64 rows, and returns ``(n,)`` or ``(n, c)`` answers; it
    must be pure, and answer each row without looking at the others.

    Raises:
        IntegrityError: The files are not such a model, or the function is not what was registered.
    """
    try:
        if set(files) != {WEIGHTS, CODE}:
            raise ValueError(f"its files must be {WEIGHTS} and {CODE}, found {', '.join(sorted(files))}")
        tensors, function = decode(files[WEIGHTS]), CodeReference.decode(files[CODE]).resolve()
    except ValueError as error:
        raise IntegrityError(
            f"model {manifest.name!r} version {manifest.version} cannot be loaded",
            why=str(error),
            fix="write the weights with safetensors.numpy.save() and register the model again",
        ) from error
    return tabular(manifest, digest, partial(_answer, function, tensors))


def _answer(function: Any, tensors: Mapping[str, Any], rows: Any) -> Any:
    return np.asarray(function(tensors, rows), dtype=np.float64)
