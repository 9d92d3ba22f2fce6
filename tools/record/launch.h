/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Recording: runs a program with the recorder (wrap.c) between it and its libiova. */
#ifndef LAUNCH_H
#define LAUNCH_H

/* Runs the program, whose arguments end with NULL, and writes the calls of the
 * first process of it that makes a space to the file; gzip where that ends in .gz.
 * Returns the program's exit status, 128 + n where signal n ended it; 127 where it
 * cannot be run, and 2 where it succeeded and there is no whole recording, each
 * after a line on stderr. */
int launch(const char *file, char *const arguments[]);

#endif
