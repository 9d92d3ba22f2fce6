/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The command line. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "setting.h"

enum options_progress { OPTIONS_ON_A_TERMINAL, OPTIONS_PROGRESS, OPTIONS_QUIET };

struct options {
	struct setting setting; /* config.engine is the first of engines */
	uint32_t engines[2];	/* each trace is replayed on each */
	unsigned engine_count;
	bool both; /* an engine that this build lacks is then passed over */
	bool json;
	enum options_progress progress;
	const char *record; /* the file that takes a recording of a program; NULL: traces are replayed */
	char **arguments;   /* traces, or the program and its arguments; ends with NULL */
};

enum options_next {
	OPTIONS_GO,
	OPTIONS_DONE, /* help was wanted, and is printed */
	OPTIONS_BAD   /* what is wrong is on stderr */
};

enum options_next options_read(int argc, char **argv, struct options *options);

#endif
