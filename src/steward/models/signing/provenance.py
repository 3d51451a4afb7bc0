"""Where a model comes from: a signed in-toto statement of the SLSA 1.0 shape.

SLSA's own fields hold what they are for: ``resolvedDependencies`` the training data and the code,
``externalParameters`` the parameters and features, ``runDetails`` the builder and the times. What SLSA has no field
for is in a field that begins with ``steward_``, as it asks of extensions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from steward.errors import DeclarationError, Distrusted
from steward.models.artefact import PROVENANCE, Artefact
from steward.models.manifest import Trained
from steward.models.signing.dsse import IN_TOTO, Envelope, opened, parse, sign
from steward.models.signing.keys import PrivateKey
from steward.models.signing.statements import STATEMENT, Subject
from steward.models.signing.trust import Trust, TrustedKey

PREDICATE: Final = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Final = "https://steward-aios.github.io/model-training/v1"
_DATA, _CODE = "training-data", "code"
_Commit = Annotated[str, Meta(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
_Text = Annotated[str, Meta(min_length=1, max_length=1000)]


class Provenance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a model was made from, by what, and when.

    Attributes:
        builder: What made it, as a URI or a name: a notebook server, a pipeline, a person's machine.
        finished_at: When it was finished, aware.
        started_at: When its training began, aware.
        repository: Where its code is, as ``https://example.com/team/models``.
        commit: The commit of that code, 40 or 64 hex digits.
        trained: The training data: its digest, first and last time, and rows.
        features: The version of each feature it learned from, by name.
        parameters: What training was told, by name.
        metrics: What came of it, by name.

    Example:
        >>> from datetime import UTC
        >>> made_at = datetime(2026, 1, 1, tzinfo=UTC)
        >>> Provenance(builder="nightly", finished_at=made_at, parameters={"trees": 100}).parameters["trees"]
        100
    """

    builder: _Text
    finished_at: Annotated[datetime, Meta(tz=True)]
    started_at: Annotated[datetime, Meta(tz=True)] | UnsetType = UNSET
    repository: str = ""
    commit: _Commit | UnsetType = UNSET
    trained: Trained | UnsetType = UNSET
    features: Mapping[str, str] = {}
    parameters: Mapping[str, bool | int | float | str | None] = {}
    metrics: Mapping[str, float] = {}


class _Descriptor(Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str = ""
    uri: str = ""
    digest: dict[str, str] = {}
    annotations: dict[str, Any] = {}


class _Definition(Struct, frozen=True, kw_only=True, rename="camel"):
    build_type: str
    external_parameters: dict[str, Any]
    resolved_dependencies: tuple[_Descriptor, ...] = ()


class _Builder(Struct, frozen=True):
    id: str


class _Times(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    started_on: datetime | UnsetType = UNSET
    finished_on: datetime | UnsetType = UNSET


class _Run(Struct, frozen=True, kw_only=True):
    builder: _Builder
    metadata: _Times
    steward_metrics: dict[str, float] = {}


class _Predicate(Struct, frozen=True, rename="camel"):
    build_definition: _Definition
    run_details: _Run


class _Statement(Struct, frozen=True, kw_only=True, rename={"type_": "_type", "predicate_type": "predicateType"}):
    type_: Literal["https://in-toto.io/Statement/v1"] = STATEMENT
    subject: tuple[Subject, ...]
    predicate_type: Literal["https://slsa.dev/provenance/v1"] = PREDICATE
    predicate: _Predicate


def parse_provenance(content: bytes) -> Provenance:
    """Read a provenance that a person or a pipeline wrote, as JSON.

    Raises:
        DeclarationError: A field is missing, unknown or out of its range; the message names it.
    """
    try:
        return msgspec.json.decode(content, type=Provenance)
    except msgspec.MsgspecError as error:
        fix = "correct the field that is named; docs/models.md has an example"
        raise DeclarationError("this is not a provenance", why=str(error), fix=fix, field="provenance") from error


def sign_provenance(provenance: Provenance, name: str, version: str, digest: str, key: PrivateKey) -> bytes:
    """Return the content of ``provenance.json``: the signed statement about one version.

    Args:
        provenance: What it comes from.
        name: The model's name.
        version: Its version.
        digest: Its digest, ``sha256:<hex>``.
        key: Vouches for it.
    """
    subject = Subject(f"{name}/{version}", {"sha256": digest.removeprefix("sha256:")})
    statement = _Statement(subject=(subject,), predicate=_predicate(provenance))
    return sign(IN_TOTO, msgspec.json.encode(statement, order="sorted"), key).to_bytes()


def read_provenance(artefact: Artefact, trust: Trust | None = None) -> tuple[Provenance, Sequence[TrustedKey]] | None:
    """Return where an artefact comes from and who says so; ``None`` if nobody does.

    Args:
        artefact: The version.
        trust: Whose word counts; without it, whoever wrote it is believed, and nobody is named.

    Raises:
        Distrusted: It is about something else, cannot be read, or nobody trusted has signed it.
    """
    if PROVENANCE not in artefact.statements:
        return None
    what = f"the provenance of {artefact.title}"
    envelope = Envelope.read(artefact.statements[PROVENANCE])
    signed = opened(envelope, trust, payload_type=IN_TOTO, what=what)
    statement = parse(signed.payload, _Statement, what)
    if [each.digest.get("sha256") for each in statement.subject] != [artefact.digest.removeprefix("sha256:")]:
        raise Distrusted(
            f"{what} is about something else",
            why=f"it was made for {', '.join(each.name for each in statement.subject) or 'nothing'}",
            fix=f"state it again: steward models provenance {artefact.name} --version {artefact.version} --file FILE",
        )
    try:
        return _provenance(statement.predicate), signed.keys
    except msgspec.ValidationError as error:
        raise Distrusted(f"{what} cannot be read", why=str(error), fix="state it again") from error


def _predicate(made: Provenance) -> _Predicate:
    dependencies = []
    if made.trained is not UNSET:
        told = {"from": made.trained.since, "to": made.trained.until, "rows": made.trained.rows}
        digest = {"sha256": made.trained.data.removeprefix("sha256:")}
        dependencies.append(_Descriptor(name=_DATA, digest=digest, annotations=told))
    if made.commit is not UNSET or made.repository:
        uri = f"git+{made.repository}" if made.repository else ""
        digest = {} if made.commit is UNSET else {"gitCommit": made.commit}
        dependencies.append(_Descriptor(name=_CODE, uri=uri, digest=digest))
    external = {"parameters": dict(made.parameters), "features": dict(made.features)}
    return _Predicate(
        _Definition(build_type=BUILD_TYPE, external_parameters=external, resolved_dependencies=tuple(dependencies)),
        _Run(
            builder=_Builder(made.builder),
            metadata=_Times(started_on=made.started_at, finished_on=made.finished_at),
            steward_metrics=dict(made.metrics),
        ),
    )


def _provenance(predicate: _Predicate) -> Provenance:
    """Read back what is known of a provenance; one that another builder wrote may say less."""
    definition, run = predicate.build_definition, predicate.run_details
    by_name = {each.name: each for each in definition.resolved_dependencies}
    facts: dict[str, Any] = {
        "builder": run.builder.id,
        "finished_at": run.metadata.finished_on,
        "started_at": run.metadata.started_on,
        "metrics": run.steward_metrics,
        **{name: definition.external_parameters.get(name, {}) for name in ("parameters", "features")},
    }
    if (data := by_name.get(_DATA)) is not None:
        facts["trained"] = {**data.annotations, "data": f"sha256:{data.digest.get('sha256', '')}"}
    if (code := by_name.get(_CODE)) is not None:
        facts["repository"] = re.sub(r"^git\+", "", code.uri)
        facts["commit"] = code.digest.get("gitCommit", UNSET)
    return msgspec.convert({name: each for name, each in facts.items() if each is not UNSET}, Provenance)
