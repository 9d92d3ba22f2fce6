/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Every function that can fail returns 0 or one of these, negative. The
 * numbers are those of Linux's asm-generic/errno.h, on every platform.
 *
 * On an error no out-parameter is written and no live range, reservation,
 * cookie or mapping has changed, unless the function's own comment says
 * otherwise. Caches and statistics may have changed.
 */
#ifndef IOVA_ERROR_H
#define IOVA_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

enum iova_error {
	IOVA_OK = 0,
	IOVA_ERR_PERM = -1,	  /* the system refuses */
	IOVA_ERR_NOENT = -2,	  /* nothing is there: free, find, unmap of what is not live */
	IOVA_ERR_IO = -5,	  /* the backend failed */
	IOVA_ERR_AGAIN = -11,	  /* would succeed after quarantined ranges are flushed */
	IOVA_ERR_NOMEM = -12,	  /* memory for the library's own records */
	IOVA_ERR_BUSY = -16,	  /* still in use */
	IOVA_ERR_EXIST = -17,	  /* a second registration of the same thing */
	IOVA_ERR_NODEV = -19,	  /* no such device */
	IOVA_ERR_INVAL = -22,	  /* the argument is impossible whatever the state */
	IOVA_ERR_NOSPC = -28,	  /* well-formed, but no range satisfies it */
	IOVA_ERR_CORRUPT = -74,	  /* a snapshot, a table, or iova_check's verdict */
	IOVA_ERR_OVERFLOW = -75,  /* a named address: start + length wraps or leaves the aperture */
	IOVA_ERR_NOTSUP = -95,	  /* this space, engine or backend cannot do that */
	IOVA_ERR_ADDRINUSE = -98, /* a named range meets a live one, a guard or a reservation */
	IOVA_ERR_TIMEDOUT = -110, /* hardware did not complete */
	IOVA_ERR_QUOTA = -122	  /* the backend's budget of mappings */
};

/* One sentence for each value above, another for any other number; never
 * NULL, valid for ever. Any context. */
const char *iova_strerror(int error);

/* The platform's own positive errno for a value above, 0 for 0 (and for any
 * positive number), EIO for what is not a value above. Any context. */
int iova_to_errno(int error);

#ifdef __cplusplus
}
#endif

#endif
