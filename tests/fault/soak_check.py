"""Checks what tests/fault/soak has left in a folder: the versions that each process was told of, and what stands there."""
import glob
import json
import sys

folder, seconds, least_disturbed = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
told = {}  # by key: how often each version was reported, and the value with it
for path in glob.glob(folder + "/versions.*"):
    with open(path, encoding="utf-8") as file:
        for line in file:
            key, version, value = line.split()
            told.setdefault(key, {}).setdefault(int(version), []).append(int(value))

lost = twice = altered = unreported = 0
with open(folder + "/final", encoding="utf-8") as file:
    for line in file:
        key, value, version = line.split()
        versions = told.pop(key)
        for number, values in versions.items():
            twice += len(values) - 1
            altered += sum(value != number for value in values)
            lost += number > int(version)
        unreported += sum(number not in versions for number in range(1, int(version) + 1))
        altered += int(value) != int(version)
counts, transitions, disturbed = {}, {}, 0
for path in sorted(glob.glob(folder + "/out.*")):
    with open(path, encoding="utf-8") as file:
        result = json.load(file)
    disturbed += result["disturbed"]
    for name, number in result["counts"].items():
        counts[name] = counts.get(name, 0) + number
    for name, number in (result["transitions"] or {}).items():
        transitions[name] = transitions.get(name, 0) + number
with open(folder + "/faults.json", encoding="utf-8") as file:
    faults = json.load(file)

commits = counts["committed"]
percent = 100 * disturbed / max(commits, 1)
print("%d commits in %d s, %.0f %% of the writes disturbed" % (commits, seconds, percent))
print("faults: " + ", ".join("%s %d" % pair for pair in sorted(faults.items())))
for name in sorted(transitions):
    print("transition: %s: %d" % (name, transitions[name]))
print("outcomes: " + ", ".join("%s %d" % pair for pair in sorted(counts.items())))
print("lost %d, reported twice %d, applied and not reported %d, altered %d" % (lost, twice, unreported, altered))
is_whole = not (lost or twice or unreported or altered or told or counts["unknown"] or counts["history_lost"])
print("whole" if is_whole else "BROKEN")
if percent < least_disturbed:
    print("fewer than %g %% of the writes were disturbed" % least_disturbed)
sys.exit(0 if is_whole and percent >= least_disturbed else 4)
