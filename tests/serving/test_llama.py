"""Chats against a real llama.cpp server, with a tiny model that the test makes: it babbles, but by the schema."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.peers import free_port, peer
from tests.serving.chats import Verdict, chat, texts
from tests.serving.real import running

from steward.errors import EngineError
from steward.serving.chat import ChatEngine
from steward.serving.endpoints import Endpoint
from steward.serving.port import Answered, Served
from steward.testing.conformance.serving import ServingConformance

pytestmark = pytest.mark.peers
MAKE = """
import sys
import gguf
import numpy as np


rng = np.random.default_rng(7)
embedded, hidden = 64, 128
tokens = [b"<unk>", b"<s>", b"</s>"] + [b"<0x%02X>" % byte for byte in range(256)]
tokens += [bytes([letter]) for letter in range(32, 127)]
out = gguf.GGUFWriter(sys.argv[1], "llama")
out.add_context_length(2048)
out.add_embedding_length(embedded)
out.add_block_count(1)
out.add_feed_forward_length(hidden)
out.add_head_count(4)
out.add_head_count_kv(4)
out.add_layer_norm_rms_eps(1e-5)
out.add_rope_dimension_count(16)
out.add_vocab_size(len(tokens))
out.add_tokenizer_model("llama")
out.add_token_list(tokens)
out.add_token_scores([0.0] * len(tokens))
out.add_token_types([2, 3, 3] + [6] * 256 + [1] * 95)
out.add_bos_token_id(1)
out.add_eos_token_id(2)
out.add_unk_token_id(0)
out.add_chat_template("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\\n{% endfor %}assistant: ")
shapes = dict.fromkeys(("token_embd", "output"), (len(tokens), embedded))
shapes |= {f"blk.0.attn_{part}": (embedded, embedded) for part in ("q", "k", "v", "output")}
shapes |= {f"blk.0.ffn_{part}": (hidden, embedded) for part in ("gate", "up")}
shapes |= {"blk.0.ffn_down": (embedded, hidden)}
for name, shape in shapes.items():
    out.add_tensor(f"{name}.weight", (rng.normal(size=shape) * 0.2).astype(np.float32))
for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
    out.add_tensor(f"{name}.weight", np.ones(embedded, np.float32))
out.write_header_to_file()
out.write_kv_data_to_file()
out.write_tensors_to_file()
out.close()
"""
SERVE = """
import sys
import time
import xllamacpp

params = xllamacpp.CommonParams()
params.model.path, params.port, params.hostnames = sys.argv[1], int(sys.argv[2]), ["127.0.0.1"]
params.api_keys = ["k3y"]
params.n_ctx, params.n_parallel, params.cpuparams.n_threads = 2048, 1, 1
params.warmup = params.cache_prompt = False
server = xllamacpp.Server(params)
while True:
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int, Path]]:
    """Run the server; yield its address, its process group, and a folder with its token."""
    python, folder = str(peer("llama")), tmp_path_factory.mktemp("llama")
    subprocess.run([python, "-c", MAKE, str(folder / "tiny.gguf")], check=True, timeout=60)
    (folder / "token").write_text("k3y")
    port = free_port()
    command = [python, "-c", SERVE, str(folder / "tiny.gguf"), str(port)]
    with running(command, f"http://127.0.0.1:{port}/health", folder / "log") as process:
        yield f"http://127.0.0.1:{port}", process.pid, folder


def engine(llama: tuple[str, int, Path], **parameters: Any) -> ChatEngine:
    url, _, folder = llama
    endpoint = Endpoint(url=f"openai+{url}/v1", token_file=str(folder / "token"))
    return ChatEngine("llama", endpoint, model="tiny", chat=chat(**parameters), returns=Verdict)


class TestLlama(ServingConformance):
    @pytest.fixture(autouse=True)
    def _server(self, llama: tuple[str, int, Path]) -> None:
        self.llama = llama

    async def open(self) -> Served[Any]:
        return engine(self.llama)

    def questions(self, count: int) -> list[Any]:
        return texts(min(count, 5))

    def wrong(self) -> Any:
        return {}

    @asynccontextmanager
    async def hanging(self, engine: Served[Any]) -> AsyncIterator[None]:
        os.killpg(self.llama[1], signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.llama[1], signal.SIGCONT)

    @asynccontextmanager
    async def failing(self, engine: Served[Any]) -> AsyncIterator[None]:
        caller: Any = vars(engine)["_caller"]
        caller.prefix = "/nowhere"
        try:
            yield
        finally:
            caller.prefix = "/v1"


async def test_its_schema_is_kept_and_its_tokens_are_counted(llama: tuple[str, int, Path]) -> None:
    llm = engine(llama)
    [answer] = await llm.answer(texts(1), within_s=30)
    await llm.close()
    assert isinstance(answer, Answered)
    assert isinstance(answer.value, Verdict)
    assert isinstance(answer.facts.tokens_in, int)
    assert isinstance(answer.facts.tokens_out, int)
    assert answer.facts.tokens_in > 20
    assert answer.facts.tokens_out > 5


async def test_without_its_token_it_refuses(llama: tuple[str, int, Path]) -> None:
    endpoint = Endpoint(url=f"openai+{llama[0]}/v1")
    llm = ChatEngine("llama", endpoint, model="tiny", chat=chat(), returns=Verdict)
    with pytest.raises(EngineError) as raised:
        await llm.answer(texts(1), within_s=30)
    await llm.close()
    assert (raised.value.code, raised.value.retryable) == ("refused-401", False)


async def test_half_an_answer_is_none(llama: tuple[str, int, Path]) -> None:
    from msgspec.structs import replace

    whole = chat()
    short = replace(whole, parameters=replace(whole.parameters, max_tokens=3))
    endpoint = Endpoint(url=f"openai+{llama[0]}/v1", token_file=str(llama[2] / "token"))
    llm = ChatEngine("llama", endpoint, model="tiny", chat=short, returns=Verdict)
    with pytest.raises(EngineError) as raised:
        await llm.answer(texts(1), within_s=30)
    await llm.close()
    assert raised.value.code == "chat-cut-short"
