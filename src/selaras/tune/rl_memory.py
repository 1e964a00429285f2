"""What RL of an adapter keeps in memory, part by part, before anything is loaded.

One copy of the base is policy, reference and sampler; each reward model is a copy of its own. The
two peaks are apart: while it samples it keeps keys and values, while it learns activations and
logits of one part of the batch. The bytes of activations are counted from the shapes that autograd
keeps for a Llama-like block: what a frozen matrix needs for its input's gradient (nothing), what
the adapters and the non-linear parts keep.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError
from selaras.core.files import read_json
from selaras.core.tuning import Tuning

GIGABYTE = 1 << 30
# Tokens of a query beside those that are sampled: the chat template's and the question's.
PROMPT_TOKENS = 96
# What is left for the allocator, the libraries and the copies that kernels make.
HEADROOM = 1.15


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder's sizes; `tied` says that the vocabulary's projection is its embedding."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    key_value_heads: int
    head: int
    vocabulary: int
    tied: bool

    @property
    def linears(self) -> tuple[tuple[int, int], ...]:
        """The (in, out) of the linear modules of a block."""
        wide, narrow = self.heads * self.head, self.key_value_heads * self.head
        return (
            (self.hidden, wide), (self.hidden, narrow), (self.hidden, narrow), (wide, self.hidden),
            (self.hidden, self.intermediate), (self.hidden, self.intermediate),
            (self.intermediate, self.hidden),
        )  # fmt: skip

    @property
    def parameters(self) -> int:
        """How many weights it has."""
        blocks = self.layers * (sum(a * b for a, b in self.linears) + 2 * self.hidden)
        return blocks + self.hidden + self.vocabulary * self.hidden * (1 if self.tied else 2)


# Published configurations of models that fit 24 GB, or just do not.
SHAPES = {
    "SmolLM2-135M": Shape(30, 576, 1536, 9, 3, 64, 49152, True),
    "SmolLM2-360M": Shape(32, 960, 2560, 15, 5, 64, 49152, True),
    "Qwen2.5-0.5B": Shape(24, 896, 4864, 14, 2, 64, 151936, True),
    "Llama-3.2-1B": Shape(16, 2048, 8192, 32, 8, 64, 128256, True),
    "Qwen2.5-1.5B": Shape(28, 1536, 8960, 12, 2, 128, 151936, True),
    "Llama-3.2-3B": Shape(28, 3072, 8192, 24, 8, 128, 128256, True),
    "Qwen2.5-7B": Shape(28, 3584, 18944, 28, 4, 128, 152064, False),
    "Llama-3.1-8B": Shape(32, 4096, 14336, 32, 8, 128, 128256, False),
}


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes by part; `sampling` and `learning` are never held at the same time."""

    policy: int
    reference: int
    reward_models: int
    adapter: int
    gradients: int
    optimizer: int
    sampling: int
    activations: int
    logits: int

    @property
    def kept(self) -> int:
        """What is there all the time."""
        return (self.policy + self.reference + self.reward_models + self.adapter
                + self.gradients + self.optimizer)  # fmt: skip

    @property
    def peak(self) -> int:
        """The most at once, with room for the allocator."""
        passing = max(self.sampling, self.activations + self.logits)
        return round(HEADROOM * (self.kept + passing))

    def to_dict(self) -> dict[str, int]:
        """Return the bytes by part, and the peak."""
        return {**asdict(self), "peak": self.peak}

    @property
    def text(self) -> str:
        """One line a part, in GB."""
        lines = [f"  {name.replace('_', ' '):14} {size(value)}"
                 for name, value in self.to_dict().items()]  # fmt: skip
        return "\n".join(lines)


def size(value: int) -> str:
    """Return bytes for people.

    >>> size(24 << 30), size(300 << 20)
    ('24.0 GB', '300 MB')
    """
    return f"{value / GIGABYTE:.1f} GB" if value >= GIGABYTE else f"{value >> 20} MB"


def plan_memory(
    shape: Shape, settings: Tuning, *, reward_models: int = 1, width: int = 2,
    part_tokens: int = 640, prompt: int = PROMPT_TOKENS,
) -> MemoryPlan:  # fmt: skip
    """Return the bytes that RL takes; `width` is bytes a weight (2 in bf16, 4 in fp32).

    `part_tokens` is how many tokens learn at once, with their prompts.
    """
    rl = settings.rl
    adapted = max(1, round(settings.layers * shape.layers))
    lora = adapted * sum((a + b) * settings.rank for a, b in shape.linears)
    batch = min(128, max(rl.queries * rl.samples, rl.watch_queries))
    length = prompt + rl.max_tokens
    cache = 2 * shape.layers * shape.key_value_heads * shape.head * width * batch * length
    # A part holds a whole group, however long.
    tokens = max(part_tokens, rl.samples * length)
    replies = tokens * rl.max_tokens // length
    return MemoryPlan(
        policy=shape.parameters * width,
        reference=0,
        reward_models=reward_models * shape.parameters * width,
        adapter=lora * 4,
        gradients=lora * 4,
        optimizer=2 * lora * 4,
        # The logits of one position, in float32 for sampling, sorted copies among them.
        sampling=cache + 3 * batch * shape.vocabulary * 4,
        activations=tokens * adapted * kept_a_token(shape, settings.rank, width),
        # The logits in float32, their log-softmax and its gradient.
        logits=replies * shape.vocabulary * (3 * 4 + width),
    )


def kept_a_token(shape: Shape, rank: int, width: int) -> int:
    """Return the bytes that autograd keeps of a token in one adapted block.

    The norms keep their inputs in float32; every adapter its input in float32 and its own middle;
    attention its queries, keys, values and result (fused: no matrix of scores); the feed-forward
    part its gate before and after the activation, and what the gate multiplies.
    """
    wide, narrow = shape.heads * shape.head, shape.key_value_heads * shape.head
    norms = 2 * shape.hidden * 4
    # Modules that read the same states share them, but a cast to float32 is a copy a module.
    shared = 2 * shape.hidden + wide + shape.intermediate
    inputs = shared if width == 4 else sum(a for a, _ in shape.linears)
    adapters = (inputs + len(shape.linears) * rank) * 4
    attention = 2 * (wide + narrow) * width
    gate = 3 * shape.intermediate * width
    return norms + adapters + attention + gate


def shape_of(folder: Path) -> Shape:
    """Return the sizes in a folder's config.json; raises InputError where it has none."""
    config = read_json(folder / "config.json")
    text: dict[str, Any] = {**config, **config.get("text_config", {})}
    try:
        heads = int(text["num_attention_heads"])
        return Shape(
            int(text["num_hidden_layers"]), int(text["hidden_size"]),
            int(text["intermediate_size"]), heads,
            int(text.get("num_key_value_heads") or heads),
            int(text.get("head_dim") or text["hidden_size"] // heads),
            int(text["vocab_size"]), bool(text.get("tie_word_embeddings", True)),
        )  # fmt: skip
    except KeyError as error:
        raise InputError(f"the configuration has no {error}", path=folder / "config.json",
                         fix="RL needs a decoder as transformers writes it") from error  # fmt: skip


def fitting(settings: Tuning, gigabytes: float = 24) -> list[tuple[str, MemoryPlan, bool]]:
    """Return the plan of every named size (two reward models, bf16), and whether it fits."""
    plans = [
        (name, plan_memory(shape, settings, reward_models=2, part_tokens=4096))
        for name, shape in SHAPES.items()
    ]
    return [(name, plan, plan.peak <= gigabytes * GIGABYTE) for name, plan in plans]
