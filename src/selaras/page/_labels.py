"""Where to put the names of points, so that none covers a point or another name.

Greedy, most crowded first: of the free places around a point (eight directions, growing distance)
the one with the least cost is taken, where crossing a line and lying far away cost; then each name
is placed again among the others until none moves. A name that cannot stand beside its point gets a
leader line. This is not the best placement, but one without overlaps, and the same on every run.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Segment = tuple[float, float, float, float]

_DIRECTIONS = ((1, -1), (1, 1), (-1, -1), (-1, 1), (1, 0), (-1, 0), (0, -1), (0, 1))
_DISTANCES = (1.0, 6.0, 14.0, 24.0, 36.0, 50.0, 68.0, 90.0, 120.0)
_LEADER_FROM = 16.0
_PASSES = 4


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box", gap: float = 0.0) -> bool:
        """Return whether the two come closer than `gap`."""
        return (
            self.left < other.right + gap
            and other.left < self.right + gap
            and self.top < other.bottom + gap
            and other.top < self.bottom + gap
        )

    def within(self, area: "Box") -> bool:
        """Return whether the box lies in the area."""
        return (
            self.left >= area.left
            and self.right <= area.right
            and self.top >= area.top
            and self.bottom <= area.bottom
        )

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """Return the point of the box that is nearest to (x, y)."""
        return min(max(x, self.left), self.right), min(max(y, self.top), self.bottom)

    def crossed(self, segment: Segment) -> bool:
        """Return whether a line passes through the box (Liang and Barsky's clipping)."""
        x1, y1, x2, y2 = segment
        enters, leaves = 0.0, 1.0
        for step, low, high in (
            (x2 - x1, self.left - x1, self.right - x1),
            (y2 - y1, self.top - y1, self.bottom - y1),
        ):
            if step == 0:
                if low > 0 or high < 0:
                    return False
                continue
            first, last = sorted((low / step, high / step))
            enters, leaves = max(enters, first), min(leaves, last)
        return enters <= leaves


@dataclass(frozen=True, slots=True)
class Anchor:
    """A point that wants a name of this size; `radius` is kept free around it."""

    x: float
    y: float
    width: float
    height: float
    radius: float

    def mark(self) -> Box:
        """Return the square that the mark takes."""
        r = self.radius
        return Box(self.x - r, self.y - r, self.x + r, self.y + r)


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a name stands, and the line from its point where it stands apart."""

    box: Box
    leader: Segment | None = None


def place(
    anchors: Sequence[Anchor], *, area: Box, taken: Sequence[Box], bars: Sequence[Segment]
) -> list[Placed | None]:
    """Return a place for each anchor's name, or None where the area has no room left.

    No place overlaps another, a mark or `taken`; `bars` are crossed only where it cannot be helped.
    """
    fixed = [*taken, *(anchor.mark() for anchor in anchors)]
    order = sorted(range(len(anchors)), key=lambda i: (-_crowd(anchors, i), i))
    found: list[Placed | None] = [None] * len(anchors)
    for _ in range(_PASSES):
        before = list(found)
        for index in order:
            others = [spot for i, spot in enumerate(found) if spot and i != index]
            blocked = fixed + [spot.box for spot in others]
            leaders = [spot.leader for spot in others if spot.leader]
            found[index] = _best(anchors[index], area, blocked, bars, leaders)
        if found == before:
            break
    return found


def _crowd(anchors: Sequence[Anchor], index: int) -> int:
    here = anchors[index]
    return sum(math.hypot(here.x - a.x, here.y - a.y) < 80 for a in anchors)


def _best(
    anchor: Anchor,
    area: Box,
    blocked: Sequence[Box],
    bars: Sequence[Segment],
    leaders: Sequence[Segment],
) -> Placed | None:
    """Return the free place of least cost around an anchor, or else the nearest one anywhere."""
    own = anchor.mark()
    others = [box for box in blocked if box != own]
    best, least = None, math.inf
    for cost, box in _around(anchor):
        x, y = box.nearest(anchor.x, anchor.y)
        gap = math.hypot(x - anchor.x, y - anchor.y) - anchor.radius
        leader = (anchor.x, anchor.y, x, y) if gap >= _LEADER_FROM else None
        cost += gap * 0.9 + (6 if leader else 0)
        if cost >= least or not _free(box, area, blocked):
            continue
        cost += 14 * sum(box.crossed(line) for line in (*bars, *leaders))
        if leader:
            cost += 30 * sum(other.crossed(leader) for other in others)
            cost += 20 * sum(_cross(leader, other) for other in leaders)
        if cost < least:
            best, least = Placed(box, leader), cost
    return best or _anywhere(anchor, area, blocked)


def _anywhere(anchor: Anchor, area: Box, blocked: Sequence[Box]) -> Placed | None:
    columns = range(int((area.right - area.left - anchor.width) // 10) + 1)
    lines = range(int((area.bottom - area.top - anchor.height) // 6) + 1)
    corners = [(area.left + 10 * i, area.top + 6 * j) for i in columns for j in lines]
    boxes = [Box(x, y, x + anchor.width, y + anchor.height) for x, y in corners]
    boxes.sort(key=lambda box: math.dist(box.nearest(anchor.x, anchor.y), (anchor.x, anchor.y)))
    for box in boxes:
        if _free(box, area, blocked):
            return Placed(box, (anchor.x, anchor.y, *box.nearest(anchor.x, anchor.y)))
    return None


def _free(box: Box, area: Box, blocked: Sequence[Box]) -> bool:
    return box.within(area) and not any(box.overlaps(other, 1.5) for other in blocked)


def _around(anchor: Anchor) -> Iterator[tuple[float, Box]]:
    half_width, half_height = anchor.width / 2, anchor.height / 2
    for distance in _DISTANCES:
        reach = anchor.radius + distance
        for rank, (right, down) in enumerate(_DIRECTIONS):
            # On the diagonals the corner of the name, not its edge, faces the point.
            closer = 0.7 if right and down else 1.0
            x = anchor.x + right * (reach * closer + half_width)
            y = anchor.y + down * (reach * closer + half_height)
            yield (
                rank * 0.8,
                Box(x - half_width, y - half_height, x + half_width, y + half_height),
            )


def _cross(one: Segment, two: Segment) -> bool:
    def side(line: Segment, x: float, y: float) -> bool:
        return (line[2] - line[0]) * (y - line[1]) > (line[3] - line[1]) * (x - line[0])

    return side(one, *two[:2]) != side(one, *two[2:]) and side(two, *one[:2]) != side(two, *one[2:])
