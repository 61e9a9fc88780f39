# SPDX-License-Identifier: LGPL-2.1-or-later
# Unit tests stand in the local.mk of the part that they test; here is what all of them share, and
# the tests that drive the built programs (run by ./check, not by `make check`).

EXTRA_DIST += tests/unit/tap.h

EXTRA_DIST += tests/bench/bench tests/bench/payload.py
