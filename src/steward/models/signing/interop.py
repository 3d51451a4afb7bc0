"""The OpenSSF ``model-signing`` package as a second opinion: it verifies what we signed, and signs what we verify.

Steward's own signatures have the same format and need no package. This is for whoever wants to see that another
program comes to the same answer. It knows ECDSA keys only, so Ed25519 is not asked of it.
"""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from steward.errors import ContractError, Distrusted, EngineError
from steward.models.artefact import SIGNATURE, Artefact
from steward.models.signing.keys import PublicKey


def cross_check(artefact: Artefact, key: PublicKey) -> None:
    """Let ``model-signing`` verify an artefact's folder on disk against its signature.

    Args:
        artefact: A signed version; its folder is read again by the other program.
        key: The public key that has signed it, on P-256.

    Raises:
        Distrusted: The other program refuses it; ``why`` is what it says.
        ContractError: It is not signed, or with a key that ``model-signing`` does not know.
        EngineError: ``model-signing`` is not installed.
    """
    if SIGNATURE not in artefact.statements:
        raise ContractError(f"{artefact.title} is not signed", fix=f"steward models sign {artefact.name}")
    if key.kind != "p256":
        raise ContractError(
            f"model-signing cannot verify {artefact.title}",
            why=f"its key is of kind {key.kind}, and model-signing knows ECDSA only",
            fix="sign it with a key of kind p256: steward models keys new NAME --kind p256",
        )
    config = _package().verifying.Config()
    with tempfile.TemporaryDirectory(prefix="steward-cross-check-") as folder:
        public, bundle = Path(folder, "key.pem"), Path(folder, SIGNATURE)
        public.write_bytes(key.to_pem())
        bundle.write_bytes(artefact.statements[SIGNATURE])
        try:
            config.use_elliptic_key_verifier(public_key=public).verify(artefact.path, bundle)
        except Exception as error:  # whatever it raises, it has not said yes
            raise Distrusted(
                f"model-signing refuses {artefact.title}",
                why=f"{type(error).__name__}: {error}"[:1000],
                fix="compare the files with their source; steward models verify says what we find",
            ) from error


def sign_elsewhere(folder: Path, private_key: Path) -> bytes:
    """Let ``model-signing`` sign a folder, as another team would; return the bundle that it writes.

    Args:
        folder: A version's folder, the one that is named by its digest.
        private_key: A private key on P-256, as PEM.

    Raises:
        ContractError: It cannot sign the folder with this key.
        EngineError: ``model-signing`` is not installed.
    """
    config = _package().signing.Config()
    with tempfile.TemporaryDirectory(prefix="steward-cross-check-") as place:
        bundle = Path(place, SIGNATURE)
        try:
            config.use_elliptic_key_signer(private_key=private_key).sign(folder, bundle)
        except (ValueError, TypeError, AttributeError, OSError) as error:  # it asks an Ed25519 key for its curve
            fix = "use a key of kind p256, and a folder without links"
            raise ContractError(f"model-signing cannot sign {folder}", why=str(error)[:1000], fix=fix) from error
        return bundle.read_bytes()


def _package() -> Any:
    if find_spec("model_signing") is None or find_spec("OpenSSL") is None:
        raise EngineError(
            "model-signing is not installed", fix="pip install 'steward-aios[signing]'", code="engine.not-installed"
        )
    import model_signing  # noqa: PLC0415 - an extra, loaded only where it is asked for

    return model_signing
