"""Plots as SVG that stretches with its column, with words around it that do not.  qmail-report(1).

Only shapes are in the SVG (`preserveAspectRatio="none"`); axes are labelled in HTML, so that text is as large on a
telephone as on a desk.  Colours are the style sheet's: a shape has the class of what it counts."""

from __future__ import annotations

from html import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HEIGHT = 100  # units of the picture; its width is a unit a bar
GAP = 0.12  # of a bar's width, at either side
LABELS = 6  # along the bottom, at the most


def ceiling(value: float) -> float:
    """The end of an axis: the least of 1, 2 and 5 times a power of ten that is not below."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value > 0:
        power /= 10
    return next((power * step for step in (1, 2, 5, 10) if power * step >= value), 1.0)


def bars(
    title: str,
    stacks: Sequence[Sequence[float]],
    classes: Sequence[str],
    labels: Sequence[str],
    say: Callable[[float], str],
) -> str:
    """A plot of one bar for each of `stacks`, of a part for each of `classes`, the lowest first.

    `labels`: of the bars; `say`: how a number at the side is written."""
    top = ceiling(max((sum(stack) for stack in stacks), default=0))
    shapes = "".join(_bar(at, stack, classes, top) for at, stack in enumerate(stacks))
    grid = "".join(f'<line x1="0" x2="{len(stacks)}" y1="{y}" y2="{y}"/>' for y in (0, HEIGHT / 2, HEIGHT))
    picture = (
        f'<svg viewBox="0 0 {max(len(stacks), 1)} {HEIGHT}" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(title)}"><g class="grid">{grid}</g>{shapes}</svg>'
    )
    side = "".join(f"<span>{escape(say(part * top))}</span>" for part in (1, 0.5, 0))
    return (
        f'<div class="plot"><div class="side" aria-hidden="true">{side}</div>{picture}'
        f'<div class="bottom" aria-hidden="true">{_bottom(labels)}</div></div>'
    )


def _bar(at: int, stack: Sequence[float], classes: Sequence[str], top: float) -> str:
    shapes, below = [], 0.0
    for value, name in zip(stack, classes, strict=True):
        if value:
            high = HEIGHT * value / top
            y = HEIGHT - below - high
            shapes.append(
                f'<rect class="{name}" x="{at + GAP:g}" y="{y:.2f}" width="{1 - 2 * GAP:g}" height="{high:.2f}"/>'
            )
            below += high
    return "".join(shapes)


def _bottom(labels: Sequence[str]) -> str:
    """Some of the labels, at their places; each under the left end of its bar."""
    every = -(-len(labels) // LABELS) if labels else 1
    shown = range(0, len(labels), every)
    return "".join(f'<span style="left:{100 * at / len(labels):.2f}%">{escape(labels[at])}</span>' for at in shown)


def share(part: float, whole: float, name: str) -> str:
    """A bar in a cell of a table: `part` of `whole`."""
    percent = 100 * part / whole if whole else 0
    return f'<span class="share"><span class="{name}" style="width:{percent:.1f}%"></span></span>'
