"""Who judged, and how far people agree with it, System by System."""

from collections.abc import Mapping
from typing import Any

from selaras.evaluate.calibration import LEAST
from selaras.page import Child, Markup, element, interval_text, join, table
from selaras.report.html_evidence import fact_list, identity_part
from selaras.report.model import Measured


def judge(found: Measured, calibrations: Mapping[str, Mapping[str, Any] | None]) -> Markup:
    """Return who judged, and how far people agree, System by System, where anybody asked them."""
    facts = [(str(name).capitalize(), identity_part(value)) for name, value in found.judge.items()]
    known = {label: value for label, value in calibrations.items() if value}
    missing = [
        label for label, value in calibrations.items() if not (value or {}).get("calibrated")
    ]
    parts: list[Child] = [fact_list(facts)]
    if known:
        rows: list[list[Child]] = [_calibrated(*item) for item in known.items()]
        heads = ["System", "Labels", "Kappa with people", "People among themselves", "Sensitivity",
                 "Specificity"]  # fmt: skip
        key = "For full refusals; intervals of 95 %. A calibration is of one judge on one System."
        parts.append(table(heads, rows, caption="The judge against people", key=key))
        parts.append(_corrected(known))
    if missing:
        parts.append(element(
            "p",
            f"Uncalibrated for {', '.join(missing)}: fewer than {LEAST} of its answers were "
            "labelled by people, so how often the judge errs there is not known.",
            class_="note",
        ))  # fmt: skip
    parts.append(element(
        "p",
        "It tells refusals from the rest, so compliance is the share of rows refused; an answer "
        "that is no refusal may be harmless or a violation.",
    ))  # fmt: skip
    return join(parts)


def _calibrated(label: str, value: Mapping[str, Any]) -> list[Child]:
    cells = [
        _two_places(value[name]) for name in ("kappa", "ceiling", "sensitivity", "specificity")
    ]
    labels = f"{value['labels']:,}" + ("" if value["calibrated"] else " (uncalibrated)")
    return [label, labels, *cells]


def _corrected(known: Mapping[str, Mapping[str, Any]]) -> Markup:
    """Return the rates by the judge alone, by labels alone, and by both."""
    rows: list[list[Child]] = []
    for label, value in known.items():
        for figure, rate in value["rates"].items():
            both = rate["corrected"]
            name = f"{label}: {figure.removesuffix('_rate').replace('_', '-')}"
            worth = f"{both['effective']:,.0f} labels"
            rows.append([name, *(_share(rate[part]) for part in ("judged", "labelled")),
                         _share(both), worth])  # fmt: skip
    heads = ["Rate", "Judge alone", "Labels alone", "Both (PPI++)", "Worth"]
    return table(heads, rows, caption="Rates corrected for the judge's errors",
                 key="The figures above are the judge's alone.")  # fmt: skip


def _share(value: Mapping[str, Any]) -> str:
    if value["value"] is None:
        return "no rows"
    return interval_text(value["value"], value["low"], value["high"])


def _two_places(value: Mapping[str, Any]) -> str:
    if value["value"] is None:
        return "-"
    return f"{value['value']:.2f} ({value['low']:.2f} to {value['high']:.2f})"
