# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
# Counts the test cases of a log that holds TAP (CMocka's kind too, which says
# "not ok N # SKIP"), alone or as ctest -V shows it, each line behind "N: ". A
# case that was planned and never came, and a program that failed without
# naming a case, count as failed.
# Prints "passed N", "failed N", "skipped N", and "FAILED name" or "SKIPPED
# name" for each of those.

function close_program(key, fine,   missing) {
	missing = plan[key] - seen[key]
	if (missing > 0)
		fail(name[key] "/" missing " cases that never came", missing)
	else if (!fine && !failed_of[key])
		fail(name[key], 1)
	else if (fine && !seen[key])
		passed++
	plan[key] = seen[key] = failed_of[key] = 0
}

function fail(what, count) {
	failed += count
	bad = bad "FAILED " what "\n"
}

function case_name(line) {
	sub(/^(not )?ok [0-9]+ *(- |# (SKIP|skip)[a-z]* *)?/, "", line)
	return line
}

{
	key = ""
	line = $0
	if (line ~ /^[0-9]+: /) {
		key = line
		sub(/: .*/, "", key)
		sub(/^[0-9]+: /, "", line)
	}
}

/^ +Start +[0-9]+: / {
	split($0, part, /: /)
	key = part[1]
	gsub(/[^0-9]/, "", key)
	name[key] = part[2]
	next
}

/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
	key = $0
	sub(/^[^#]*#/, "", key)
	sub(/:.*/, "", key)
	if ($0 ~ /\*\*\*Skipped/) {
		skipped++
		left_out = left_out "SKIPPED " name[key] "\n"
	} else
		close_program(key, $0 ~ / Passed /)
	next
}

line ~ /^1\.\.[0-9]+$/ {
	plan[key] += substr(line, 4)
	next
}

line ~ /^(not )?ok [0-9]+/ {
	seen[key]++
	label = (key == "" ? "" : name[key] "/") case_name(line)
	if (line ~ /^(not )?ok [0-9]+ *# (SKIP|skip)/) {
		skipped++
		left_out = left_out "SKIPPED " label "\n"
	} else if (line ~ /^not ok/) {
		failed_of[key]++
		fail(label, 1)
	} else
		passed++
}

END {
	if (plan[""] > seen[""])
		fail((plan[""] - seen[""]) " cases that never came", plan[""] - seen[""])
	printf "passed %d\nfailed %d\nskipped %d\n%s%s", passed, failed, skipped, bad, left_out
}
