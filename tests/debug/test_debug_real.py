"""The embedded model on prompts with planted evidence: is the sentence that matters found?"""

from pathlib import Path

import pytest

from selaras.debug import Settings
from selaras.debug.check import check_methods
from selaras.debug.opening import MODEL, open_debugged
from selaras.models.names import Place

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("one_thread")]


def test_planted_evidence_is_found(tmp_path: Path) -> None:
    model = open_debugged(MODEL, Place(tmp_path, tmp_path, tmp_path))
    methods = ("gradient", "leave-one-out", "surrogate")
    made = check_methods(model, methods, Settings(), 3, tmp_path)
    found = {each.method: each for each in made}
    for exact in ("leave-one-out", "surrogate"):
        assert found[exact].hit_at_1 == 1.0
        assert found[exact].lds > 0.8
        assert found[exact].lds > max(found[name].lds for name in ("length", "recency", "random"))
    # Gradients promise less: better than chance is what three prompts can hold them to.
    assert found["gradient"].lds > found["random"].lds
