"""The shapes of the ten digits: the pen's path for each way of writing them.

Points are "x,y" in hundredths of a box, x to the right and y down, in the order in which the pen passes them. A stroke
is a smooth curve through its points; between two strokes is a corner, or the pen is lifted.
"""

from typing import NamedTuple


class Skeleton(NamedTuple):
    """One way of writing one digit.

    Attributes:
      weight: relative frequency among the digit's skeletons.
      width: smallest and largest width, for a height of 1.
      strokes: the pen's path, each stroke a tuple of points (x, y) in a unit box.
    """

    weight: float
    width: tuple[float, float]
    strokes: tuple[tuple[tuple[float, float], ...], ...]


def _read(weight: float, width: tuple[float, float], *strokes: str) -> Skeleton:
    points = lambda stroke: tuple(tuple(int(n) / 100 for n in point.split(",")) for point in stroke.split())  # noqa: E731
    return Skeleton(weight, width, tuple(points(stroke) for stroke in strokes))


# fmt: off
SKELETONS: dict[int, tuple[Skeleton, ...]] = {
    0: (
        _read(3, (0.62, 0.95),  # closed
              "62,3 35,5 12,28 6,60 22,92 52,99 82,82 95,48 85,15 60,2"),
        _read(1, (0.62, 0.95),  # open at the top
              "78,10 50,0 20,16 5,55 20,90 50,100 82,85 96,50 86,18 62,6 45,12"),
    ),
    1: (
        _read(5, (0.16, 0.34),  # one stroke
              "50,0 50,30 50,65 50,100"),
        _read(2, (0.3, 0.45),  # with a flag
              "8,25 35,13 62,0",
              "62,0 60,35 58,70 57,100"),
        _read(0.5, (0.45, 0.6),  # with a flag and a foot
              "12,24 35,13 55,0",
              "55,0 54,50 54,98",
              "12,98 50,99 93,97"),
    ),
    2: (
        _read(3, (0.7, 1.0),  # plain
              "12,24 28,5 58,0 82,16 80,40 55,67 30,85 6,97",
              "6,97 35,93 65,96 96,95"),
        _read(3, (0.7, 1.0),  # with a loop
              "14,20 36,2 68,4 82,24 72,50 46,76 22,93 7,90 10,76 28,74 52,88 76,98 98,88"),
    ),
    3: (
        _read(3, (0.6, 0.85),  # two bowls
              "14,13 42,0 76,7 82,26 66,42 36,48",
              "36,48 68,50 88,66 84,88 55,100 24,97 5,84"),
        _read(2, (0.6, 0.85),  # in one stroke
              "16,16 40,2 70,5 80,22 68,38 42,45 50,48 78,56 88,76 70,95 40,100 8,90"),
        _read(1, (0.65, 0.85),  # flat top
              "10,4 45,3 84,2",
              "84,2 65,22 42,42",
              "42,42 75,47 90,68 75,92 42,100 6,90"),
    ),
    4: (
        _read(3, (0.65, 0.9),  # open
              "16,4 10,28 10,50 30,56 60,53 90,48",
              "82,0 78,33 74,66 70,100"),
        _read(2, (0.65, 0.9),  # closed
              "68,0 48,28 26,50 5,66",
              "5,66 35,65 65,63 97,61",
              "68,0 68,35 66,70 65,100"),
        _read(1, (0.6, 0.85),  # open, round
              "30,0 14,30 10,52 34,62 62,56 88,44",
              "90,6 80,36 72,68 66,100"),
    ),
    5: (
        _read(3, (0.65, 0.95),  # hat drawn last
              "30,4 26,22 20,44",
              "20,44 46,36 76,44 88,66 76,90 45,100 6,92",
              "30,4 60,3 95,0"),
        _read(1, (0.6, 0.9),  # in one stroke
              "92,3 60,4 36,10 24,30 34,42 62,50 76,70 66,92 36,100 8,94"),
    ),
    6: (
        _read(3, (0.55, 0.8),  # round
              "72,0 42,16 18,42 7,70 20,94 52,100 84,88 88,68 66,55 36,60 14,78"),
        _read(1, (0.5, 0.75),  # slim
              "50,0 26,26 10,56 12,84 38,100 74,94 92,74 74,58 44,60 20,78"),
    ),
    7: (
        _read(3, (0.6, 0.85),  # plain
              "5,8 35,6 65,5 93,2",
              "93,2 76,32 58,64 46,100"),
        _read(1, (0.6, 0.85),  # crossed
              "5,8 35,6 65,5 93,2",
              "93,2 74,32 56,64 44,100",
              "30,52 56,50 84,47"),
        _read(1, (0.55, 0.8),  # with a serif
              "8,24 8,12 12,5",
              "12,5 40,6 68,4 92,4",
              "92,4 84,30 70,62 64,100"),
        _read(1, (0.55, 0.8),  # in one stroke
              "6,16 26,3 60,4 86,8 84,24 66,55 50,78 42,100"),
    ),
    8: (
        _read(3, (0.5, 0.78),  # from the top right
              "80,12 50,0 20,12 24,33 54,47 82,66 80,90 46,100 14,88 18,66 48,48 78,30 84,10"),
        _read(1, (0.5, 0.75),  # from the middle
              "50,46 20,36 16,14 46,0 80,10 82,32 50,46 16,62 10,86 46,100 86,88 84,62 50,46"),
    ),
    9: (
        _read(3, (0.55, 0.8),  # straight tail
              "82,20 62,1 28,8 10,30 26,48 58,44 84,18",
              "84,18 82,45 78,72 72,100"),
        _read(2, (0.5, 0.78),  # curved tail
              "84,22 60,0 24,8 10,32 30,50 62,42 84,16 84,45 76,75 56,97 22,98"),
        _read(1, (0.5, 0.75),  # slanted tail
              "86,24 70,3 36,2 12,20 20,44 54,46 82,26 74,55 58,80 42,100"),
    ),
}
