"""Paths and clouds join points that are drawn, behind the marks, and nothing else."""

import math
import re

from selaras.page import Point, tradeoff


def point(label: str, x: float, y: float) -> Point:
    return Point(label, x, x, x, y, y, y)


AXES = {"x_label": "a", "y_label": "b", "x_better": "low", "y_better": "high"}


def test_a_path_is_one_line_between_neighbours_and_a_cloud_one_shape():
    points = [point("base", 0.1, 0.1), point("half", 0.2, 0.5), point("whole", 0.4, 0.9),
              point("none", math.nan, 0.5)]  # fmt: skip
    plain = str(tradeoff(points, **AXES))
    path = str(tradeoff(points, **AXES, paths=[["base", "half", "none", "whole"]]))
    assert path.count("stroke-dasharray") == 2 * 2, "on paper and on a phone"
    assert "stroke-dasharray" not in plain
    cloud = str(tradeoff(points, **AXES, clouds=[["base", "half", "whole"], ["none"], ["base"]]))
    assert len(re.findall(r"<polygon[^>]*stroke-linejoin", cloud)) == 2
