# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
"""gate.py COVERAGE.json EXCEPTIONS: what gcovr saw against the exceptions.

An exception is a line "FILE | SOURCE LINE | REASON"; it excuses every missed
branch of the lines of FILE that read so, white space apart. Prints a line for
each branch or line that was missed and is not excused, one for each exception
that excuses nothing, and a last one with the totals.
"""
import json
import sys


def squeeze(text):
    return " ".join(text.split())


def read_exceptions(path):
    exceptions = {}
    for number, text in enumerate(open(path), 1):
        if text.strip() and not text.startswith("#"):
            # The source line may itself hold a bar.
            parts = text.rstrip("\n").split(" | ")
            if len(parts) < 3 or not parts[-1].strip():
                sys.exit(f"{path}:{number}: not FILE | SOURCE LINE | REASON")
            exceptions[parts[0].strip(), squeeze(" | ".join(parts[1:-1]))] = False
    return exceptions


def missed(line):
    if line["count"] == 0:
        return "is never reached"
    never = sum(1 for branch in line["branches"] if branch["count"] == 0)
    return f"takes {len(line['branches']) - never} of {len(line['branches'])} branches" if never else None


def main(counts_path, exceptions_path):
    exceptions = read_exceptions(exceptions_path)
    lines = branches = excused = 0
    for file in json.load(open(counts_path))["files"]:
        source = open(file["file"]).read().splitlines()
        for line in file["lines"]:
            if line.get("gcovr/noncode"):
                continue
            lines += 1
            branches += len(line["branches"])
            what = missed(line)
            if not what:
                continue
            text = source[line["line_number"] - 1]
            key = file["file"], squeeze(text)
            if key in exceptions:
                exceptions[key] = True
                excused += 1
            else:
                print(f"{file['file']}:{line['line_number']} {what}: {text.strip()}")
    for (file, text), used in exceptions.items():
        if not used:
            print(f"unused exception: {file} | {text}")
    print(f"checked {lines} lines and {branches} branches, {excused} lines excused")


main(*sys.argv[1:])
