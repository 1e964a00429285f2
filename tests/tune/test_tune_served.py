"""Rollouts by a server: one on the loopback that loads adapters as vLLM documents it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import rl_world
from safetensors.torch import load_file

from selaras.core.errors import ModelError
from selaras.core.fingerprint import seed_from
from selaras.core.rl import RLSettings
from selaras.core.system import Sampling
from selaras.core.tuning import Tuning
from selaras.models.local_torch import torch
from selaras.tune import rl
from selaras.tune.policy import open_policy
from selaras.tune.rl import plan_rl, tune_rl
from selaras.tune.served import served_sampler

pytestmark = pytest.mark.usefixtures("one_thread")


class Server:
    """Answers `/v1/completions` with ids, by a real policy whose weights come by the folder."""

    def __init__(self, folder: Path, *, ids: bool = True) -> None:
        self.policy = open_policy(folder, Tuning(rank=2, layers=1.0), 0)
        self.loaded: dict[str, dict] = {}
        self.calls: list[tuple[str, dict]] = []
        self.ids = ids
        server = self

        class Answers(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                status, found = server.answer(self.path, body)
                said = json.dumps(found).encode()
                self.send_response(status)
                kind = "application/json" if isinstance(found, dict) else "text/plain"
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def answer(self, path, body):
        self.calls.append((path, body))
        if path == "/v1/load_lora_adapter":
            if body["lora_name"] in self.loaded:  # as vLLM does
                return 400, {"error": {"message": "has already been loaded"}}
            weights = load_file(Path(body["lora_path"]) / "adapter_model.safetensors")
            self.loaded[body["lora_name"]] = weights
            return 200, "loaded"
        if path == "/v1/unload_lora_adapter":
            del self.loaded[body["lora_name"]]
            return 200, "unloaded"
        if body["model"] not in self.loaded:
            return 404, {"error": {"message": f"no model {body['model']}"}}
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(self.policy.model, self.loaded[body["model"]])
        sampling = Sampling(max_tokens=body["max_tokens"], temperature=body["temperature"],
                            seed=body["seed"])  # fmt: skip
        replies = self.policy.local.sample(body["prompt"], sampling)
        choices = [{"index": i, "text": "", **({"token_ids": ids} if self.ids else {})}
                   for i, ids in enumerate(replies)]  # fmt: skip
        return 200, {"choices": list(reversed(choices))}

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server(tiny_folder):
    made = Server(tiny_folder)
    yield made
    made.close()


def sampler(server, folder, policy):
    return served_sampler(RLSettings(server=server.url), folder)(policy)


def test_a_server_answers_with_the_adapter_as_it_is_at_each_call(server, tiny_folder, tmp_path):
    policy = open_policy(tiny_folder, Tuning(rank=2, layers=1.0), 0)
    ask = sampler(server, tmp_path, policy)
    prompts = [[1, 40, 41], [1, 50], [1, 40, 41]]
    sampling = Sampling(max_tokens=6, temperature=1.0, seed=4)
    first = ask(prompts, sampling)
    assert first[0] != first[2], "equal prompts of one group must not get equal replies"
    for weight in policy.parameters.values():
        weight.data = weight.data + 0.3
    second = ask(prompts, sampling)
    assert first != second
    own = policy.local.sample([prompts[0], prompts[1]],
                              sampling.model_copy(update={"seed": seed_from(4, 0)}))  # fmt: skip
    assert second[:2] == own
    (name,) = server.loaded
    assert name.endswith("-2")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert all(body["return_token_ids"] for path, body in server.calls if "completions" in path)


def test_a_server_that_still_holds_a_run_that_was_killed_takes_the_next(
    server, tiny_folder, tmp_path
):
    policy = open_policy(tiny_folder, Tuning(rank=2, layers=1.0), 0)
    sampling = Sampling(max_tokens=4, temperature=1.0, seed=4)
    first = sampler(server, tmp_path, policy)([[1, 40]], sampling)
    assert sampler(server, tmp_path, policy)([[1, 40]], sampling) == first
    assert len(server.loaded) == 2


def test_a_whole_run_is_answered_by_the_server(server, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(rl, "open_development", lambda *_: rl_world.development())
    project = rl_world.write_project(
        tmp_path, tiny_folder, server=server.url, steps=2, watch_every=2, mask_truncated=False
    )
    done = tune_rl(project, plan_rl(project), rewarders=rl_world.rewarders())
    assert done.status == "finished"
    loads = [path for path, _ in server.calls if path.endswith("/load_lora_adapter")]
    assert len(loads) == 4, "two looks and two steps"
    assert torch.isfinite(torch.tensor(done.figures["rl"]["kl_per_response"]))


def test_a_server_that_cannot_do_it_is_one_line_with_what_to_do(server, tiny_folder, tmp_path):
    policy = open_policy(tiny_folder, Tuning(rank=2, layers=1.0), 0)
    sampling = Sampling(max_tokens=4, temperature=1.0)
    server.ids = False
    with pytest.raises(ModelError, match=r"holds no token ids .*return_token_ids is needed"):
        sampler(server, tmp_path, policy)([[1, 2]], sampling)
    server.answer = lambda path, body: (404, {"detail": "Not Found"})
    with pytest.raises(ModelError, match=r"404 .*VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"):
        sampler(server, tmp_path, policy)([[1, 2]], sampling)
    gone = served_sampler(RLSettings(server="http://127.0.0.1:9/v1"), tmp_path)(policy)
    with pytest.raises(ModelError, match="no answer"):
        gone([[1, 2]], sampling)


def test_an_answer_that_is_no_json_is_one_line(tiny_folder, tmp_path):
    policy = open_policy(tiny_folder, Tuning(rank=2, layers=1.0), 0)
    ask = served_sampler(RLSettings(server="http://127.0.0.1:9/v1"), tmp_path)(policy)
    broken = httpx.Response(200, text="<html>", headers={"content-type": "application/json"})
    ask.client = httpx.Client(
        base_url="http://127.0.0.1:9/v1", transport=httpx.MockTransport(lambda _: broken)
    )
    with pytest.raises(ModelError, match=r"no JSON \(<html>\)"):
        ask([[1, 2]], Sampling(max_tokens=4))
