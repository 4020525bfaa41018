"""Generate digits that look handwritten with NumPy: no file, no network, the same bytes for the same seed.

For each digit a skeleton is chosen, its points are displaced, the path is bent, slanted and scaled like MNIST's digits,
and drawn with a round pen.
"""

from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from vqtutor.data.skeletons import SKELETONS, Skeleton

SIZE = 28  # pixels a side
BOX = 20.0  # pixels: the longer side of a digit's ink, as in MNIST
STEPS = 72  # pen positions along a path, under a pixel apart
TREMBLE = 0.045  # standard deviation of a point's displacement, in units of the height
BEND = 0.035  # standard deviation of the amplitude of the slow waves, in units of the height
CHUNK = 256  # images drawn at a time, small enough for the processor's cache


class _Plan(NamedTuple):
    """A skeleton ready to be drawn many times: `spline @ (points + tremble @ noise)` is a path."""

    width: tuple[float, float]
    points: np.ndarray  # [K, 2]
    spline: np.ndarray  # [STEPS, K]
    tremble: np.ndarray  # [K, K]


def draw(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw digits.

    Args:
      count: number of images; the ten digits are equally frequent, in random order.
      seed: the same seed gives the same bytes.

    Returns:
      images, uint8 [count, 28, 28, 1], from 0 (background) to 255 (full ink), and labels, int32 [count].
    """
    images, labels = _draw(int(count), int(seed))
    return images.copy(), labels.copy()  # the caller may change them


@lru_cache(maxsize=2)
def _draw(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % 10).astype(np.int32)
    radius = np.clip(1.15 * np.exp(rng.normal(0, 0.24, (count, 1))), 0.7, 2.0)  # pixels
    path = _place(_bend(_paths(labels, rng), rng), radius, rng)
    return _ink(path, radius, rng)[..., np.newaxis], labels


def _paths(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Write each label in one of its ways: float64 [N, STEPS, 2], y from -0.5 (top) to 0.5, x around 0."""
    path = np.empty((len(labels), STEPS, 2))
    for digit, skeletons in SKELETONS.items():
        rows = np.flatnonzero(labels == digit)
        weights = np.array([skeleton.weight for skeleton in skeletons])
        ways = rng.choice(len(skeletons), len(rows), p=weights / weights.sum())
        for way, skeleton in enumerate(skeletons):
            mine, plan = rows[ways == way], _plan(skeleton)
            stray = plan.tremble @ rng.normal(0, TREMBLE, (len(mine), *plan.points.shape))
            stray[..., 0] *= 1.3 / max(plan.width[1], 0.5)  # equal displacement sideways for narrow and wide digits
            path[mine] = plan.spline @ (plan.points + stray) - 0.5
            path[mine, :, 0] *= rng.uniform(*plan.width, (len(mine), 1))
    return path


@cache
def _plan(skeleton: Skeleton) -> _Plan:
    points = list(dict.fromkeys(point for stroke in skeleton.strokes for point in stroke))  # each joint once
    lengths = np.array([np.hypot(*np.diff(stroke, axis=0).T).sum() for stroke in skeleton.strokes])
    steps = np.maximum(3, np.round(STEPS * lengths / lengths.sum()).astype(int))
    steps[np.argmax(steps)] += STEPS - steps.sum()
    spline, row = np.zeros((STEPS, len(points))), 0
    for stroke, count in zip(skeleton.strokes, steps, strict=True):
        weights = _spline(len(stroke), count)
        for column, point in enumerate(stroke):
            spline[row : row + count, points.index(point)] += weights[:, column]
        row += count
    # The displacements of neighbouring points are correlated.
    apart = np.subtract.outer(np.arange(len(points)), np.arange(len(points)))
    together = np.exp(-(apart**2) / (2 * 1.4**2)) + 1e-4 * np.eye(len(points))
    return _Plan(skeleton.width, np.array(points), spline, np.linalg.cholesky(together))


def _spline(points: int, steps: int) -> np.ndarray:
    """Return [steps, points]: the weights of a Catmull-Rom spline through all points (Catmull and Rom, 1974)."""
    at = np.linspace(0, points - 1, steps)
    left = np.minimum(at.astype(int), points - 2)
    t = at - left
    four = np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], 1) / 2
    weights = np.zeros((steps, points + 2))  # with a point before the first and one after the last
    for k in range(4):
        weights[np.arange(steps), left + k] += four[:, k]
    first, last = weights[:, 0].copy(), weights[:, -1].copy()
    weights[:, 1] += 2 * first  # the point before the first is the second, mirrored: 2 p0 - p1
    weights[:, 2] -= first
    weights[:, -2] += 2 * last
    weights[:, -3] -= last
    return weights[:, 1:-1]


def _bend(path: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Displace each coordinate by two slow waves along the other one."""
    shape = (2, 2, len(path), 1)  # axis, wave, image, -
    frequency = 2 * np.pi * rng.uniform(0.3, 1.0, shape)
    phase = rng.uniform(0, 2 * np.pi, shape)
    height = rng.normal(0, BEND, shape)
    x, y = path[..., 0], path[..., 1]
    dx = (height[0] * np.sin(frequency[0] * y + phase[0])).sum(0)
    dy = (height[1] * np.sin(frequency[1] * x + phase[1])).sum(0)
    return np.stack([x + dx, y + dy], -1)


def _place(path: np.ndarray, radius: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Slant and turn paths, then size and centre them as MNIST's digits are; pixels from the image's centre."""
    count = (len(path), 1)
    slant = 0.18 + np.clip(rng.normal(0, 0.2, count), -0.45, 0.45)
    turn = np.clip(rng.normal(0, 0.07, count), -0.2, 0.2)
    x, y = path[..., 0] - slant * path[..., 1], path[..., 1]
    x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    extent = np.maximum(np.ptp(x, 1), np.ptp(y, 1))[:, None]
    scale = (BOX - 2 * radius + np.clip(rng.normal(0, 0.3, count), -1, 1)) / extent
    coordinates = []
    for axis in (x, y):
        axis = axis * scale
        axis = axis - axis.mean(1, keepdims=True) + np.clip(rng.normal(0, 0.35, count), -1, 1)
        reach = SIZE / 2 - 2 - radius  # leaves a pixel of background around the grey edge
        axis = axis - np.maximum(0, axis.max(1, keepdims=True) - reach)
        coordinates.append(axis + np.maximum(0, -reach - axis.min(1, keepdims=True)))
    return np.stack(coordinates, -1)


def _ink(path: np.ndarray, radius: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw paths [N, STEPS, 2] with a round pen: uint8 [N, SIZE, SIZE].

    A pixel's ink depends on its distance to the path. With |x - p|^2 = |x|^2 - 2 x.p + |p|^2, the part that depends on
    the pen position p is a matrix product.
    """
    count = len(path)
    time = np.linspace(0, 1, STEPS)
    pressure = np.sin(2 * np.pi * (rng.uniform(0.4, 1.5, (count, 1)) * time + rng.uniform(0, 1, (count, 1))))
    wider = (radius * (1 + 0.12 * pressure)) ** 2 - radius**2
    soft = rng.uniform(0.55, 0.9, (count, 1)).astype(np.float32)  # half the width of the ink's grey edge, in pixels
    dark = (255 * rng.uniform(0.97, 1.1, (count, 1))).astype(np.float32)
    radius = radius.astype(np.float32)

    # On a grid of 1/64 pixel, all products and sums below are exact in float32, so that no bit depends on the BLAS.
    grid = np.round(64 * path) / 64
    x, y = grid[..., 0], grid[..., 1]
    pen = np.stack([-2 * x, -2 * y, x * x + y * y - np.round(4096 * wider) / 4096], -1).astype(np.float32)
    centres = np.arange(SIZE) - (SIZE - 1) / 2
    column, row = np.tile(centres, SIZE), np.repeat(centres, SIZE)
    pixels = np.stack([column, row, np.ones(SIZE * SIZE)]).astype(np.float32)
    from_centre = (column**2 + row**2).astype(np.float32)

    images = np.empty((count, SIZE * SIZE), np.uint8)
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        squared = (pen[part] @ pixels).min(1) + from_centre
        distance = np.sqrt(np.maximum(squared, 0))
        ink = np.clip((radius[part] - distance) / (2 * soft[part]) + 0.5, 0, 1)
        images[part] = np.minimum(255, dark[part] * ink * ink * (3 - 2 * ink))  # smoothstep: no jagged edge
    return images.reshape(count, SIZE, SIZE)
