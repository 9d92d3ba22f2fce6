/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "yardsticks.h"

#include <dlfcn.h>

static std::atomic<unsigned> word;

void locked_instructions_bare(size_t count)
{
	while (count--)
		word.fetch_add(1, std::memory_order_relaxed);
}

void locked_instructions(size_t count)
{
	word.store(0, std::memory_order_relaxed);
	while (count--) {
		unsigned expected = 0;

		word.compare_exchange_strong(expected, 1, std::memory_order_acquire, std::memory_order_relaxed);
		word.store(0, std::memory_order_release);
	}
}

bool Jemalloc::open()
{
	void *library = dlopen("libjemalloc.so.2", RTLD_NOW | RTLD_LOCAL);

	if (library) {
		malloc_of = reinterpret_cast<void *(*)(size_t)>(dlsym(library, "malloc"));
		free_of = reinterpret_cast<void (*)(void *)>(dlsym(library, "free"));
	}
	if (malloc_of && free_of)
		return true;
	reason = dlerror();
	return false;
}
