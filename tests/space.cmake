# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
# The suites of a space: black boxes over the public headers. Each takes the
# engine from IOVA_TEST_ENGINE and exits with 77 where the library lacks it.
add_subdirectory(oracle)

function(iova_space_test name)
	iova_test(${name} ${ARGN})
	target_link_libraries(test_${name} PRIVATE iova_test_space)
	set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77)
endfunction()

# The same program again, with the other engine.
function(iova_bitmap_tests)
	foreach(name IN LISTS ARGN)
		add_test(NAME ${name}_bitmap COMMAND test_${name})
		set_tests_properties(${name}_bitmap PROPERTIES SKIP_RETURN_CODE 77 ENVIRONMENT IOVA_TEST_ENGINE=bitmap)
	endforeach()
endfunction()

iova_space_test(oracle oracle/test_oracle.c)
iova_space_test(lockstep space/test_lockstep.c space/episodes.c LIBRARY iova_static)
iova_space_test(engines space/test_engines.c space/episodes.c LIBRARY iova_static)
iova_space_test(exhaustive space/test_exhaustive.c)
iova_space_test(badinput space/test_badinput.c)
iova_space_test(failnth space/test_failnth.c)
iova_space_test(placed space/test_placed.c)
if(TARGET iova_counted)
	iova_space_test(placed_steps space/test_placed_steps.c LIBRARY iova_counted iova_sim)
else()
	iova_skipped_test(placed_steps "MemorySanitizer wants to be in all code, and adds steps to it")
endif()
iova_space_test(growth space/test_growth.c)
iova_space_test(trim space/test_trim.c)
iova_space_test(bugs space/test_bugs.c LABELS bugs)
iova_space_test(bugs_quarantine space/test_bugs_quarantine.c LABELS bugs)
iova_space_test(steps space/test_steps.c)
iova_space_test(check space/test_check.c)
iova_space_test(records space/test_records.c)
iova_space_test(ends space/test_ends.c)
iova_space_test(placement space/test_placement.c)
iova_space_test(inspect space/test_inspect.c space/json.c)
iova_space_test(snapshot space/test_snapshot.c)
iova_space_test(modes space/test_modes.c LIBRARY iova_static)
iova_space_test(threads space/test_threads.c LIBRARY iova_static)
iova_space_test(forks space/test_forks.c space/owners.c LIBRARY iova_static)
iova_space_test(traffic space/test_traffic.c space/owners.c LIBRARY iova_static)
iova_space_test(fit space/test_fit.c)
iova_space_test(corners space/test_corners.c)
iova_space_test(live_bits space/test_live_bits.c)
iova_space_test(caches space/test_caches.c)
iova_space_test(marks space/test_marks.c)
iova_space_test(batches space/test_batches.c)
iova_space_test(frees space/test_frees.c LIBRARY iova_static)
iova_space_test(quarantine space/test_quarantine.c)
iova_space_test(quarantine_corners space/test_quarantine_corners.c)
iova_space_test(waiting space/test_waiting.c)
iova_space_test(waiting_threads space/test_waiting_threads.c LIBRARY iova_static)

iova_bitmap_tests(growth lockstep exhaustive badinput failnth placed trim bugs bugs_quarantine check records placement inspect
	snapshot modes threads traffic fit corners caches marks batches frees quarantine quarantine_corners waiting
	waiting_threads)

# Restartable sequences, stopped at each instruction: with the library inside
# the program and, where there is one, with the shared one.
if(CMAKE_SIZEOF_VOID_P EQUAL 8 AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|aarch64)$")
	set(RSEQ_SOURCES rseq/test_sections.c rseq/sections.c rseq/storm.c rseq/tracer.c rseq/victim.c
		space/owners.c)
	iova_space_test(rseq ${RSEQ_SOURCES} LIBRARY iova_static)
	if(TARGET iova_shared)
		iova_space_test(rseq_shared ${RSEQ_SOURCES} LIBRARY iova_shared)
	endif()
endif()

# ThreadSanitizer is there for what has threads; the suites of one thread do less in its preset.
if(CMAKE_C_FLAGS MATCHES "sanitize=thread")
	foreach(name IN ITEMS batches caches forks frees modes quarantine threads traffic trim waiting_threads)
		set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT IOVA_TEST_OPS=500000)
		if(TEST ${name}_bitmap)
			set_property(TEST ${name}_bitmap APPEND PROPERTY ENVIRONMENT IOVA_TEST_OPS=500000)
		endif()
	endforeach()
endif()
