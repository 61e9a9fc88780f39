# SPDX-License-Identifier: LGPL-2.1-or-later
"""A picture of the ratios, as SVG written by hand: one bar a row, on a logarithmic axis whose
middle, 1, is the peer. Bars of rows where less is better go left when vole is ahead, those of
throughput go right; green is ahead, red is behind."""

import math
from xml.sax.saxutils import escape

from tools import limit_text

WIDTH, LEFT, RIGHT = 860, 270, 120
ROW, TOP = 24, 56
DECADES = (0.001, 10)


def position(ratio):
    low, high = map(math.log10, DECADES)
    part = (math.log10(min(max(ratio, DECADES[0]), DECADES[1])) - low) / (high - low)
    return LEFT + part * (WIDTH - LEFT - RIGHT)


def more_is_better(line):
    return "ratio_min" in line["limit"]


def text(x, y, content, anchor="start", colour="#222", size=12):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" '
            f'font-size="{size}">{escape(content)}</text>')


def vertical(x, bottom, colour, dashes=""):
    return (f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" stroke="{colour}" '
            f'stroke-dasharray="{dashes}"/>')


def bar(line, y):
    ratio = line["ratio"]
    ahead = ratio >= 1 if more_is_better(line) else ratio <= 1
    begin, end = sorted((position(1), position(ratio)))
    parts = [text(LEFT - 8, y + 15, line["row"], "end"),
             f'<rect x="{begin:.1f}" y="{y + 4}" width="{max(end - begin, 1):.1f}" '
             f'height="{ROW - 8}" fill="{"#3a923a" if ahead else "#c03d3e"}"/>']
    for key in ("ratio_max", "ratio_min"):
        if key in line["limit"]:
            x = position(line["limit"][key])
            parts.append(f'<line x1="{x:.1f}" y1="{y + 1}" x2="{x:.1f}" y2="{y + ROW - 1}" '
                         'stroke="#222" stroke-width="2"/>')
    value = f"{ratio:.3f}" if ratio < 0.1 else f"{ratio:.2f}"
    limit = limit_text(line)
    parts.append(text(WIDTH - RIGHT + 8, y + 15, value))
    parts.append(text(WIDTH - 6, y + 15, limit, "end", "#777", 10))
    return parts


def svg(groups, peer):
    lines = [line for rows in groups.values() for line in rows if line["ratio"] is not None]
    bottom = TOP + ROW * len(lines)
    height = bottom + 30
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
             'font-family="sans-serif">',
             f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
             text(LEFT, 20, f"vole / {peer}, ratio of medians", size=14),
             text(LEFT, 38, "times, memory, exits: left is better; throughput: right is better; "
                            "black: the limit", colour="#777", size=11)]
    tick = DECADES[0]
    while tick <= DECADES[1]:
        x = position(tick)
        parts.append(vertical(x, bottom, "#ccc", "2,3"))
        parts.append(text(x, bottom + 16, f"{tick:g}", "middle", "#777", 11))
        tick *= 10
    for index, line in enumerate(lines):
        parts += bar(line, TOP + index * ROW)
    parts.append(vertical(position(1), bottom, "#222"))
    return "\n".join([*parts, "</svg>", ""])
