"""The 8x8 shapes of the generated vision domain."""

import numpy as np

SIDE = 8
SHAPES = {
    "horizontal": ["......", "......", "######", "######", "......", "......"],
    "vertical": ["..##..", "..##..", "..##..", "..##..", "..##..", "..##.."],
    "diagonal": ["##....", "###...", ".###..", "..###.", "...###", "....##"],
    "cross": ["##..##", "######", ".####.", ".####.", "######", "##..##"],
    "plus": ["..##..", "..##..", "######", "######", "..##..", "..##.."],
    "square": ["######", "#....#", "#....#", "#....#", "#....#", "######"],
    "disc": ["..##..", ".####.", "######", "######", ".####.", "..##.."],
    "corner": ["##....", "##....", "##....", "##....", "######", "######"],
    "checker": ["##..##", "##..##", "..##..", "..##..", "##..##", "##..##"],
    "triangle": ["..##..", "..##..", ".####.", ".####.", "######", "######"],
}
_BITMAPS = {name: np.array([[c == "#" for c in row] for row in rows], float) for name, rows in SHAPES.items()}


def draw(label: str, rng: np.random.Generator) -> list[float]:
    """64 pixels, row-major, in [0, 1] with two decimals: the shape at a random offset, dimmed, with noise."""
    image = np.zeros((SIDE, SIDE))
    top, left = rng.integers(0, 3, 2)
    image[top : top + 6, left : left + 6] = _BITMAPS[label] * rng.uniform(0.7, 1.0)
    noisy = image + rng.normal(0.0, 0.1, image.shape)
    return np.round(np.clip(noisy, 0.0, 1.0), 2).ravel().tolist()
