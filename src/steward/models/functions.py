"""Plain Python functions as models, registered by name and the hash of their source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from steward.errors import DeclarationError, IntegrityError
from steward.models.code_reference import CodeReference
from steward.models.manifest import Manifest
from steward.models.static import FunctionModel

FILE = "function.json"


def load(manifest: Manifest, digest: str, files: Mapping[str, bytes]) -> FunctionModel:
    """Load the function that ``function.json`` names; it takes the inputs by position, NaN where one is missing.

    Raises:
        IntegrityError: The file is not such a reference, or the function is not what was registered.
    """
    try:
        if set(files) != {FILE}:
            raise ValueError(f"its only file must be {FILE}, found {', '.join(sorted(files))}")
        if manifest.task not in {"regression", "binary"}:
            raise ValueError(f"a function answers a regression or a binary task, not {manifest.task}")
        function = CodeReference.decode(files[FILE]).resolve()
        task: Literal["regression", "binary"] = "binary" if manifest.task == "binary" else "regression"
        made = FunctionModel(manifest.name, function, manifest.inputs, task=task, version=str(manifest.version))
    except (ValueError, DeclarationError) as error:
        raise IntegrityError(
            f"model {manifest.name!r} version {manifest.version} cannot be loaded",
            why=str(error),
            fix="register the function again",
        ) from error
    made.digest = digest
    return made
