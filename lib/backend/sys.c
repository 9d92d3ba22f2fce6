/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

int iova_sys_open(const char *path, int flags)
{
	int fd;

	do
		fd = open(path, flags | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

/* Not tried again: Linux has closed it also when it says EINTR. */
int iova_sys_close(int fd)
{
	return close(fd) < 0 ? -errno : 0;
}

int iova_sys_ioctl(int fd, unsigned long request, void *argument)
{
	int result = ioctl(fd, request, argument);

	return result < 0 ? -errno : result;
}

ssize_t iova_sys_read(int fd, void *bytes, size_t count)
{
	ssize_t got;

	do
		got = read(fd, bytes, count);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

ssize_t iova_sys_readlink(const char *path, char *bytes, size_t count)
{
	ssize_t got = readlink(path, bytes, count);

	return got < 0 ? -errno : got;
}

pid_t iova_sys_process(void)
{
	return getpid();
}
