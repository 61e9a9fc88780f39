/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The consoles that clients have open: a terminal has one reader at a time.
 */
#ifndef VOLE_API_CONSOLE_H
#define VOLE_API_CONSOLE_H

struct consoles;

struct consoles *consoles_new(void);
/* When no stream is open any more. */
void consoles_free(struct consoles *consoles);

#endif
