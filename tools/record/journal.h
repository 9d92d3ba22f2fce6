/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * The recorder's lines, on their way out of the program. All of it may be called
 * from any thread and from a signal handler; nothing of it changes errno. A call
 * on a space that the journal does not know, and every call in a process that is
 * not the recorded one, writes nothing.
 */
#ifndef JOURNAL_H
#define JOURNAL_H

#include <iova/iova.h>
#include <stdbool.h>

/* A space that was made: from now on it has a number. False where it is not
 * recorded, or has one already. */
bool journal_space(const struct iova_space *space, const struct iova_space_config *config);

/* The space is about to be destroyed. */
void journal_end(const struct iova_space *space);

/* The quarantine is this space's. */
void journal_quarantine(const struct iova_space *space, const struct iova_quarantine *quarantine);
const struct iova_space *journal_quarantined(const struct iova_quarantine *quarantine); /* NULL: none that is known */

void journal_hole(const struct iova_space *space, const struct iova_extent *extent);

/* One call: "WORD TIME THREAD SPACE " and what the format says. */
__attribute__((format(printf, 3, 4))) void journal_call(const char *word, const struct iova_space *space,
							const char *format, ...);

#endif
