# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benches have in common as programs: options, the table, files, the exit status."""

import argparse
import json

import plot
from tools import limit_text, missed, note, ratio_text


def parse(argv, doc, groups, rounds, add=lambda parser: None):
    """The options; `groups` is {name: what it measures}, `add` adds a bench's own to the parser."""
    parser = argparse.ArgumentParser(description=doc,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", metavar="GROUP",
                        help="; ".join(f"{name}: {what}" for name, what in groups.items()))
    parser.add_argument("--rounds", type=int, default=rounds,
                        help=f"pairs to run (default: {rounds}; of what takes longer, fewer)")
    parser.add_argument("--json", metavar="FILE", help="write every figure there")
    parser.add_argument("--plot", metavar="FILE", help="draw the ratios, as SVG")
    parser.add_argument("--limits", action="store_true", help="fail when a limit is missed")
    parser.add_argument("--no-table", action="store_true", help="print nothing")
    add(parser)
    options = parser.parse_args(argv)
    unknown = [name for name in options.groups if name not in groups]
    if unknown or options.rounds < 1:
        parser.error(f"no group named {unknown[0]}" if unknown else "--rounds takes 1 or more")
    options.groups = options.groups or list(groups)
    return options


def number(value):
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def print_table(groups, peer):
    lines = [line for rows in groups.values() for line in rows]
    names = [f"{line['row']}, {line['unit']}" if line["unit"] else line["row"] for line in lines]
    width = max(map(len, names))
    print(f"{'':{width}} {'vole':>9} {'(p10-p90)':>15} {peer:>9} {'(p10-p90)':>15} {'ratio':>7}"
          "  limit")
    for name, line in zip(names, lines):
        cells = []
        for who in ("vole", "qemu"):
            figures = line[who]
            between = f"{number(figures['p10'])}-{number(figures['p90'])}"
            cells.append(f"{number(figures['median']):>9} {between:>15}")
        mark = "  MISSED" if missed(line) else ""
        print(f"{name:{width}} {' '.join(cells)} {ratio_text(line):>7}  "
              f"{limit_text(line)}{mark}".rstrip())


def finish(options, groups, peer, peer_in_full):
    """Shows and writes what was asked for; the exit status."""
    if not options.no_table:
        print_table(groups, peer)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(groups, file, indent=1)
    if options.plot:
        with open(options.plot, "w", encoding="utf-8") as file:
            file.write(plot.svg(groups, peer_in_full))
    over = [line["row"] for rows in groups.values() for line in rows if missed(line)]
    for name in over:
        note(f"misses its limit: {name}")
    return 1 if over and options.limits else 0
