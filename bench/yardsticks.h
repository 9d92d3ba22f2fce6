/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What the allocator is measured against. Each yardstick has the shape of the
 * hot pair and is inlined into the same driver as W1; jemalloc is called
 * through a pointer into its own shared object, as the allocator is.
 */
#ifndef IOVA_BENCH_YARDSTICKS_H
#define IOVA_BENCH_YARDSTICKS_H

#include "bench.h"

#include <atomic>

/* The driver alone: the results look used to the compiler. */
class NullPair
{
      public:
	int alloc(uint64_t bytes, uint64_t, uint64_t, uint64_t *iova)
	{
		*iova = bytes;
		return 0;
	}

	int free(uint64_t iova, uint64_t bytes)
	{
		asm volatile("" : : "r"(iova), "r"(bytes) : "memory");
		return 0;
	}
};

constexpr unsigned magazine_entries = 127;

/* An array that is popped and pushed, with nothing around it. */
class Magazine
{
      public:
	Magazine()
	{
		for (count = 0; count < magazine_entries / 2; count++)
			entries[count] = count * granule;
	}

	int alloc(uint64_t, uint64_t, uint64_t, uint64_t *iova)
	{
		if (!count)
			return IOVA_ERR_NOSPC;
		*iova = entries[--count];
		return 0;
	}

	int free(uint64_t iova, uint64_t)
	{
		if (count == magazine_entries)
			return IOVA_ERR_NOSPC;
		entries[count++] = iova;
		return 0;
	}

      private:
	unsigned count;
	uint64_t entries[magazine_entries];
};

/* L: per operation one compare-exchange to lock and one plain release store to
 * unlock. As in Linux the lock lies beside the pointer to the magazine, in another cache
 * line than the magazine: beside the count it would cost a fifth more, and the yardstick
 * is the faster one, wherever its object comes to lie. */
class LockedMagazine
{
      public:
	int alloc(uint64_t bytes, uint64_t align, uint64_t limit, uint64_t *iova)
	{
		lock();
		int error = loaded->alloc(bytes, align, limit, iova);
		unlock();
		return error;
	}

	int free(uint64_t iova, uint64_t bytes)
	{
		lock();
		int error = loaded->free(iova, bytes);
		unlock();
		return error;
	}

      private:
	void lock()
	{
		for (unsigned expected = 0;
		     !held.compare_exchange_weak(expected, 1, std::memory_order_acquire, std::memory_order_relaxed);
		     expected = 0)
			;
	}
	void unlock()
	{
		held.store(0, std::memory_order_release);
	}

	alignas(64) std::atomic<unsigned> held{ 0 };
	Magazine *loaded = &magazine;
	alignas(64) Magazine magazine;
};

/* malloc and free of a jemalloc that serves nobody else in this process. */
class Jemalloc
{
      public:
	/* False where there is none; why() says what the loader said. */
	bool open();
	const std::string &why() const
	{
		return reason;
	}

	int alloc(uint64_t bytes, uint64_t, uint64_t, uint64_t *iova)
	{
		void *memory = malloc_of(bytes);

		*iova = reinterpret_cast<uintptr_t>(memory);
		return memory ? 0 : IOVA_ERR_NOMEM;
	}

	int free(uint64_t iova, uint64_t)
	{
		free_of(reinterpret_cast<void *>(static_cast<uintptr_t>(iova)));
		return 0;
	}

      private:
	void *(*malloc_of)(size_t) = nullptr;
	void (*free_of)(void *) = nullptr;
	std::string reason;
};

/* count lock-prefixed instructions (or what the machine has in their place),
 * one after the other. */
void locked_instructions_bare(size_t count);

/* The same, each followed by the plain store that makes it a lock and unlock:
 * what one costs when stores are in flight, as they are in any program. */
void locked_instructions(size_t count);

#endif
