/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * One lane of the cache: a slot on each of two CPUs, magazines and the depot,
 * and the engine behind them. docs/model.md says what stands for what.
 *
 * A statement outside an atomic is one step: any process may go on in between.
 * A process that uses the inlines has the variables of LOCALS. The file that
 * includes this one defines RANGES, CAPACITY, DEPOT and the inline given_out().
 */
#define CPUS	   2
#define ALLOCATORS 2		  /* their _pid is 1 and 2 */
#define MAGAZINES  2		  /* one less than the slots and the depot could use */
#define CLOSED	   0		  /* the magazine without room and without entries */
#define NONE	   255		  /* no range */

typedef magazine {
	byte count;
	byte entry[CAPACITY]
}

magazine mag[MAGAZINES + 1];
bit spare[MAGAZINES + 1]; /* empty, and in no slot */
byte depot[DEPOT];	  /* full, and in no slot */
byte depot_count;
byte slot[CPUS];	  /* the loaded magazine */
byte parked[CPUS];	  /* what was there, while the cache is held */
byte section[CPUS];	  /* the _pid of whose section runs there */
bit engine[RANGES];
byte owner[RANGES];  /* the _pid of whose it is */
byte space, lane;    /* locks: the _pid of the holder. Order: space, lane */
bit held;	     /* under lane: the slots stay closed */

byte reachable;		       /* ranges in a magazine or in the engine */
bit in_call[ALLOCATORS + 1];
bit none_seen[ALLOCATORS + 1]; /* at some instant of the call nothing was reachable */

#define LOCALS                          \
	byte cpu = 0, m = CLOSED, n = 0; \
	byte x = 0, r = NONE;           \
	bit again = 0

#define INSIDE	   (section[cpu] == _pid)
#define FULL(m, n) (m == CLOSED || n == CAPACITY)
#define ANY_SPARE  (spare[1] || spare[2])

inline lock(which)
{
	atomic { which == 0 -> which = _pid }
}

inline unlock(which)
{
	atomic { assert(which == _pid); which = 0 }
}

/* ---- critical sections of one CPU ---- */

/* The scheduler runs the thread on any CPU. Whoever is in a section there was
 * preempted by that, so that its section will abort. */
inline enter()
{
	if
	:: MAY_RUN_ON(0) -> cpu = 0
	:: MAY_RUN_ON(1) -> cpu = 1
	fi;
	section[cpu] = _pid;
	m = slot[cpu]
}

inline leave()
{
	if
	:: INSIDE -> section[cpu] = 0
	:: else
	fi;
	n = 0
}

/* A section may abort between any two steps, for a reason in the model or for
 * none. Nothing but what it stored beyond the count is left of it. */
inline abort()
{
	atomic { leave(); m = CLOSED; cpu = 0 }
}

/* ---- whose a range is ---- */

/* In the step that takes r out of a magazine or the engine. */
inline take()
{
	assert(owner[r] == 0);
	owner[r] = _pid;
	given_out();
	reachable--;
	if
	:: reachable == 0 ->
		none_seen[1] = none_seen[1] || in_call[1];
		none_seen[2] = none_seen[2] || in_call[2]
	:: else
	fi
}

/* In the step that puts r there. */
inline give()
{
	assert(owner[r] == _pid);
	owner[r] = 0;
	r = NONE;
	reachable++
}

/* ---- the fast paths ---- */

/* r becomes an entry of the loaded magazine; stays NONE where that has none. */
inline pop()
{
	do
	:: atomic { enter() };
		if
		:: atomic { INSIDE -> n = mag[m].count };
			if
			:: atomic { n == 0 -> leave(); m = CLOSED; cpu = 0 };
				break
			:: n > 0;
				if
				:: atomic { INSIDE -> r = mag[m].entry[n - 1] };
					if
					:: atomic { INSIDE -> mag[m].count = n - 1; leave(); m = CLOSED; cpu = 0; take() };
						break
					:: atomic { leave(); m = CLOSED; cpu = 0; r = NONE }
					fi
				:: abort()
				fi
			fi
		:: abort()
		fi
	od
}

/* r goes into the loaded magazine and becomes NONE; stays where that is full. */
inline push()
{
	do
	:: atomic { enter() };
		if
		:: atomic { INSIDE -> n = mag[m].count };
			if
			:: atomic { FULL(m, n) -> leave(); m = CLOSED; cpu = 0 };
				break
			:: !FULL(m, n);
				if
				:: atomic { INSIDE -> mag[m].entry[n] = r };
					if
					:: atomic { INSIDE -> mag[m].count = n + 1; leave(); m = CLOSED; cpu = 0; give() };
						break
					:: abort()
					fi
				:: abort()
				fi
			fi
		:: abort()
		fi
	od
}

/* ---- the slow paths ---- */

/* m: what was in the slot of the CPU that the thread is on; the slot is closed.
 * The thread may be elsewhere right after.
 * pre: lane is held. */
inline detach()
{
	do
	:: atomic { enter() };
		if
		:: atomic { INSIDE -> slot[cpu] = CLOSED; leave() };
			break
		:: abort()
		fi
	od
}

/* pre: lane is held since the slot was closed. */
inline attach(which)
{
	atomic {
		assert(lane == _pid && slot[cpu] == CLOSED);
		slot[cpu] = which;
		m = CLOSED;
		x = CLOSED;
		cpu = 0
	}
}

/* One step, for only the holder of the lane sees it. */
inline spare_put(which)
{
	d_step {
		if
		:: which == CLOSED
		:: else ->
			assert(mag[which].count == 0 && !spare[which]);
			mag[which].entry[0] = 0;
			spare[which] = 1
		fi
	}
}

inline spare_get(which)
{
	d_step {
		which = 1;
		do
		:: !spare[which] -> which++
		:: else -> break
		od;
		spare[which] = 0
	}
}

inline depot_put(which)
{
	d_step {
		if
		:: which == CLOSED
		:: else -> depot[depot_count] = which; depot_count++
		fi
	}
}

inline depot_get(which)
{
	d_step {
		depot_count--;
		which = depot[depot_count];
		depot[depot_count] = 0
	}
}

/* The loaded magazine was empty. again: it need not be any more. */
inline refill()
{
	lock(lane);
	if
	:: held
	:: !held;
		detach();
		if
		:: atomic { mag[m].count == 0 && depot_count > 0 -> spare_put(m); depot_get(x); again = 1 };
			attach(x)
		:: atomic { else -> again = mag[m].count > 0 };
			attach(m)
		fi
	fi;
	unlock(lane)
}

/* The loaded magazine was full. again: it need not be any more. */
inline spill()
{
	lock(lane);
	if
	:: held
	:: !held;
		detach();
		if
		:: atomic { FULL(m, mag[m].count) && ANY_SPARE && (m == CLOSED || depot_count < DEPOT) ->
			depot_put(m); spare_get(x); again = 1 };
			attach(x)
		:: atomic { else -> again = !FULL(m, mag[m].count) };
			attach(m)
		fi
	fi;
	unlock(lane)
}

/* Every slot closed, and no section left in what was there.
 * pre: space is held. */
inline hold()
{
	lock(lane);
	held = 1;
	do
	:: atomic { cpu < CPUS -> parked[cpu] = slot[cpu]; slot[cpu] = CLOSED; cpu++ }
	:: atomic { cpu == CPUS -> cpu = 0 };
		break
	od;
	unlock(lane);
#ifndef NO_FENCE
	do
	:: atomic { cpu < CPUS -> section[cpu] = 0; cpu++ }
	:: atomic { cpu == CPUS -> cpu = 0 };
		break
	od
#endif
}

/* pre: held. */
inline unload()
{
	do
	:: atomic { mag[m].count > 0 ->
			n = mag[m].count - 1;
			assert(!engine[mag[m].entry[n]]);
			engine[mag[m].entry[n]] = 1;
			mag[m].count = n;
			n = 0 }
	:: atomic { mag[m].count == 0 -> spare_put(m); m = CLOSED };
		break
	od
}

/* The entries of all magazines back to the engine.
 * pre: space is held. */
inline take_back()
{
	hold();
	do
	:: atomic { cpu < CPUS -> m = parked[cpu]; parked[cpu] = CLOSED; cpu++ };
		unload()
	:: atomic { cpu == CPUS -> cpu = 0 };
		break
	od;
	do
	:: atomic { depot_count > 0 -> depot_get(m) };
		unload()
	:: depot_count == 0;
		break
	od;
	lock(lane);
	held = 0;
	unlock(lane)
}

inline engine_take()
{
	atomic {
		x = RANGES;
		do
		:: x == 0 -> break
		:: x > 0 && engine[x - 1] ->
			r = x - 1;
			engine[r] = 0;
			take();
			break
		:: else -> x--
		od;
		x = 0
	}
}

/* ---- what the library's callers call ---- */

/* r: the range, or NONE, which says that there is no space. */
inline allocate()
{
	atomic { in_call[_pid] = 1; none_seen[_pid] = reachable == 0 };
	do
	:: pop();
		if
		:: r != NONE -> break
		:: r == NONE
		fi;
		refill();
		if
		:: atomic { again -> again = 0 }
		:: !again;
			lock(space);
			engine_take();
#ifndef NO_TAKE_BACK
			if
			:: r == NONE -> take_back(); engine_take()
			:: r != NONE
			fi;
#endif
			unlock(space);
			break
		fi
	od;
	atomic {
		assert(r != NONE || none_seen[_pid]);
		in_call[_pid] = 0;
		none_seen[_pid] = 0
	}
}

inline release()
{
	do
	:: push();
		if
		:: r == NONE -> break
		:: r != NONE
		fi;
		spill();
		if
		:: atomic { again -> again = 0 }
		:: !again;
			lock(space);
			atomic { assert(!engine[r]); engine[r] = 1; give() };
			unlock(space);
			break
		fi
	od
}

/* ---- the accounts ---- */

#define IN_MAG_AT(m, i, r) (mag[m].count > i && mag[m].entry[i] == r)
#if CAPACITY == 1
#define IN_MAG(m, r) (IN_MAG_AT(m, 0, r))
#else
#define IN_MAG(m, r) (IN_MAG_AT(m, 0, r) + IN_MAG_AT(m, 1, r))
#endif
#define IN_MAGS(r) (IN_MAG(1, r) + IN_MAG(2, r))
#define PLACES(r) (IN_MAGS(r) + engine[r] + (owner[r] != 0))
#if RANGES == 2
#define EACH_ONCE (PLACES(0) == 1 && PLACES(1) == 1)
#define ALL_FREE (engine[0] && engine[1])
#else
#define EACH_ONCE (PLACES(0) == 1 && PLACES(1) == 1 && PLACES(2) == 1)
#define ALL_FREE (engine[0] && engine[1] && engine[2])
#endif
