"""What data draws: small SVG pieces with attributes and classes, never styles. Numbers are ours; text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

ROW_PX = 21
CELL_PX = 15
_SIXTHS = frozenset({"00:00", "06:00", "12:00", "18:00"})
_STEPS = ((0, 0), (4, 1), (9, 2), (19, 3))


@dataclass(frozen=True, slots=True)
class StripLine:
    """One room of the day. Places are shares of the day, 0 to 1."""

    name: str
    counts: tuple[int, ...]
    """One a quarter of an hour, for as many as the day has: 96, or 92 or 100 when the clocks change."""
    lost: tuple[tuple[float, float, str], ...]
    """From, to, and what to say of it."""
    off: tuple[tuple[float, float], ...]


def activity(n: int) -> int:
    """The step, 0–4, of n pictures in a quarter of an hour: 0, 1–4, 5–9, 10–19, 20+. Fixed for all days."""
    for top, step in _STEPS:
        if n <= top:
            return step
    return 4


@dataclass(frozen=True, slots=True)
class Marks:
    """What stands along the time of a strip. Places are shares of the day, 0 to 1."""

    people: tuple[float, ...]
    """What people added."""
    hours: tuple[tuple[float, str], ...]
    """Every third hour, with its label."""
    now: float | None
    """None when the day is over."""
    now_label: str = ""


def strip(lines: Sequence[StripLine], marks: Marks, *, per: int = 1) -> Markup:
    """The day by room. `per`: quarters of an hour in a cell; 4 for a narrow screen, as dark as its busiest quarter."""
    now = marks.now
    end = 1.0 if now is None else now
    height = (len(lines) + 1) * ROW_PX + 24
    out = [
        f'<svg class="strip-svg" height="{height}" width="100%" role="grid" aria-label="Pictures by room'
        f' and {"hour" if per == 4 else "quarter of an hour"}" data-per="{per}">',
        '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(30)">'
        '<path class="hatch" d="M1.5 0v6"/></pattern></defs>',
    ]
    for n, line in enumerate(lines):
        y = n * ROW_PX + 3
        out.append(f'<g role="row" aria-label="{escape(line.name)}">')
        out += _cells(line, y, per, end)
        for start, stop in line.off:
            out.append(
                f'<rect class="off" x="{_share(start)}" y="{y}" width="{_share(max(stop - start, 0.008))}"'
                f' height="{CELL_PX}" rx="2"><title>{escape(line.name)}: off or asleep</title></rect>'
            )
        for start, stop, what in line.lost:
            place = f'x="{_share(start)}" y="{y}" width="{_share(max(stop - start, 0.008))}" height="{CELL_PX}"'
            out.append(
                f'<g class="lost"><rect class="lost-ground" {place} rx="2"/>'
                f'<rect fill="url(#hatch)" {place}><title>{escape(what)}</title></rect></g>'
            )
        out.append("</g>")
    y = len(lines) * ROW_PX + 3
    out += [f'<circle class="by-people" cx="{_share(at)}" cy="{y + 7}" r="5"/>' for at in marks.people]
    out += _axis(y + ROW_PX, marks, narrow=per == 4)
    if now is not None:
        out.append(
            f'<line class="now-line" x1="{_share(now)}" x2="{_share(now)}" y1="0" y2="{y + CELL_PX}"/>'
            f'<circle class="now-dot" cx="{_share(now)}" cy="2" r="3.5"/>'
        )
    out.append(f'<rect class="range" x="0" y="0" width="0" height="{y + CELL_PX}"/></svg>')
    return Markup("".join(out))  # noqa: S704  # every part is a number or escaped above


def _cells(line: StripLine, y: int, per: int, end: float) -> list[str]:
    quarters = max(1, len(line.counts))
    wide, out = per / quarters, []
    for n in range(quarters // per):
        if n * wide >= end:
            break
        counts = line.counts[n * per : (n + 1) * per]
        width = min(wide * 0.9, end - n * wide)
        out.append(
            f'<rect class="a{activity(max(counts))}" role="gridcell" x="{_share(n * wide)}" y="{y}"'
            f' width="{_share(width)}" height="{CELL_PX}" rx="1.5" data-n="{sum(counts)}"/>'
        )
    return out


def _axis(y: int, marks: Marks, *, narrow: bool) -> list[str]:
    out = []
    before, after = (0.26, 0.14) if narrow else (0.055, 0.055)  # what the label of now covers
    for at, label in marks.hours:
        if marks.now is not None and -before < at - marks.now < after:
            continue
        third = "" if label in _SIXTHS else ' class="third"'
        out.append(f'<text{third} x="{_share(at)}" y="{y + 14}">{escape(label)}</text>')
    if marks.now is not None:
        anchor = "start" if marks.now < 0.04 else "end" if marks.now > 0.96 else "middle"
        out.append(
            f'<text class="now-text" x="{_share(marks.now)}" y="{y + 14}" text-anchor="{anchor}">'
            f"{escape(marks.now_label)}</text>"
        )
    return out


def _share(part: float) -> str:
    return f"{max(0.0, min(1.0, part)) * 100:.2f}%"


def bar(part: float, *, limit: float | None = None, look: bool = False) -> Markup:
    """A bar filled to `part` of 1, with a tick at `limit`."""
    tick = "" if limit is None else f'<line class="bar-limit" x1="{_share(limit)}" x2="{_share(limit)}" y1="0" y2="6"/>'
    return Markup(  # noqa: S704  # numbers only
        '<svg class="bar" width="100%" height="6" aria-hidden="true">'
        '<rect class="bar-rest" width="100%" height="5" rx="1"/>'
        f'<rect class="bar-full{" look" if look else ""}" width="{_share(part)}" height="5" rx="1"/>{tick}</svg>'
    )


def signal(bars: int) -> Markup:
    """Four bars, as many full as told."""
    drawn = "".join(
        f'<rect class="{"bar-full" if n < bars else "bar-rest"}{" look" if bars < 3 else ""}" x="{n * 6}"'
        f' y="{9 - n * 3}" width="4" height="{3 + n * 3}" rx="1"/>'
        for n in range(4)
    )
    return Markup(f'<svg class="signal" width="22" height="12" aria-hidden="true">{drawn}</svg>')  # noqa: S704  # numbers


def line(values: Sequence[float], *, top: float = 0.0, limit: float | None = None, area: bool = False) -> Markup:
    """A line from left to right over a zero baseline. `top`: the least height of the scale; `limit`: a dashed line."""
    high = max([*values, top, limit or 0.0, 1e-9])
    step = 100 / max(1, len(values) - 1)
    points = [(n * step, 29 - 27 * value / high) for n, value in enumerate(values)] or [(0.0, 29.0), (100.0, 29.0)]
    if len(points) == 1:
        points.append((100.0, points[0][1]))
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    ground = f'<polygon class="line-area" points="0,30 {path} 100,30"/>' if area else ""
    dashed = ""
    if limit is not None:
        y = 29 - 27 * limit / high
        dashed = f'<line class="line-limit" x1="0" x2="100" y1="{y:.1f}" y2="{y:.1f}"/>'
    return Markup(  # noqa: S704  # numbers only
        '<svg class="line-svg" viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true">'
        f'{ground}<polyline class="line-line" points="{path}"/>{dashed}</svg>'
    )


def history(runs: Sequence[Sequence[tuple[float, float]]], *, limit: float) -> Markup:
    """Lines over a zero baseline under a dashed limit. A run is (place 0 to 1, value) without a gap; between two of
    them nothing is known, and nothing is drawn.
    """
    high = max([limit, *(value for run in runs for _, value in run), 1e-9])
    drawn = []
    for run in runs:
        ends = [*run, (min(1.0, run[-1][0] + 0.003), run[-1][1])]  # so that one reading alone is seen
        path = " ".join(f"{100 * at:.2f},{29 - 27 * value / high:.1f}" for at, value in ends)
        drawn.append(
            f'<polygon class="line-area" points="{100 * ends[0][0]:.2f},30 {path} {100 * ends[-1][0]:.2f},30"/>'
        )
        drawn.append(f'<polyline class="line-line" points="{path}"/>')
    y = 29 - 27 * limit / high
    return Markup(  # noqa: S704  # numbers only
        '<svg class="line-svg" viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true">'
        f'{"".join(drawn)}<line class="line-limit" x1="0" x2="100" y1="{y:.1f}" y2="{y:.1f}"/></svg>'
    )


def columns(counts: Sequence[int]) -> Markup:
    """One column a value, highest = full height, with its figure above."""
    high = max([*counts, 1])
    wide = 100 / max(1, len(counts))
    out = ['<svg class="columns" width="100%" height="52" aria-hidden="true">']
    for n, value in enumerate(counts):
        tall = 4 + 26 * value / high if value else 1
        out.append(
            f'<rect class="column" x="{n * wide + wide * 0.06:.2f}%" y="{52 - tall:.1f}" width="{wide * 0.82:.2f}%"'
            f' height="{tall:.1f}" rx="2"/>'
            f'<text x="{n * wide + wide * 0.47:.2f}%" y="{52 - tall - 6:.1f}" text-anchor="middle">{value:,}</text>'
        )
    return Markup("".join([*out, "</svg>"]))  # noqa: S704  # numbers only


def links(left: Sequence[float], right: Sequence[float], *, height: int, slow: frozenset[int] = frozenset()) -> Markup:
    """Curves between two columns of boxes through one point: heights are centres in pixels. `slow`: right-hand boxes
    that fall behind.
    """
    out = [f'<svg class="links" viewBox="0 0 100 {height}" preserveAspectRatio="none" aria-hidden="true">']
    middle = sum(left) / len(left) if len(left) > 1 else left[0]
    if len(right) == 1:
        middle = right[0]
    for y in left if len(left) > 1 else ():
        end = 50 if len(right) > 1 else 100
        out.append(f'<path d="M0 {y:.1f}C{end / 2} {y:.1f} {end / 2} {middle:.1f} {end} {middle:.1f}"/>')
    start = 50 if len(left) > 1 else 0
    for n, y in enumerate(right):
        if len(left) > 1 and len(right) == 1:
            break
        kind = ' class="slow"' if n in slow else ""
        half = start + (100 - start) / 2
        out.append(f'<path{kind} d="M{start} {middle:.1f}C{half} {middle:.1f} {half} {y:.1f} 100 {y:.1f}"/>')
    return Markup("".join([*out, "</svg>"]))  # noqa: S704  # numbers only


@dataclass(frozen=True, slots=True)
class Outline:
    """Something found in a picture. Places are pixels of the picture."""

    left: float
    top: float
    right: float
    bottom: float
    label: str
    dashed: bool
    """Printed text, or something only a caption names."""


def outlines(found: Sequence[Outline], *, width: int, height: int) -> Markup:
    """Boxes over a picture of that size, with their labels inside the picture."""
    unit = width / 640
    out = [f'<svg class="outlines" viewBox="0 0 {width} {height}" aria-hidden="true">']
    for each in found:
        kind = "printed" if each.dashed else "object"
        frame = (
            f'x="{each.left:.1f}" y="{each.top:.1f}" width="{max(1, each.right - each.left):.1f}"'
            f' height="{max(1, each.bottom - each.top):.1f}" rx="{3 * unit:.1f}"'
        )
        out.append(f'<g class="{kind}"><rect class="under" {frame}/><rect class="over" {frame}/>')
        if each.label and not each.dashed:
            tall = 20 * unit
            wide = (len(each.label) * 6.9 + 13) * unit
            x = max(0.0, min(each.left + 1, width - wide))
            y = each.top - tall - 3 * unit if each.top > tall + 4 * unit else each.top + 3 * unit
            out.append(
                f'<rect class="plate" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}"'
                f' rx="{3 * unit:.1f}"/><text x="{x + 6 * unit:.1f}" y="{y + 14.5 * unit:.1f}"'
                f' font-size="{13 * unit:.1f}">{escape(each.label)}</text>'
            )
        out.append("</g>")
    return Markup("".join([*out, "</svg>"]))  # noqa: S704  # numbers, or escaped above
