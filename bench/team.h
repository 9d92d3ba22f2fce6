/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Threads, each pinned to a CPU, that begin a piece of work at the same moment
 * and sleep in between.
 */
#ifndef IOVA_BENCH_TEAM_H
#define IOVA_BENCH_TEAM_H

#include "bench.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

using Clock = std::chrono::steady_clock;

inline double nanoseconds(Clock::duration duration)
{
	return std::chrono::duration<double, std::nano>(duration).count();
}

/* How often this thread lost its CPU while it could have gone on. */
long preemptions();

/* What one member did. */
struct Lap {
	Clock::time_point begin, end;
	size_t pairs;
	bool preempted; /* so its time says nothing */

	double per_second() const
	{
		return static_cast<double>(pairs) / nanoseconds(end - begin) * 1e9;
	}
};

class Team
{
      public:
	/* A member's work; it returns how many pairs it did. */
	using Work = std::function<size_t(size_t member)>;

	/* Member n runs on cpus[n], or shares one where there are fewer. */
	Team(const std::vector<int> &cpus, size_t size);
	~Team();
	Team(const Team &) = delete;
	Team &operator=(const Team &) = delete;

	/* The work by the members from first on. Returns when all are done. */
	std::vector<Lap> run(size_t first, size_t count, const Work &work);

      private:
	void live(size_t member, int cpu);
	Lap lap(size_t member);

	std::mutex mutex;
	std::condition_variable called, finished;
	unsigned calls = 0; /* this and the next four: written under the mutex */
	size_t first = 0, count = 0, left = 0;
	const Work *work = nullptr;
	bool over = false;
	std::vector<Lap> laps;
	std::atomic<size_t> arrived{ 0 };
	std::vector<std::thread> threads;
};

#endif
