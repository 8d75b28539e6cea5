"""Line plots as SVG, in plain Python; readable on light and on dark pages."""

from __future__ import annotations

from html import escape

WIDTH, HEIGHT = 640, 340
LEFT, RIGHT, TOP, BOTTOM = 70, 90, 40, 50
# Colours that stand out from white and from black; shape and dashes tell the lines apart as well.
STYLES = (("#1f9d6b", "", "circle"), ("#d9622b", "7 4", "square"), ("#4a86e8", "2 4", "triangle"))
STYLE = """<style>
text { font: 13px sans-serif; fill: #777 }
.title { font-size: 15px }
.grid { stroke: #888; stroke-opacity: .3 }
.line { fill: none; stroke-width: 2.5 }
</style>"""


def step(highest: float) -> float:
    """Return the distance of about five round marks."""
    size = 1.0
    while size * 50 <= highest:
        size *= 10
    while size * 5 > highest > 0:
        size /= 10
    return next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor * 5 >= highest)


def mark(shape: str, x: float, y: float, colour: str) -> str:
    """Return a point."""
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
    if shape == "square":
        return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{colour}"/>'
    return f'<path d="M{x - 5:.1f} {y + 4:.1f}h10l-5 -9z" fill="{colour}"/>'


def lines(title: str, what: str, names: list[str], series: dict[str, list[float | None]]) -> str:
    """Draw a plot.

    Args:
        title: What the lines show; they begin at zero.
        what: What grows to the right.
        names: The places to the right, at even distances.
        series: A line for each name; None is left out.
    """
    highest = max((y for ys in series.values() for y in ys if y is not None), default=0) or 1
    distance = step(highest)
    top = distance * -(-highest // distance)
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def across(i: int) -> float:
        return LEFT + wide * i / max(len(names) - 1, 1)

    def up(y: float) -> float:
        return TOP + high * (1 - y / top)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        f' role="img"><title>{escape(title)}, by {escape(what)}</title>{STYLE}',
        f'<text class="title" x="{LEFT}" y="22">{escape(title)}</text>',
        f'<text x="{LEFT + wide / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(what)}</text>',
    ]
    for i in range(round(top / distance) + 1):
        y = up(i * distance)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}h{wide}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{i * distance:,.10g}</text>')
    for i, name in enumerate(names):
        parts.append(f'<text x="{across(i):.1f}" y="{HEIGHT - 30}" text-anchor="middle">{escape(name)}</text>')
    ends = []
    for (name, ys), (colour, dashes, shape) in zip(series.items(), STYLES, strict=False):
        points = [(across(i), up(y)) for i, y in enumerate(ys) if y is not None]
        if not points:
            continue
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="line" stroke="{colour}" stroke-dasharray="{dashes}" points="{way}"/>')
        parts += [mark(shape, x, y, colour) for x, y in points]
        ends.append((points[-1][1], points[-1][0], name, colour))
    # Names stand at the lines' ends, at least a line of text apart.
    last = 0.0
    for y, x, name, colour in sorted(ends):
        last = max(y + 4, last + 16)
        parts.append(f'<text x="{x + 10:.1f}" y="{last:.1f}" style="fill: {colour}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>\n"])
