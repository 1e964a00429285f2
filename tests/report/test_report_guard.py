"""The page of a fitted guard: what it says first, what it draws, and that it holds no text."""

import numpy as np
import pytest

from selaras.core.manifest import Manifest
from selaras.data import DEVELOPMENT_FIGURES
from selaras.report.guard_html import render_guard
from selaras.safeguard.curves import RowScore, band, curve_figures

RNG = np.random.default_rng(3)
SCORES = tuple(
    RowScore(f"row-{i}", "query", "malicious" if i % 3 == 0 else "look_alike", ("hate",),
             f"g{i // 2}", i % 3 == 0, float(RNG.beta(4 if i % 3 == 0 else 2, 3)))
    for i in range(90)
)  # fmt: skip
ABOUT = {"positives": 30, "negatives": 60, "threshold": 0.7, "budget": 0.05}


@pytest.fixture(scope="module")
def page():
    figures = {
        "features": {"tier": "static"},
        "sides": {"query": {**ABOUT, **curve_figures(SCORES, 0.7)}},
        "unfitted": {"response": "2 unsafe responses of 60; 20 of these are needed"},
        "unread": {"query": 4},
    }
    manifest = Manifest(
        id="guard-x", kind="guard", started="2026-11-23T00:00:00+00:00",
        config={"name": "main"}, stamp=DEVELOPMENT_FIGURES, figures=figures,
    )  # fmt: skip
    return render_guard(manifest, SCORES, "<b>shop</b>")


def test_it_says_first_what_the_figures_are_and_what_is_not_fitted(page):
    stamped, unfitted = (page.index(text) for text in ("out of fold", "2 unsafe responses"))
    assert stamped < unfitted < page.index("<svg")
    assert "4 texts in scripts" in page
    assert "<b>shop" not in page
    assert "row-1" not in page


def test_each_policy_has_a_curve_with_a_band_and_its_threshold(page):
    wide = [part.partition("</svg>")[0] for part in page.split('<svg class="wide"')[1:]]
    assert [svg.count("<polygon") for svg in wide[:2]] == [1, 1]
    assert all("<polyline" in svg and "<circle" in svg for svg in wide[:2])


def test_a_band_holds_its_curve_and_narrows_with_rows():
    few, many = band(SCORES[:30]), band(SCORES * 10)
    for points in (few, many):
        assert all(0 <= low <= p <= high <= 1 for _, p, low, high in points)
        assert [r for r, *_ in points] == sorted(r for r, *_ in points)
    assert band(SCORES, "unknown") == []
