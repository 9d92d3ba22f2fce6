/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* Which CPU this is, and what the others are in the middle of. */
#include "port_percpu.h"

#include <sched.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/syscall.h>
#endif
#if IOVA_PORT_HAS_RSEQ
#include <sys/rseq.h>

/* More than any CPU's number, whatever a container says of the machine: the size
 * of the kernel's own sets of CPUs, which is what this system call returns. */
static uint32_t kernel_cpus(void)
{
	static const size_t sizes[] = { 128, 1024, 8192 };

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		unsigned char set[8192];
		long bytes = syscall(SYS_sched_getaffinity, 0, sizes[i], set);

		if (bytes > 0)
			return (uint32_t)bytes * 8;
	}
	return 0;
}
#endif

/* membarrier(2), the kernel's uapi linux/membarrier.h. */
#define MEMBARRIER_FENCE    (1 << 7) /* private expedited rseq */
#define MEMBARRIER_REGISTER (1 << 8)

static bool membarrier(int command)
{
#if defined(SYS_membarrier)
	return !syscall(SYS_membarrier, command, 0, 0);
#else
	(void)command;
	return false;
#endif
}

/* Asked once: what a thread keeps in iova_port_guess is below it in every space. */
uint32_t iova_port_cpus(void)
{
	static uint32_t known;
	uint32_t cpus = __atomic_load_n(&known, __ATOMIC_RELAXED), before = 0;
	long counted;

	if (cpus)
		return cpus;
	counted = sysconf(_SC_NPROCESSORS_CONF);
	cpus = counted > 0 && counted < 1 << 16 ? (uint32_t)counted : 1;
	if (!__atomic_compare_exchange_n(&known, &before, cpus, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		cpus = before;
	return cpus;
}

void iova_port_percpu_init(struct iova_port_percpu *percpu, bool alone, bool atomic)
{
	*percpu = (struct iova_port_percpu){ .mode = IOVA_PORT_ALONE, .cpus = 1, .slots = 1 };
	if (alone)
		return;
	percpu->cpus = percpu->slots = iova_port_cpus();
	percpu->mode = atomic ? IOVA_PORT_MASKED : IOVA_PORT_LOCKED;
#if IOVA_PORT_HAS_RSEQ
	/* 20 bytes are the first size: cpu_id and rseq_cs are in it. Without
	 * the fence nobody could ever take back what another CPU holds. */
	if (__rseq_size >= 20 && kernel_cpus() && membarrier(MEMBARRIER_REGISTER)) {
		percpu->slots = kernel_cpus();
		percpu->cpus = percpu->cpus < percpu->slots ? percpu->cpus : percpu->slots;
		percpu->mode = IOVA_PORT_RSEQ;
		percpu->rseq = __rseq_offset;
	}
#endif
}

IOVA_PORT_THREAD uint32_t iova_port_guess;

uint32_t iova_port_cpu(const struct iova_port_percpu *percpu)
{
	int cpu;

	if (percpu->cpus == 1)
		return 0;
	cpu = sched_getcpu();
	iova_port_guess = cpu < 0 ? 0 : (uint32_t)cpu < percpu->cpus ? (uint32_t)cpu : (uint32_t)cpu % percpu->cpus;
	return iova_port_guess;
}

bool iova_port_fence(const struct iova_port_percpu *percpu)
{
	return percpu->mode != IOVA_PORT_RSEQ || membarrier(MEMBARRIER_FENCE);
}

void iova_port_relax(unsigned looks)
{
	if (looks % 128 == 0) /* whoever holds it may have lost its CPU */
		sched_yield();
}

void iova_port_mask_set(struct iova_port_mask *mask)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &mask->interrupted);
}

void iova_port_mask_restore(const struct iova_port_mask *mask)
{
	pthread_sigmask(SIG_SETMASK, &mask->interrupted, NULL);
}
