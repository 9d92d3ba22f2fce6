/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* iova_port_errno for a platform whose numbers are those of the library. */
#ifndef IOVA_PORT_ERRNO_H
#define IOVA_PORT_ERRNO_H

#include <iova/error.h>

static inline int iova_port_errno_generic(int error)
{
	switch (error) {
	case IOVA_ERR_PERM:
	case IOVA_ERR_NOENT:
	case IOVA_ERR_AGAIN:
	case IOVA_ERR_NOMEM:
	case IOVA_ERR_BUSY:
	case IOVA_ERR_EXIST:
	case IOVA_ERR_NODEV:
	case IOVA_ERR_INVAL:
	case IOVA_ERR_NOSPC:
	case IOVA_ERR_CORRUPT:
	case IOVA_ERR_OVERFLOW:
	case IOVA_ERR_NOTSUP:
	case IOVA_ERR_ADDRINUSE:
	case IOVA_ERR_TIMEDOUT:
	case IOVA_ERR_QUOTA:
		return -error;
	default:
		return -IOVA_ERR_IO;
	}
}

#endif
