"""A LightGBM model for MLServer, as its own LightGBM runtime does it: decode the tensor, predict, answer a tensor."""

from __future__ import annotations

import lightgbm
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, NumpyRequestCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Fraud(MLModel):
    """Answers with the probability of fraud."""

    async def load(self) -> bool:
        """Read the model's text."""
        assert self.settings.parameters is not None
        self._booster = lightgbm.Booster(model_file=self.settings.parameters.uri)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer a batch."""
        rows = self.decode_request(payload, default_codec=NumpyRequestCodec)
        answers = self._booster.predict(rows, num_threads=1)
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output(name="predict", payload=answers)]
        )
