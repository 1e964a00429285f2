"""Does RLOO raise a reward that it does not train on, at a KL within its budget, on a CPU?

    python benchmarks/rl.py [--quick] [--seeds N] [--runs FOLDER] [--data FOLDER]

SmolLM2-135M-Instruct on the starter's development queries, against a reward model fitted on half of
the harmlessness pairs of hh-rlhf (the public test file; see measure.py for --data). A second reward
model, fitted on the other half, is never trained on; both are asked about queries kept aside. The
reward models are Bradley-Terry heads over the base's own hidden states: small, quick, and easy to
fool, which is what the second one is there to show. Their penalty was chosen on the pairs, by how
many of the other half each gets right. Answers are cut at 32 tokens everywhere, in the pairs too;
of a dialogue the last two turns are read. A run that was killed goes on with the same command.
"""

import dataclasses
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import arguments, data_option, finish, lacking, report, versions

from selaras.core.files import read_jsonl
from selaras.core.fingerprint import fingerprint
from selaras.core.progress import SILENT
from selaras.core.project import open_project
from selaras.core.records import Conversation, Message
from selaras.models.local import LocalModel, open_local
from selaras.models.local_open import base_folder
from selaras.models.names import place_of
from selaras.starter import create_project
from selaras.stats import wilson
from selaras.tune.rl import plan_rl, tune_rl

FILE = "hh_rlhf_harmless/harmless-base_test_80.jsonl"
TOKENS = 32
LAYERS = (20,)
PAIRS = 1800
TURNS = 3  # messages before the answer
SETTINGS = {
    "reward": "half:a", "held_aside_reward": "half:b", "steps": 48, "queries": 6, "samples": 4,
    "max_tokens": TOKENS, "learning_rate": 1e-3, "watch_every": 16, "watch_queries": 64,
    "mask_truncated": "false", "budgets.over_length": 1.0, "kl_budget": 10.0,
}  # fmt: skip
QUICK = {"steps": 2, "queries": 2, "watch_every": 2, "watch_queries": 8}


class HiddenStateReward:
    """A reward read off the base's hidden states by a linear head, fitted on pairs."""

    def __init__(self, model: LocalModel, head: np.ndarray, centre: np.ndarray, name: str) -> None:
        self.model, self.head, self.centre = model, head, centre
        self.identity = {"name": name, "head": fingerprint([round(float(x), 6) for x in head])}

    def reward(
        self, conversations: Sequence[Conversation], responses: Sequence[str]
    ) -> list[float]:
        """Return one number an exchange; a difference of two is in logits."""
        states = features(self.model, conversations, responses)
        return [float(value) for value in (states - self.centre) @ self.head]


def features(
    model: LocalModel, talks: Sequence[Conversation], responses: Sequence[str]
) -> np.ndarray:
    """Return the base's states at the end of each exchange and on average over it."""
    whole = [
        (*talk, Message(role="assistant", content=text or "."))
        for talk, text in zip(talks, responses, strict=True)
    ]
    return model.hidden_states(whole, LAYERS)[:, 0]


def pairs(path: Path, model: LocalModel, most: int) -> list[tuple[Conversation, str, str]]:
    """Return (turns before, better, worse), answers cut, of dialogues that differ at the end."""
    found = []
    for _, row in read_jsonl(path):
        better, worse = turns(row["chosen"]), turns(row["rejected"])
        if better[:-1] != worse[:-1] or better[-1].role != "assistant":
            continue
        cut = [
            model.chat.tokenizer.decode(model.chat.text_ids(side[-1].content)[:TOKENS])
            for side in (better, worse)
        ]
        if all(text.strip() for text in cut) and cut[0] != cut[1]:
            found.append((tuple(better[:-1][-TURNS:]), cut[0], cut[1]))
    random.Random(0).shuffle(found)
    return found[:most]


def turns(text: str) -> list[Message]:
    """Return the messages of a dialogue as hh-rlhf writes it."""
    found = []
    for part in text.split("\n\nHuman: ")[1:]:
        said, _, answer = part.partition("\n\nAssistant:")
        found += [Message(role="user", content=said.strip()),
                  Message(role="assistant", content=answer.strip())]  # fmt: skip
    return found


def fitted(differences: np.ndarray, penalty: float = 1000.0) -> np.ndarray:
    """Return the head of most penalised likelihood that the better side is preferred."""
    head = np.zeros(differences.shape[1])
    for _ in range(25):  # Newton's method on a convex loss
        p = 1 / (1 + np.exp(-(differences @ head)))
        slope = differences.T @ (1 - p) - penalty * head
        bend = (differences * (p * (1 - p))[:, None]).T @ differences
        head = head + np.linalg.solve(bend + penalty * np.eye(len(head)), slope)
    return head


def reward_models(
    path: Path, model: LocalModel, most: int, kept: Path
) -> tuple[dict[str, HiddenStateReward], dict[str, Any]]:
    """Return both reward models and each one's accuracy on the half that it was not fitted on.

    They are kept in a file, for a run that goes on.
    """
    if not kept.is_file():
        np.savez(kept, **fitted_halves(path, model, most))
    with np.load(kept) as found:
        made = {
            name: HiddenStateReward(model, found[f"{name}/head"], found["centre"], name)
            for name in ("half:a", "half:b")
        }
        accuracy = {
            name: dataclasses.asdict(wilson(*(int(n) for n in found[f"{name}/right"])))
            for name in made
        }
    return made, accuracy


def fitted_halves(path: Path, model: LocalModel, most: int) -> dict[str, np.ndarray]:
    """Return a head for each half of the pairs, and how many of the other half it got right."""
    found = pairs(path, model, most)
    talks = [talk for talk, _, _ in found]
    better = features(model, talks, [text for _, text, _ in found])
    worse = features(model, talks, [text for _, _, text in found])
    scale = np.concatenate([better, worse]).std(0) + 1e-6
    centre = np.concatenate([better, worse]).mean(0)
    half = len(found) // 2
    sides = {"half:a": slice(0, half), "half:b": slice(half, None)}
    result = {"centre": centre}
    for name, own in sides.items():
        other = sides["half:b" if name == "half:a" else "half:a"]
        head = fitted((better[own] - worse[own]) / scale) / scale
        right = (better[other] - worse[other]) @ head > 0
        result |= {f"{name}/head": head, f"{name}/right": np.array([right.sum(), len(right)])}
    return result


def measured(folder: Path, seed: int, path: Path, quick: bool) -> list[dict[str, Any]]:
    """Return one row a look of a run, the reward models' accuracy in the first."""
    settings = SETTINGS | (QUICK if quick else {})
    root = folder / ("quick" if quick else "full")
    if not root.exists():
        create_project(root, "household-helper")
    overrides = tuple(f"tune.rl.{name}={value}" for name, value in settings.items())
    project = open_project(root, overrides)
    model = open_local(base_folder(project.file.tune.model, place_of(project)))
    made, accuracy = reward_models(path, model, 120 if quick else PAIRS, root / "heads.npz")
    plan = plan_rl(project, seed)
    done = tune_rl(project, plan, resume=True, progress=SILENT, rewarders=made.__getitem__)
    rows = []
    for point in done.config["points"]:
        look = point["rl"]
        rows.append({
            "name": f"seed {seed}, step {look['step']}", "ours": True, "seed": seed,
            "step": look["step"], "n": look["n"], "reward": look["reward"],
            "held_aside_reward": look["held_aside_reward"],
            "kl_per_response": look["kl_per_response"], "costs": look["costs"],
            "refusal_adversarial": look["refusal_adversarial"],
            "refusal_other": look["refusal_other"], "wall_seconds": done.seconds,
            "chosen": point["adapter"] == done.config["chosen"]["adapter"],
            "stopped": done.config["stopped"], "accuracy": accuracy,
        })  # fmt: skip
    return rows


def shown(found: dict[str, Any]) -> str:
    """Return the table."""
    rows = found["rows"]
    lines = []
    for name, told in rows[0]["accuracy"].items():
        lines.append(f"reward model {name}: {told['value']:.2f} ({told['low']:.2f} to "
                     f"{told['high']:.2f}) of {told['n']} pairs of the other half")  # fmt: skip
    lines.append("rise of the rewards in sd of the start (95 %), KL in nats a response, share of")
    lines.append("queries refused in full (n)")
    heads = ("trained against", "held aside", "KL", "adversarial", "other", "minutes")
    lines.append("run                  {:20} {:20} {:>8}  {:12} {:12} {}".format(*heads))
    for row in rows:
        spans = [
            f"{row[name]['rise']:+.2f} ({row[name]['low']:+.2f} {row[name]['high']:+.2f})"
            for name in ("reward", "held_aside_reward")
        ]
        shares = [f"{row[name]['value']:.2f} ({row[name]['n']})"
                  for name in ("refusal_adversarial", "refusal_other")]  # fmt: skip
        lines.append(
            f"{row['name']:20} {spans[0]:20} {spans[1]:20} {row['kl_per_response']:8.2f}  "
            f"{shares[0]:12} {shares[1]:12} {row['wall_seconds'] / 60:5.1f}"
            + ("  chosen" if row["chosen"] else "")
        )
    return "\n".join(lines)


def main() -> int:
    """Run the benchmark."""
    parser = arguments(__doc__, quick="two steps of four responses, 120 pairs")
    parser.add_argument("--seeds", type=int, default=1, help="training seeds")
    parser.add_argument("--runs", type=Path, default=Path("rl-runs"), help="where runs are kept")
    data_option(parser)
    options = parser.parse_args()
    if line := lacking(options.data, [FILE]):
        print(line, file=sys.stderr)
        return 0
    rows = [
        row
        for seed in range(options.seeds)
        for row in measured(options.runs, seed, options.data / FILE, options.quick)
    ]
    return finish(options, report(rows, versions("torch", "transformers", "peft")), shown)


if __name__ == "__main__":
    sys.exit(main())
