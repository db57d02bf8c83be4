"""Pictures drawn from a name, until videos have frames of their own: the same name gives the same picture."""

from collections.abc import Callable, Iterator
from hashlib import blake2b

WIDTH, HEIGHT = 480, 270


class Dice:
    """Numbers that look thrown but follow from a name."""

    def __init__(self, name: str) -> None:
        self._bytes = iter(blake2b(name.encode(), digest_size=64).digest())

    def between(self, low: int, high: int) -> int:
        return low + next(self._bytes) * (high - low) // 255


def thumbnail(name: str) -> str:
    """An SVG of 16:9: a sky of two colours, and one of a few landscapes."""
    dice = Dice(name)
    hue = dice.between(0, 359)
    turn = dice.between(25, 70)
    landscape = _LANDSCAPES[dice.between(0, 254) % len(_LANDSCAPES)]
    shapes = "".join(landscape(dice, (hue + turn) % 360))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
        '<defs><linearGradient id="sky" x1="0" y1="0" x2="0.6" y2="1">'
        f'<stop offset="0" stop-color="hsl({hue} 55% 38%)"/>'
        f'<stop offset="1" stop-color="hsl({(hue + turn) % 360} 70% 66%)"/>'
        f'</linearGradient></defs><rect width="{WIDTH}" height="{HEIGHT}" fill="url(#sky)"/>{shapes}</svg>'
    )


def hue_of(name: str) -> int:
    """The colour of a channel's badge."""
    return Dice(name).between(0, 359)


def _hills(dice: Dice, hue: int) -> Iterator[str]:
    yield _disc(dice.between(90, 390), dice.between(50, 110), dice.between(26, 44), "#fff", 0.85)
    for row in range(3):
        base = 150 + row * 40
        left, middle, right = (base - dice.between(0, 60) for _ in range(3))
        path = f"M0 {left} C120 {middle - 50} 200 {middle + 50} 300 {middle} S420 {right - 30} 480 {right} V270 H0Z"
        yield f'<path d="{path}" fill="hsl({hue} 45% {34 - row * 9}%)" fill-opacity=".8"/>'


def _waves(dice: Dice, hue: int) -> Iterator[str]:
    yield _disc(dice.between(100, 380), dice.between(80, 130), dice.between(40, 60), f"hsl({hue} 90% 88%)", 0.9)
    for row in range(5):
        y, rise = 140 + row * 28, dice.between(8, 22)
        path = f"M0 {y} q60 -{rise} 120 0 t120 0 t120 0 t120 0 V270 H0Z"
        yield f'<path d="{path}" fill="hsl({(hue + 190) % 360} 50% {52 - row * 8}%)" fill-opacity=".7"/>'


def _rings(dice: Dice, hue: int) -> Iterator[str]:
    x, y = dice.between(120, 360), dice.between(90, 180)
    for ring in range(7, 0, -1):
        yield _disc(x, y, ring * 30, f"hsl({(hue + ring * 9) % 360} 52% {30 + ring * 7}%)", 0.42)


def _skyline(dice: Dice, hue: int) -> Iterator[str]:
    yield _disc(dice.between(80, 400), dice.between(50, 90), dice.between(20, 34), "#fff", 0.8)
    for row, tone in enumerate((34, 20)):
        for column in range(9):
            top = 110 + row * 55 + dice.between(0, 70)
            x = column * 56 - row * 24
            yield f'<rect x="{x}" y="{top}" width="50" height="200" fill="hsl({hue} 35% {tone}%)" fill-opacity=".82"/>'


def _peaks(dice: Dice, hue: int) -> Iterator[str]:
    yield _disc(dice.between(60, 420), dice.between(40, 80), dice.between(16, 30), "#fff", 0.9)
    for row in range(3):
        points = " ".join(f"{x},{130 + row * 45 + dice.between(-60, 40)}" for x in range(-20, 520, 77))
        yield f'<polygon points="-20,270 {points} 520,270" fill="hsl({hue} 40% {40 - row * 12}%)" fill-opacity=".85"/>'


def _night(dice: Dice, hue: int) -> Iterator[str]:
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="hsl({hue} 60% 10%)" fill-opacity=".62"/>'
    for _ in range(20):
        size = dice.between(8, 24) / 10
        yield _disc(dice.between(0, WIDTH), dice.between(0, 190), size, "#fff", 0.9)
    yield _disc(240, 620, 400, f"hsl({hue} 45% 8%)", 0.95)


def _disc(x: int, y: int, radius: float, colour: str, opacity: float) -> str:
    return f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{colour}" fill-opacity="{opacity}"/>'


_LANDSCAPES: tuple[Callable[[Dice, int], Iterator[str]], ...] = (_hills, _waves, _rings, _skyline, _peaks, _night)
