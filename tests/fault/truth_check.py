"""Holds what a run of the lab was told of its writes against what its server did, which tests/fault/vanishing.bats has its core script log.

usage: truth_check.py HISTORY SERVER-LOG [--may-be-made-again]
"""
import collections
import json
import re
import sys

history, log = sys.argv[1], sys.argv[2]
may_be_made_again = "--may-be-made-again" in sys.argv[3:]
with open(log, encoding="utf-8", errors="replace") as file:
    order = re.findall(r"applied ([\w.-]+)", file.read())
applied = collections.Counter(order)
told, false, writers = collections.Counter(), [], set()
with open(history, encoding="utf-8") as file:
    for line in file:
        write = json.loads(line)
        if "attempt" not in write:
            continue
        outcome, times = write["outcome"], applied.pop(write["token"], 0)
        writers.add(write["token"].split("-")[0])
        told[outcome] += 1
        least, most = {"committed": (1, 1), "unknown": (0, 1)}.get(outcome, (0, 0))
        # What stood on no record at all meets the same again where the record has gone.
        if may_be_made_again and write.get("base") == "0":
            most = times
        if not least <= times <= most:
            false.append("%s was %s, and applied %d times" % (write["token"], outcome, times))
            # What it stood on, and what was applied before and after it.
            false.append("  " + line.strip())
            at = order.index(write["token"]) if times else 0
            false.append("  " + " ".join(order[max(at - 5, 0):at + 6]))
applied = [token for token in applied if token.split("-")[0] in writers]
print(dict(told))
print("\n".join(false[:20]))
if applied:
    print("nobody was told of %s" % applied[:20])
sys.exit(1 if false or applied or told["committed"] < 50 else 0)
