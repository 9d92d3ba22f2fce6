/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * Depot, drain and quarantine: two threads map and unmap for ever and drain when
 * they find nothing, one synchronises and frees; beside them an IOMMU whose
 * device loads a translation as soon as there is one.
 */
#define RANGES	 2
#define CAPACITY 1
#define DEPOT	 1
#define SYNCS	 1 /* in flight at a time */

/* What the device can still reach through the IOTLB is nobody's yet. */
inline given_out()
{
	assert(!mapped[r] && !iotlb[r])
}

#define MAY_RUN_ON(c) (c == (_pid == 2)) /* two on CPU 0, one on CPU 1 */

#include "cache.pml"

#define QUEUED 1
#define DONE   2
#define FAILED 3

bit mapped[RANGES]; /* in the page table */
bit iotlb[RANGES];  /* the IOMMU may translate it without a look at the page table */

byte waiting[RANGES]; /* in the quarantine: one more than the syncs started before; else 0 */
byte started, completed;
byte sync[SYNCS + 1];

#ifdef QUEUED_IS_COMPLETED
#define HAS_COMPLETED(s) (sync[s] == DONE || sync[s] == QUEUED)
#else
#define HAS_COMPLETED(s) (sync[s] == DONE)
#endif
#ifdef LATER_IS_COVERED
#define COVERED(r) (waiting[r] != 0 && waiting[r] - 1 <= completed)
#else
#define COVERED(r) (waiting[r] != 0 && waiting[r] - 1 < completed)
#endif

inline unmap()
{
	mapped[r] = 0;
	atomic {
		assert(owner[r] == _pid);
		waiting[r] = started + 1;
		owner[r] = 0;
		r = NONE
	}
}

#define MAY_ALLOCATE (owner[0] != _pid && owner[1] != _pid)

proctype allocator()
{
	LOCALS;

	do
	:: MAY_ALLOCATE;
		allocate();
		if
		:: r != NONE -> atomic { mapped[r] = 1; iotlb[r] = 1; r = NONE }
		:: r == NONE
		fi
	:: atomic {
			if
			:: owner[0] == _pid -> r = 0
			:: owner[1] == _pid -> r = 1
			fi
		};
		unmap()
	:: owner[0] != _pid && owner[1] != _pid;
		break
	od
}

inline sync_end(s)
{
	if
	:: HAS_COMPLETED(s) && s > completed -> completed = s
	:: else
	fi;
	sync[s] = 0
}

/* Starts syncs, and frees what those that completed have covered. Numbers begin
 * anew when they say nothing any more. */
proctype flusher()
{
	LOCALS;

	do
	:: atomic { started < SYNCS -> started++; sync[started] = QUEUED }
	:: atomic { HAS_COMPLETED(1) || sync[1] == FAILED -> sync_end(1) }
	:: atomic {
			if
			:: COVERED(0) -> r = 0
			:: COVERED(1) -> r = 1
			fi;
			waiting[r] = 0;
			owner[r] = _pid
		};
		release()
	:: atomic { started > 0 && !sync[1] && !COVERED(0) && !COVERED(1) ->
			started = 0;
			completed = 0;
			waiting[0] = waiting[0] != 0;
			waiting[1] = waiting[1] != 0 }
	:: started == 0;
		break
	od
}

inline invalidate(s)
{
	if
	:: iotlb[0] = mapped[0] && iotlb[0];
		iotlb[1] = mapped[1] && iotlb[1];
		sync[s] = DONE
	:: sync[s] = FAILED
	fi
}

/* Works at the queue late, and in any order; an invalidation may fail. */
proctype iommu()
{
end:	do
	:: atomic { sync[1] == QUEUED -> invalidate(1) }
	od
}

#define ONCE(r) (PLACES(r) + (waiting[r] != 0) == 1)

init
{
	LOCALS;

	atomic {
		run allocator();
		run allocator();
		run flusher();
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
		run iommu()
	};
end:	do
	:: !(ONCE(0) && ONCE(1)) -> assert(false)
	od
}
