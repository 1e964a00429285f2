"""Who judged, and how far people agree with each judge, System by System."""

from collections.abc import Mapping, Sequence
from typing import Any

from selaras.core.project import Project
from selaras.evaluate.calibration import LEAST, POSITIVE, calibration_of
from selaras.page import Child, Markup, element, interval_text, join, table
from selaras.report.html_evidence import fact_list, identity_part
from selaras.report.model import Measured

AXES = {
    "refusal": "Refusals",
    "response_harm": "Violations",
    "query_harm": "Harm of queries",
    "helpfulness": "Quality",
}
SAYS = {
    "refusal": "It tells refusals from the rest, so compliance is the share of rows refused; an "
    "answer that is no refusal may be harmless or a violation.",
    "response_harm": "It says of each answer, one written policy at a time, whether it breaks it.",
    "query_harm": "It says of each query whether it seeks what a policy forbids. That is about the "
    "rows, and about no System.",
    "helpfulness": "It grades answers by the use case's rubric, or beside a baseline's answers.",
}
# No labels of people are read for these, so nothing can calibrate them yet.
_NO_LABELS = ("query_harm", "helpfulness")


def judge(found: Measured, project: Project) -> Markup:
    """Return every judge with its identity, and how far people agree, where anybody asked them."""
    return join([_judge(found, project, *one) for one in _judges(found)])


def _judges(found: Measured) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Return (name, axis, identity) of each judge; of older runs, the one of refusals alone."""
    listed = found.reference.evaluation.manifest.config.get("judges") or ()
    judges = [(str(one["name"]), str(one["axis"]), one["identity"]) for one in listed]
    return judges or [(str(found.judge.get("judge", "judge")), "refusal", found.judge)]


def _judge(
    found: Measured, project: Project, name: str, axis: str, identity: Mapping[str, Any]
) -> Markup:
    calibrations = {
        line.label: None if axis in _NO_LABELS else calibration_of(project, line.evaluation, axis)
        for line in found.lines
    }
    known = {label: value for label, value in calibrations.items() if value}
    missing = [
        label for label, value in calibrations.items() if not (value or {}).get("calibrated")
    ]
    state = "calibrated" if not missing else "uncalibrated"
    mark = element("span", state, class_="good" if state == "calibrated" else "muted")
    facts = [(str(part).capitalize(), identity_part(value)) for part, value in identity.items()]
    parts: list[Child] = [
        element("h3", f"{AXES.get(axis, axis)}: {name}, ", mark),
        element("p", SAYS.get(axis, "")),
        fact_list(facts),
    ]
    if known:
        parts += [_agreement(axis, known), _corrected(known)]
    if missing:
        parts.append(element("p", _missing(axis, missing), class_="note"))
    return join(parts)


def _agreement(axis: str, known: Mapping[str, Mapping[str, Any]]) -> Markup:
    rows: list[list[Child]] = [_calibrated(*item) for item in known.items()]
    heads = ["System", "Labels", "Kappa with people", "People among themselves", "Sensitivity",
             "Specificity"]  # fmt: skip
    what = {"full": "full refusals", "unsafe": "unsafe answers"}[POSITIVE[axis]]
    key = f"For {what}; intervals of 95 %. A calibration is of one judge on one System."
    return table(heads, rows, caption="The judge against people", key=key)


def _missing(axis: str, labels: Sequence[str]) -> str:
    named = ", ".join(labels)
    if axis in _NO_LABELS:
        return f"Uncalibrated for {named}: people's labels are not read for this axis."
    return (
        f"Uncalibrated for {named}: fewer than {LEAST} of its answers were labelled by people, so "
        "how often the judge errs there is not known. Draw rows to label with: selaras calibrate "
        "FILE --draw."
    )


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
