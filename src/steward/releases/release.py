"""A release: everything that decides, named by its digest, so that what was live can be said, signed, found again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from steward.decision.contract import Contract
from steward.decision.decision import Decision
from steward.decision.fingerprint import digest, plain
from steward.decision.rules import policy_hash

PAYLOAD_TYPE: Final = "application/vnd.steward.release+json"
"""What a signed release says it is (DSSE)."""


class Release(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a decision is made by, each part by its digest (``sha256:<hex>``).

    Attributes:
        decision: The decision's name.
        fingerprint: The declaration with the source of its functions.
        policy: The policy's source, or the artefact's digest where the policy is data.
        models: Each registered model, by name.
        artefacts: What else is registered and used, by name: calibrators, policies as data.
        features: Each feature's declaration, by name.
        contracts: The schema of the event, the outcome and each stream, by contract.

    Example:
        >>> release = Release(decision="pay.release", fingerprint="sha256:ab", policy="sha256:cd")
        >>> release.name
        'pay.release@b3d629f3fb040ec1'
    """

    decision: str
    fingerprint: str
    policy: str
    models: dict[str, str] = {}
    artefacts: dict[str, str] = {}
    features: dict[str, str] = {}
    contracts: dict[str, str] = {}

    @classmethod
    def of(
        cls,
        decision: Decision[Any, Any, Any],
        models: Mapping[str, str] | None = None,
        artefacts: Mapping[str, str] | None = None,
    ) -> Release:
        """Return what a declaration is released as, with these digests of what it uses, by name."""
        used = [Contract.of(decision.event), *(Contract.of(window.stream.contract) for window in decision.windows)]
        if decision.economics is not None:
            used.append(Contract.of(decision.economics.outcome))
        return cls(
            decision=decision.name,
            fingerprint=decision.fingerprint,
            policy=policy_hash(decision.policy),
            models=dict(models or {}),
            artefacts=dict(artefacts or {}),
            features={feature.name: digest(plain(feature)) for feature in decision.features},
            contracts={contract.name: digest(contract.json_schema()) for contract in used},
        )

    @classmethod
    def read(cls, document: object) -> Release:
        """Return a release from its plain form; raises ``msgspec.ValidationError`` if it is none."""
        return msgspec.convert(document, cls)

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of :meth:`payload`."""
        return digest(self.document())

    @property
    def name(self) -> str:
        """What records call it: ``<decision>@<16 hex digits>``."""
        return f"{self.decision}@{self.digest[7:23]}"

    def document(self) -> dict[str, object]:
        """Return it as plain data."""
        document: dict[str, object] = msgspec.to_builtins(self)
        return document

    def payload(self) -> bytes:
        """Return the bytes that are hashed and signed: canonical JSON."""
        return msgspec.json.encode(self.document(), order="deterministic")
