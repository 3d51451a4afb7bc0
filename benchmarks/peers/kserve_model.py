"""A LightGBM model on KServe's Python server: ``python kserve_model.py MODEL PORT``."""

from __future__ import annotations

import sys

import lightgbm
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.utils.utils import generate_uuid


class Fraud(Model):
    """Answers with the probability of fraud."""

    def __init__(self, path: str) -> None:
        super().__init__("fraud")
        self._booster = lightgbm.Booster(model_file=path)
        self.ready = True

    async def predict(
        self, payload: InferRequest, headers: object = None, response_headers: object = None
    ) -> InferResponse:
        """Answer a batch."""
        rows = payload.inputs[0].as_numpy()
        answers = self._booster.predict(rows, num_threads=1)
        output = InferOutput("predict", list(answers.shape), "FP64", data=answers.tolist())
        return InferResponse(response_id=generate_uuid(), model_name="fraud", infer_outputs=[output])


if __name__ == "__main__":
    ModelServer(http_port=int(sys.argv[2]), enable_grpc=False, access_log_format=None, workers=1).start(
        [Fraud(sys.argv[1])]
    )
