"""Names a plain Python function that is part of the release, by module, name and the hash of its source.

An artefact never carries code and never makes a process import any: it names a function of a module that the process
has imported by itself, because a decision's module imports it. The hash covers the function's source, its defaults
and the constants it names, not what it calls.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any, Literal

import msgspec
from msgspec import Struct

from steward.decision.fingerprint import source_hash
from steward.errors import DeclarationError, IntegrityError


class CodeReference(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A function by its name and source.

    Attributes:
        format: The format of this file, ``steward.code/1``.
        function: ``module:name``.
        source: ``sha256:`` of its source.

    Example:
        >>> from steward.models.engines.classes import likeliest
        >>> reference = CodeReference.of(likeliest)
        >>> reference.function, reference.resolve() is likeliest
        ('steward.models.engines.classes:likeliest', True)
    """

    format: Literal["steward.code/1"] = "steward.code/1"
    function: str
    source: str

    @classmethod
    def of(cls, function: Callable[..., Any]) -> CodeReference:
        """Name a function.

        Raises:
            DeclarationError: It is not a plain function at the top of a module that a process can import.
        """
        module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
        if not isinstance(function, FunctionType) or not name.isidentifier() or module == "__main__":
            raise DeclarationError(
                f"{name or function!r} of module {module!r} cannot be registered as a model",
                why="only its name is registered, and the process that serves it must find the same function there",
                fix="write it with def at the top of a module that the decision's module imports",
                field="function",
            )
        return cls(function=f"{module}:{name}", source=source_hash(function))

    @classmethod
    def decode(cls, content: bytes) -> CodeReference:
        """Read a reference strictly.

        Raises:
            ValueError: It is not one.
        """
        return msgspec.json.decode(content, type=cls)

    def encode(self) -> bytes:
        """Return the file's bytes."""
        return msgspec.json.encode(self)

    def resolve(self) -> Callable[..., Any]:
        """Return the function.

        Raises:
            IntegrityError: It is not there, or no longer what was registered.
        """
        module, _, name = self.function.partition(":")
        found = getattr(sys.modules.get(module), name, None) if name.isidentifier() else None
        if module.partition(".")[0] in sys.stdlib_module_names or not isinstance(found, FunctionType):
            raise IntegrityError(
                f"the function {self.function} is not part of this release",
                why="no module of that name is imported here, or it has no such function",
                fix="import it in the decision's module: a model never makes a process import anything",
            )
        if (found.__module__, found.__qualname__, source_hash(found)) != (module, name, self.source):
            raise IntegrityError(
                f"the function {self.function} is not the one that was registered",
                why=f"its source is {source_hash(found)}, and {self.source} was registered",
                fix="register it again as a new version, or go back to the code of that release",
            )
        return found
