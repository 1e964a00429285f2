"""How well does a reward model tell the better of two answers, and is it more than length?

    python benchmarks/reward.py [--data ../shared/data] [--quick] [--work DIR] [--json] [--out FILE]

Pairs of hh-rlhf (harmless-base), divided by the first turn of the dialogue, so that no dialogue is
on both sides; those longer than TOKENS are left out and counted. Methods: always the longer side
(or the shorter one, by the training pairs); a logistic regression on differences of static and of
MiniLM embeddings of the answers; the same on the untrained base's own states (where training
begins); and `tune reward`: that head and a LoRA adapter on SmolLM2-135M-Instruct. The epochs are
set in advance: nothing is chosen on the pairs aside.

Every finished method is written to --work and read again, and a killed training goes on from its
last checkpoint. No text of a row is printed.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import arguments, data_option, finish, report, timed, versions

from selaras.cli.frame import showing
from selaras.core.files import read_json, read_jsonl, write_json
from selaras.core.fingerprint import fingerprint
from selaras.core.records import Conversation, Message, Preference, Query
from selaras.core.tuning import RewardSettings
from selaras.data.formats.texts import HH_RLHF
from selaras.data.pairs import usable_pairs
from selaras.evaluate.pairs import pair_figures, score_pairs

FILE = Path("hh_rlhf_harmless") / "harmless-base_test_80.jsonl"
TOKENS, TRAIN, ASIDE, SEED = 144, 400, 250, 0
SETTINGS = RewardSettings(
    epochs=1, learning_rate=1e-4, batch_size=16, rank=16, layers=0.3, max_tokens=TOKENS
)
WORK = Path.home() / ".cache" / "selaras" / "benchmarks" / "reward"
Pairs = Sequence[Preference]


def main() -> int:
    """Run the methods and print their figures."""
    parser = arguments(__doc__, quick="32 pairs to train on, 32 aside")
    data_option(parser)
    parser.add_argument("--work", type=Path, default=WORK, help="where finished parts are kept")
    options = parser.parse_args()
    if not (options.data / FILE).is_file():
        sys.stderr.write(f"skipped: {options.data} lacks {FILE} (see its README.md)\n")
        return 2
    return finish(options, measured(options.data / FILE, options.work, options.quick), shown)


def measured(path: Path, work: Path, quick: bool) -> dict[str, Any]:
    """Return the figures of every method on the pairs aside."""
    settings = SETTINGS
    train, aside, too_long = fitting(*divided(read(path)))
    train, aside = (train[:32], aside[:32]) if quick else (train[:TRAIN], aside[:ASIDE])
    folder = work / fingerprint([settings.model_dump(mode="json"), [r.id for r in train]])[:12]
    methods: dict[str, Callable[[], list[float]]] = {
        "length": lambda: by_length(train, aside),
        "static embeddings, linear": lambda: by_embedding("static", train, aside),
        "selaras tune reward": lambda: by_reward(folder / "tuned", settings, train, aside),
        "MiniLM, linear": lambda: by_embedding("minilm", train, aside),
        "the base's states, linear": lambda: by_reward(folder / "probe", None, train, aside),
    }
    rows = []
    for name, method in methods.items():
        kept = folder / f"{fingerprint(name)[:8]}.json"
        if not kept.is_file():
            cost, margins = timed(method)
            figures = figures_of(margins, aside)
            write_json(kept, {"name": name, "ours": "selaras" in name, **figures, **cost})
        rows.append(read_json(kept))
        sys.stderr.write(f"{json.dumps(rows[-1])}\n")
    return report(
        rows, versions("torch", "transformers", "trl", "peft"), train=len(train), aside=len(aside),
        too_long=too_long, settings=settings.model_dump(mode="json"),
    )  # fmt: skip


def read(path: Path) -> list[Preference]:
    """Return the usable pairs of the file, in an order of their own hashes."""
    rows = []
    for line, fields in read_jsonl(path):
        try:
            rows.append(Preference.model_validate({"id": f"hh-{line}", **HH_RLHF.read(fields)}))
        except ValueError:
            continue
    return sorted(usable_pairs(rows).kept, key=lambda row: fingerprint([SEED, row.fingerprint]))


def divided(rows: Pairs) -> tuple[list[Preference], list[Preference]]:
    """Return (pairs to train on, pairs aside): a dialogue's first turn is on one side only."""
    sides: tuple[list[Preference], list[Preference]] = ([], [])
    for row in rows:
        first = row.turns[0].content if row.turns else row.query
        sides[int(fingerprint([SEED, first])[:8], 16) % 100 < 30].append(row)
    return sides


def fitting(train: Pairs, aside: Pairs) -> tuple[list[Preference], list[Preference], int]:
    """Return the pairs that are no longer than TOKENS, and how many are."""
    from selaras.models.local_chat import ChatTokenizer
    from selaras.models.local_reward import tokenizer_of
    from selaras.tune.choose_pairs import encode_pairs

    chat = ChatTokenizer(tokenizer_of(base()))
    long = set(encode_pairs([*train, *aside], asked, chat, TOKENS).too_long)
    kept = [[row for row in side if row.id not in long] for side in (train, aside)]
    return kept[0], kept[1], len(long)


def base() -> Path:
    """Return the folder of the embedded model."""
    from selaras.models.catalogue import get_bundled

    return get_bundled("smollm2-135m-instruct")


def asked(row: Query) -> Conversation:
    """Return the dialogue up to the answer."""
    return (*row.turns, Message(role="user", content=row.query))


def by_length(train: Pairs, aside: Pairs) -> list[float]:
    """Return margins by length alone, in the direction that the training pairs have."""
    apart = [len(row.response_a) - len(row.response_b) for row in train]
    sign = 1.0 if sum(value > 0 for value in apart) * 2 >= len(apart) else -1.0
    return [sign * (len(row.response_a) - len(row.response_b)) / 100 for row in aside]


def by_embedding(name: str, train: Pairs, aside: Pairs) -> list[float]:
    """Return margins of a logistic regression on differences of the answers' embeddings."""
    from selaras.models.names import open_embedder
    from selaras.tune.reward_trainer import fit_margins

    encoder = open_embedder(name)

    def apart(rows: Pairs) -> Any:
        sides = [encoder.embed([said(row) for row in rows])
                 for said in (lambda row: row.response_a, lambda row: row.response_b)]  # fmt: skip
        return (sides[0] - sides[1]).astype(np.float64)

    found: list[float] = (apart(aside) @ fit_margins(apart(train))).tolist()
    return found


def by_reward(
    folder: Path, settings: RewardSettings | None, train: Pairs, aside: Pairs
) -> list[float]:
    """Return margins of a trained reward model; without settings of the base with its head."""
    from selaras.models.local import pad_id
    from selaras.models.local_chat import ChatTokenizer
    from selaras.models.local_reward import LocalRewarder, load_scalar, open_reward, tokenizer_of
    from selaras.models.local_torch import torch
    from selaras.tune.choose_pairs import encode_pairs
    from selaras.tune.reward_trainer import begin_head, train_reward
    from selaras.tune.trainer import Training

    chat = ChatTokenizer(tokenizer_of(base()))
    encoded = encode_pairs(train, asked, chat, TOKENS)
    if settings is None:
        model, tokenizer = load_scalar(base(), torch.bfloat16)
        model.config.pad_token_id = pad_id(tokenizer)
        with showing() as progress:
            begin_head(model, encoded, progress)
        rewarder = LocalRewarder(model, chat, {"name": "probe"})
    else:
        training = Training(base(), encoded, settings, SEED, folder)
        with showing() as progress:
            checkpoints = train_reward(training, progress)
        rewarder = open_reward(base(), checkpoints[-1], "smollm2-135m-instruct")
    scores = score_pairs(aside, [row.id for row in aside], rewarder, asked)
    return [score.margin for score in scores]


def figures_of(margins: Sequence[float], aside: Pairs) -> dict[str, Any]:
    """Return accuracy with its interval, by length, and calibration."""
    from selaras.data.pairs import labels_of
    from selaras.evaluate.pairs import PairScore

    scores = [
        PairScore(row.id, row.turns[0].content if row.turns else row.query, (), "-",
                  labels_of(row), None, (margin, 0.0), (len(row.response_a), len(row.response_b)))
        for row, margin in zip(aside, margins, strict=True)
    ]  # fmt: skip
    found = pair_figures(scores)
    rate = found["accuracy"]
    return {
        "accuracy": round(rate["value"], 3), "low": round(rate["low"], 3),
        "high": round(rate["high"], 3), "n": rate["n"],
        "better_is_longer": round(found["length"]["better_is_longer"]["value"], 3),
        "better_is_shorter": round(found["length"]["better_is_shorter"]["value"], 3),
        "log_loss": round(found["calibration"]["log_loss"], 3),
        "calibration_error": round(found["calibration"]["error"], 3),
    }  # fmt: skip


def shown(result: dict[str, Any]) -> str:
    """Return the result as a table."""
    lines = [
        f"{result['train']} pairs to train on, {result['aside']} aside, {result['too_long']} left "
        f"out (longer than {TOKENS} tokens)",
        "| method | accuracy | better is longer | better is shorter | log-loss | CPU-s |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['name']} | {row['accuracy']:.3f} [{row['low']:.3f}, {row['high']:.3f}], "
        f"n {row['n']} | {row['better_is_longer']:.3f} | {row['better_is_shorter']:.3f} "
        f"| {row['log_loss']:.3f} | {row['cpu_seconds']:.0f} |"
        for row in result["rows"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
