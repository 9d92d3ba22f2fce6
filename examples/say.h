/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* How the examples end where something is not as they expect. */
#ifndef SAY_H
#define SAY_H

/* Says what is wrong, and ends the program with 1. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);
/* The same where result is an error of the library. */
void must(int result, const char *what);

#endif
