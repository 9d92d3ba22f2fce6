/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "port_percpu.h"

#include "port_errno.h"

/*
 * What differs from processor to processor:
 *
 * interrupts_off      masks interrupts on this CPU, returns what they were
 * interrupts_restore  makes them that again
 * relax               a hint that this CPU only waits
 * cycles              a counter that moves by itself, 0 where there is none
 *
 * The "memory" clobbers keep the compiler from moving the locked part out.
 */
#if defined(__x86_64__) || defined(__i386__)

/* The compiler's own way leaves the red zone below the stack alone. */
#if defined(__x86_64__)
#define READ_FLAGS() __builtin_ia32_readeflags_u64()
#else
#define READ_FLAGS() __builtin_ia32_readeflags_u32()
#endif

/* Bit 9 of the flags. */
static unsigned long interrupts_off(void)
{
	unsigned long flags = READ_FLAGS();

	__asm__ volatile("cli" : : : "memory");
	return flags & 1ul << 9;
}

static void interrupts_restore(unsigned long flags)
{
	if (flags)
		__asm__ volatile("sti" : : : "memory");
}

static void relax(void)
{
	__asm__ volatile("pause");
}

static uint64_t cycles(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

#elif defined(__aarch64__)

static unsigned long interrupts_off(void)
{
	unsigned long flags;

	__asm__ volatile("mrs %0, daif\n\tmsr daifset, #3" : "=r"(flags) : : "memory");
	return flags;
}

static void interrupts_restore(unsigned long flags)
{
	__asm__ volatile("msr daif, %0" : : "r"(flags) : "memory");
}

static void relax(void)
{
	__asm__ volatile("yield");
}

static uint64_t cycles(void)
{
	uint64_t count;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(count));
	return count;
}

#elif defined(__riscv)

/* Supervisor mode: bit 1 of sstatus, and the time, which it may always read. */
static unsigned long interrupts_off(void)
{
	unsigned long flags;

	__asm__ volatile("csrrci %0, 0x100, 2" : "=r"(flags) : : "memory");
	return flags;
}

static void interrupts_restore(unsigned long flags)
{
	__asm__ volatile("csrs 0x100, %0" : : "r"(flags & 2) : "memory");
}

static void relax(void)
{
	__asm__ volatile("nop");
}

static uint64_t cycles(void)
{
	unsigned long count;

	__asm__ volatile("csrr %0, 0xc01" : "=r"(count));
	return count;
}

#elif defined(__s390x__)

/* The two bits of the system mask that let I/O and external ones in. */
static unsigned long interrupts_off(void)
{
	unsigned char mask;

	__asm__ volatile("stnsm %0, 0xfc" : "=Q"(mask) : : "memory");
	return mask;
}

static void interrupts_restore(unsigned long flags)
{
	unsigned char mask = (unsigned char)flags;

	__asm__ volatile("ssm %0" : : "Q"(mask) : "memory");
}

static void relax(void)
{
	__asm__ volatile("nopr");
}

static uint64_t cycles(void)
{
	uint64_t count;

	__asm__ volatile("stck %0" : "=Q"(count) : : "cc");
	return count;
}

#elif defined(__arm__) && __ARM_ARCH_PROFILE == 'M'

static unsigned long interrupts_off(void)
{
	unsigned long flags;

	__asm__ volatile("mrs %0, primask\n\tcpsid i" : "=r"(flags) : : "memory");
	return flags;
}

static void interrupts_restore(unsigned long flags)
{
	__asm__ volatile("msr primask, %0" : : "r"(flags) : "memory");
}

static void relax(void)
{
	__asm__ volatile("nop");
}

/* The counter of this profile may be absent or off. */
static uint64_t cycles(void)
{
	return 0;
}

#else
#error "interrupts_off, interrupts_restore, relax and cycles are missing for this processor"
#endif

void iova_port_lock_init(struct iova_port_lock *lock, bool atomic)
{
	lock->held = 0;
	lock->atomic = atomic;
	lock->interrupts = 0;
}

void iova_port_lock_destroy(struct iova_port_lock *lock)
{
	(void)lock;
}

void iova_port_lock_acquire(struct iova_port_lock *lock)
{
	/* Off before the lock, not after: an interrupt that came between would
	 * spin for ever on a lock that its own CPU holds. */
	unsigned long interrupts = lock->atomic ? interrupts_off() : 0;

	while (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE))
		relax();
	lock->interrupts = interrupts;
}

void iova_port_lock_release(struct iova_port_lock *lock)
{
	unsigned long interrupts = lock->interrupts; /* the next holder's from the store on */

	__atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
	if (lock->atomic)
		interrupts_restore(interrupts);
}

/* Nothing forks here; the lock is as good as new. */
void iova_port_lock_reset(struct iova_port_lock *lock)
{
	iova_port_lock_release(lock);
}

/* One slot, which the CPUs share: who finds it taken goes to the engine. */
uint32_t iova_port_cpus(void)
{
	return 1;
}

void iova_port_percpu_init(struct iova_port_percpu *percpu, bool alone, bool atomic)
{
	percpu->mode = alone ? IOVA_PORT_ALONE : atomic ? IOVA_PORT_MASKED : IOVA_PORT_LOCKED;
	percpu->cpus = percpu->slots = 1;
	percpu->rseq = 0;
}

uint32_t iova_port_cpu(const struct iova_port_percpu *percpu)
{
	(void)percpu;
	return 0;
}

bool iova_port_fence(const struct iova_port_percpu *percpu)
{
	(void)percpu;
	return true;
}

void iova_port_relax(unsigned looks)
{
	(void)looks;
	relax();
}

void iova_port_mask_set(struct iova_port_mask *mask)
{
	mask->interrupts = interrupts_off();
}

void iova_port_mask_restore(const struct iova_port_mask *mask)
{
	interrupts_restore(mask->interrupts);
}

void iova_port_event_init(struct iova_port_event *event)
{
	(void)event;
}

void iova_port_event_destroy(struct iova_port_event *event)
{
	(void)event;
}

void iova_port_event_wait(struct iova_port_event *event, struct iova_port_lock *lock)
{
	(void)event;
	iova_port_lock_release(lock);
	relax();
	iova_port_lock_acquire(lock);
}

void iova_port_event_wake(struct iova_port_event *event)
{
	(void)event;
}

void *iova_port_memory_alloc(void *ctx, size_t bytes, size_t align, uint32_t flags)
{
	(void)ctx;
	(void)bytes;
	(void)align;
	(void)flags;
	return NULL;
}

void iova_port_memory_free(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	(void)memory;
	(void)bytes;
}

/* Two CPUs at the same cycle differ by the counter, two boots by the cycle. */
uint64_t iova_port_entropy(void)
{
	static unsigned calls;
	uint64_t bits = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);

	bits = (bits << 32 | bits) ^ cycles();
	bits = (bits ^ bits >> 29) * 0xff51afd7ed558ccdu;
	return bits ^ bits >> 32;
}

/* How fast the cycles go is not known here. */
uint64_t iova_port_now_ns(void)
{
	return 0;
}

int iova_port_errno(int error)
{
	return iova_port_errno_generic(error);
}

_Noreturn void iova_port_panic(const char *file, int line, const char *what)
{
	(void)file;
	(void)line;
	(void)what;
	for (;;)
		__builtin_trap();
}
