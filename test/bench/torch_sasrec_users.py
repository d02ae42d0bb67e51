"""Runs ../shared/peers/torch_sasrec.py so that it also writes the test NDCG@10 of each user, at the epoch best on validation.

usage: torch_sasrec_users.py SCRIPT OUT SEQ [options of the script]        OUT: a number a line, in the order of SEQ's lines

The script's source is run with one line replaced; it evaluates on the test items only when an epoch was the best so far.
"""
import sys

script, out = sys.argv[1:3]
sys.argv = [script] + sys.argv[3:]
source = open(script).read()
result = "    return hit.mean().item(), (hit / torch.log2(r + 2)).mean().item()\n"
assert source.count(result) == 1, f"{script} has changed: evaluate() does not end as expected"
source = source.replace(result, f"""    users_ndcg = hit / torch.log2(r + 2)
    assert n_users == sum(1 for _ in open(a.seq)), "users with less than 3 events are left out"
    if targets is test: open({out!r}, "w").write("".join(f"{{x:.9f}}\\n" for x in users_ndcg.tolist()))
    return hit.mean().item(), users_ndcg.mean().item()
""")
exec(compile(source, script, "exec"), {"__name__": "__main__"})
