/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#include "team.h"

#include <sched.h>
#include <sys/resource.h>

long preemptions()
{
	rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw;
}

Team::Team(const std::vector<int> &cpus, size_t size) : laps(size)
{
	for (size_t member = 0; member < size; member++)
		threads.emplace_back([this, member, cpu = cpus[member % cpus.size()]] { live(member, cpu); });
}

Team::~Team()
{
	{
		std::lock_guard<std::mutex> lock(mutex);
		over = true;
	}
	called.notify_all();
	for (std::thread &thread : threads)
		thread.join();
}

std::vector<Lap> Team::run(size_t first_, size_t count_, const Work &work_)
{
	std::unique_lock<std::mutex> lock(mutex);

	first = first_;
	count = left = count_;
	work = &work_;
	arrived.store(0, std::memory_order_relaxed);
	calls++;
	called.notify_all();
	finished.wait(lock, [this] { return !left; });

	auto begin = laps.begin() + static_cast<ptrdiff_t>(first);

	return { begin, begin + static_cast<ptrdiff_t>(count) };
}

void Team::live(size_t member, int cpu)
{
	unsigned answered = 0;

	pin(cpu);
	for (std::unique_lock<std::mutex> lock(mutex);;) {
		called.wait(lock, [&] { return over || calls != answered; });
		if (over)
			return;
		answered = calls;
		if (member < first || member >= first + count)
			continue;
		lock.unlock();

		Lap done = lap(member);

		lock.lock();
		laps[member] = done;
		if (!--left)
			finished.notify_one();
	}
}

Lap Team::lap(size_t member)
{
	Lap done;
	long before = preemptions();

	arrived.fetch_add(1);
	for (unsigned spins = 1; arrived.load() < count; spins++)
		if (spins % 1024 == 0) /* those who are missing may wait for this CPU */
			sched_yield();
	done.begin = Clock::now();
	done.pairs = (*work)(member);
	done.end = Clock::now();
	done.preempted = preemptions() != before;
	return done;
}
