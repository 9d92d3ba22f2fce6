/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/* The cache and a drain: two threads that allocate and free for ever, and one
 * that drains. */
#define RANGES	 2
#define CAPACITY 1
#define DEPOT	 1

inline given_out() { skip }

#define MAY_RUN_ON(c) (_pid != 1 || c == 0)

#include "cache.pml"

#define HAS_NONE (owner[0] != _pid && owner[1] != _pid)

proctype allocator()
{
	LOCALS;

	do
	:: allocate();
		r = NONE
	:: atomic {
			if
			:: owner[0] == _pid -> r = 0
			:: owner[1] == _pid -> r = 1
			fi
		};
		release()
	:: HAS_NONE;
		break
	od
}

proctype drain()
{
	LOCALS;

	do
	:: lock(space);
		take_back();
		unlock(space)
	:: break
	od
}

init
{
	LOCALS;

	atomic {
		do
		:: x < RANGES -> engine[x] = 1; x++; reachable++
		:: else -> break
		od;
		x = 1;
		do
		:: x <= MAGAZINES -> spare[x] = 1; x++
		:: else -> break
		od;
		x = 0;
		run allocator();
		run allocator();
		run drain()
	};
end:	do
	:: !EACH_ONCE -> assert(false)
	:: _nr_pr == 1 -> break
	od;
	lock(space);
	take_back();
	unlock(space);
	assert(ALL_FREE && reachable == RANGES)
}
