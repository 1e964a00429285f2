"""A guard's judge behind a real endpoint on loopback, by each form's name; silence never passes."""

import json
import math

import pytest
import yaml
from typer.testing import CliRunner

from fixtures.projects import make_project, some_rows
from models.conftest import Endpoint, Reply, completion
from selaras.cli import app
from selaras.core.files import write_jsonl
from selaras.safeguard.spec import open_guard

YAML = "product: helper\nuse_cases: [{id: answer, title: Answer}]\npolicies: [hate, self-harm]\n"


@pytest.fixture
def served():
    endpoint = Endpoint()
    yield endpoint
    endpoint.ended.set()
    endpoint.server.shutdown()
    endpoint.server.server_close()


@pytest.fixture
def open_judge(served, tmp_path):
    def opened(form):
        project = make_project(tmp_path / "p", some_rows(pairs=1, ordinary=1), YAML)
        stage = {"type": "judge", "model": f"openai:{form}@{served.url}", "form": form}
        (project.root / "g.yaml").write_text(yaml.safe_dump({"stages": [stage]}))
        return open_guard(project, "g.yaml")

    return opened


def first(p, said="Yes"):
    """An answer whose first token has probabilities."""
    found = [{"token": t, "logprob": math.log(q), "top_logprobs": []}
             for t, q in (("Yes", p), ("No", 1 - p))]  # fmt: skip
    body = completion(said)
    body["choices"][0]["logprobs"] = {"content": [{**found[0], "top_logprobs": found}]}
    return Reply(body=body)


def test_shieldgemma_by_name_is_asked_its_question_and_scores_p_of_yes(served, open_judge):
    served.answer = lambda n, body: first(0.85 if "Hate speech" in str(body["messages"]) else 0.1)
    outcome = open_judge("shieldgemma").check_response("A question", "An answer")
    assert (outcome.action, outcome.policy) == ("block", "hate")
    assert outcome.score == pytest.approx(0.85)
    sent = [body for _, _, body in served.requests]
    assert [body["model"] for body in sent] == ["shieldgemma"] * 2
    assert all("Chatbot Response: An answer" in str(body["messages"]) for body in sent)


@pytest.mark.parametrize(
    ("said", "action", "policy"),
    [("safe", "allow", "hate"), ("unsafe\nS11", "block", "self-harm"), ("unsafe", "block", None)],
)
def test_llama_guard_by_name_is_sent_the_conversation_itself(
    served, open_judge, said, action, policy
):
    served.script(Reply(body=completion(f"\n\n{said}")))
    outcome = open_judge("llama-guard").check_response("A question", "An answer")
    assert (outcome.action, outcome.policy) == (action, policy)
    [(_, _, body)] = served.requests
    assert [turn["content"] for turn in body["messages"]] == ["A question", "An answer"]


BROKEN = {
    "nothing": Reply(body=completion("")),
    "prose": Reply(body=completion("That depends on what you mean.")),
    "html": Reply(body=b"<html>busy</html>"),
    "refused": Reply(status=400, body={"error": {"message": "no"}}),
    "no choice": Reply(body={"id": "x", "choices": []}),
}


@pytest.mark.parametrize("form", ["policy", "shieldgemma", "llama-guard"])
@pytest.mark.parametrize("reply", list(BROKEN))
def test_what_cannot_be_read_is_an_error_and_never_a_pass(served, open_judge, form, reply):
    served.script(BROKEN[reply])
    outcome = open_judge(form).check_query("A question")
    assert (outcome.action, outcome.stage) == ("error", "judge")
    assert outcome.message


def test_a_judges_calls_in_an_evaluation_are_forecast_and_bounded(served, tmp_path):
    served.answer = lambda n, body: first(0.1, "No")
    root = make_project(tmp_path / "p", some_rows(pairs=1, ordinary=1), YAML).root
    mine = [{"id": f"r{n}", "query": f"Say {n}", "expected": "answer"} for n in range(3)]
    write_jsonl(root / "mine.jsonl", mine)
    write_jsonl(root / "script.jsonl", [{"match": None, "response": "Yes."}])
    stage = {"type": "judge", "model": f"openai:policy@{served.url}"}
    (root / "g.yaml").write_text(yaml.safe_dump({"stages": [stage]}))
    system = {"model": "scripted:script.jsonl", "guard": "g.yaml"}
    (root / "selaras.yaml").write_text(YAML + yaml.safe_dump({"systems": {"kept": system}}))

    def run(*more):
        order = ["eval", "kept", "--suite", "rows:mine.jsonl", "-C", str(root), *more]
        return CliRunner().invoke(app, order)

    told = json.loads(run("--dry-run", "--json").stdout)
    # Three queries and three responses, by two policies each.
    assert [each["calls"] for each in told["judges"]] == [12]
    assert told["judges"][0]["system"].startswith("kept, guarded by ")
    assert served.requests == []
    stopped = run("--max-calls", "8")
    assert (stopped.exit_code, len(served.requests)) == (1, 5), stopped.output
    assert "1 calls are left to make" in stopped.output
    done = run("--resume", "--max-calls", "7", "--json")
    assert done.exit_code == 0, done.output
    assert len(served.requests) == 12, "what was answered before is not asked again"
    figures = json.loads(done.stdout)["systems"][0]["figures"]
    assert (figures["over_refusal_rate"]["value"], figures["errors"]["count"]) == (0.0, 0)
