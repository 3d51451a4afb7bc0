"""The user's project: finds and loads the decisions that the settings name."""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from steward.decision.checks import nearest
from steward.decision.decision import Decision
from steward.errors import DeclarationError
from steward.runtime.settings import Settings

AnyDecision = Decision[Any, Any, Any]


def load_decisions(settings: Settings) -> Sequence[AnyDecision]:
    """Load every decision that ``settings.decisions`` names, in order.

    Raises:
        DeclarationError: None is named, one cannot be found, two have one name, or a declaration is wrong.

    Example:
        >>> load_decisions(Settings(decisions=()))
        Traceback (most recent call last):
            ...
        steward.errors.DeclarationError: no decisions are named. Next: set decisions = ["module:attribute"] in ...
    """
    if not settings.decisions:
        raise DeclarationError(
            "no decisions are named",
            fix='set decisions = ["module:attribute"] in steward.toml, or make a project: steward init DIR',
            field="decisions",
        )
    found: dict[str, AnyDecision] = {}
    for reference in settings.decisions:
        for decision in load(reference, settings.root):
            known = found.setdefault(decision.name, decision)
            if known is not decision:
                raise DeclarationError(
                    f"two decisions are named {decision.name!r}",
                    why=f"the second one is in {reference}",
                    fix="give one of them another name",
                    field="decisions",
                )
    return tuple(found.values())


def load_challengers(settings: Settings) -> Sequence[AnyDecision]:
    """Load every declaration that ``settings.challengers`` names; it challenges the decision of its name.

    Raises:
        DeclarationError: One cannot be found, or is declared wrongly.
    """
    return [each for reference in settings.challengers for each in load(reference, settings.root)]


def load(reference: str, root: Path) -> Sequence[AnyDecision]:
    """Load what one reference names.

    Args:
        reference: ``module:attribute`` or ``path/file.py:attribute``. The attribute is a decision or a list of them;
            without it, all decisions of the module are meant.
        root: The project's folder: modules are looked for there first, and relative paths count from it.

    Raises:
        DeclarationError: It cannot be found, or does not name decisions.
    """
    place, _, attribute = reference.partition(":")
    module = _from_file(root / place, reference) if place.endswith(".py") else _from_name(place, root, reference)
    if not attribute:
        return _checked([value for value in vars(module).values() if isinstance(value, Decision)], reference)
    if not hasattr(module, attribute):
        names = [name for name, value in vars(module).items() if isinstance(value, Decision)]
        raise DeclarationError(
            f"{place} has no attribute {attribute!r}",
            why=f"the setting decisions names {reference!r}",
            fix=nearest(attribute, names),
            field="decisions",
        )
    value = getattr(module, attribute)
    return _checked([value] if isinstance(value, Decision) else value, reference)


def _checked(values: object, reference: str) -> Sequence[AnyDecision]:
    listed = list(values) if isinstance(values, Iterable) and not isinstance(values, str | bytes) else [values]
    decisions = [value for value in listed if isinstance(value, Decision)]
    for value in listed:
        if not isinstance(value, Decision):
            raise DeclarationError(
                f"{reference} is a {type(value).__name__}, not a decision",
                fix="name a steward.Decision, or a list of them",
                field="decisions",
            )
    if not listed:
        raise DeclarationError(
            f"{reference} holds no decisions", fix="declare one there: name = Decision(...)", field="decisions"
        )
    return decisions


def _from_name(name: str, root: Path, reference: str) -> ModuleType:
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise DeclarationError(
                f"there is no module {name!r}",
                why=f"the setting decisions names {reference!r}; it was looked for in {root} and where Python looks",
                fix="run steward in the project's folder, or pass it: steward -C DIR",
                field="decisions",
            ) from error
        raise _broken(reference, error) from error
    except Exception as error:
        raise _broken(reference, error) from error


def _from_file(path: Path, reference: str) -> ModuleType:
    path = path.resolve()
    # The same file loaded twice must give the same decisions, and never shadow a module of that name.
    name = f"_steward_{path.stem}_{hashlib.sha256(bytes(path)).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise DeclarationError(
            f"there is no file {path}", why=f"the setting decisions names {reference!r}", field="decisions"
        )
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _broken(reference, error) from error
    return module


def _broken(reference: str, error: Exception) -> DeclarationError:
    if isinstance(error, DeclarationError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError):
        where = f" ({error.filename}:{error.lineno})"
    return DeclarationError(
        f"{reference} cannot be imported",
        why=f"{type(error).__name__}: {error}{where}",
        fix="correct the code, or install what it imports",
        field="decisions",
    )
