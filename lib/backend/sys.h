/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Every system call of the backends that run in a Linux process, and nothing
 * but the call: the result, or -errno. Tests put a kernel of their own in the
 * place of sys.c.
 */
#ifndef IOVA_SYS_H
#define IOVA_SYS_H

#include <stddef.h>
#include <sys/types.h>

/* O_CLOEXEC is added. Interrupted opens, reads are tried again. */
int iova_sys_open(const char *path, int flags);
int iova_sys_close(int fd);
int iova_sys_ioctl(int fd, unsigned long request, void *argument);
ssize_t iova_sys_read(int fd, void *bytes, size_t count);
/* Without a terminating NUL, cut at count. */
ssize_t iova_sys_readlink(const char *path, char *bytes, size_t count);
/* The process, as it is told apart from its forked children. */
pid_t iova_sys_process(void);

#endif
