"""The page of a reward model: accuracy, what it may rest on, whether sigmoid(margin) holds."""

from collections.abc import Iterator, Mapping
from typing import Any

from selaras.core.manifest import Manifest
from selaras.page import BarRow, Child, Markup, element, interval_bars, join, page, rate_text, table

WHERE = {"aside": "pairs kept aside (development)", "sealed": "sealed pairs"}
GROUPS = {
    "by_policy": "policy",
    "by_kind": "kind",
    "by_direction": "it teaches",
    "by_labels": "labels",
}


def render_reward(manifest: Manifest) -> str:
    """Return the page of a finished reward model's run."""
    places = [where for where in WHERE if where in manifest.figures]
    return page(
        f"Reward model {manifest.id}",
        join([_counts(manifest), *(_section(where, manifest.figures[where]) for where in places)]),
        lede="How often the better response of a pair gets the higher reward. A coin gets 50 %.",
        footer="Made by selaras tune reward. Intervals of 95 %, clustered by split group.",
    )


def _counts(manifest: Manifest) -> Markup:
    config = manifest.config
    labels = [(name, n) for name, n in config.get("labels", {}).items()]
    long = len(config.get("too_long", ()))
    return element(
        "section",
        element("h2", "What it was trained on"),
        element("p", f"{config.get('pairs', 0):,} pairs; {len(config.get('left_out', ()))} left "
                f"out because they say nothing, {long} because they are too long."),
        table(("better side / worse side", "pairs"), labels, caption="Labels of the pairs"),
    )  # fmt: skip


def _section(where: str, figures: Mapping[str, Any]) -> Markup:
    name, length = WHERE[where], figures["length"]
    rows: list[tuple[Child, ...]] = [
        ("accuracy", _rate(figures["accuracy"])),
        ("better side is the longer one", _rate(length["better_is_longer"])),
        ("better side is the shorter one", _rate(length["better_is_shorter"])),
        (f"always taking the {length['rule']} side", _rate(length["length_only"])),
    ]
    tie = length["correlation"]
    said = "unknown" if tie is None else f"{tie:+.2f}"
    return element(
        "section",
        element("h2", f"On {name}"),
        table(("", "accuracy"), rows, caption=f"Accuracy on {name}"),
        element("p", f"Correlation of reward and length: {said}. Expected calibration error: "
                f"{figures['calibration']['error']:.3f}; log-loss "
                f"{figures['calibration']['log_loss']:.3f} (a coin: 0.693)."),
        interval_bars(list(_groups(figures)), x_label="pairs in the right order",
                      title=f"Accuracy in groups, {name}", threshold=0.5,
                      threshold_label="a coin"),
        interval_bars(list(_reliability(figures)), x_label="share",
                      title=f"Reliability of sigmoid(margin), {name}"),
    )  # fmt: skip


def _groups(figures: Mapping[str, Any]) -> Iterator[BarRow]:
    for key, title in GROUPS.items():
        for name, found in figures[key].items():
            yield _bar(f"{title}: {name}", "accuracy", found)


def _reliability(figures: Mapping[str, Any]) -> Iterator[BarRow]:
    for each in figures["calibration"]["bins"]:
        group = f"sure by {each['low']:.0%} to {each['high']:.0%}"
        yield _bar(group, "right", each["accuracy"])
        said = each["confidence"]
        yield BarRow(group, "claimed", said, said, said, each["accuracy"]["n"])


def _bar(group: str, series: str, found: Mapping[str, Any]) -> BarRow:
    return BarRow(group, series, found["value"], found["low"], found["high"], found["n"])


def _rate(found: Mapping[str, Any]) -> str:
    return rate_text(found["value"], found["low"], found["high"], found["n"])
