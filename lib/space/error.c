/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include <iova/error.h>

#include "port.h"

const char *iova_strerror(int error)
{
	switch (error) {
	case IOVA_OK:
		return "success";
	case IOVA_ERR_PERM:
		return "the system refuses this";
	case IOVA_ERR_NOENT:
		return "nothing is there";
	case IOVA_ERR_IO:
		return "the backend failed";
	case IOVA_ERR_AGAIN:
		return "would succeed after quarantined ranges are flushed";
	case IOVA_ERR_NOMEM:
		return "no memory for the library's own records";
	case IOVA_ERR_BUSY:
		return "still in use";
	case IOVA_ERR_EXIST:
		return "the same is registered already";
	case IOVA_ERR_NODEV:
		return "no such device";
	case IOVA_ERR_INVAL:
		return "the argument is impossible whatever the state";
	case IOVA_ERR_NOSPC:
		return "no free range satisfies the request";
	case IOVA_ERR_CORRUPT:
		return "the data or the state is inconsistent";
	case IOVA_ERR_OVERFLOW:
		return "the named range wraps or leaves the aperture";
	case IOVA_ERR_NOTSUP:
		return "this space, engine or backend cannot do that";
	case IOVA_ERR_ADDRINUSE:
		return "the named range meets a live range, a guard or a reservation";
	case IOVA_ERR_TIMEDOUT:
		return "the hardware did not complete";
	case IOVA_ERR_QUOTA:
		return "the backend's budget of mappings is used up";
	default:
		return "not an error number of this library";
	}
}

int iova_to_errno(int error)
{
	return error >= 0 ? 0 : iova_port_errno(error);
}
