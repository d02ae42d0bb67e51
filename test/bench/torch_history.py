"""The network of src/encoder/history.c in PyTorch: a version's weights, exported from SQL, give the same recommendations elsewhere.

usage: torch_history.py MODEL HISTORIES TOP

MODEL: a .safetensors file, rlrec_weights_to_safetensors(rlrec_model_weights(agent)) of learner supervised
HISTORIES: a line a user, tab separated: user, items (oldest first, by spaces), and where the model has embeddings of gaps or types
    the events' times in seconds and their types' numbers, as many as items
TOP: what rlrec_recommend_all() gave, tab separated: user, rank, item, score

A place in a list is equal when both have the same item there, and tied when both items' scores are within TOLERANCE. Prints the shares
of equal lists and places, of places that are only tied, and the largest difference of a score; status 1 when a place is neither, or a
score is off by more.
Computes in double precision. Needs torch only.
"""
import json, math, struct, sys
import torch, torch.nn as nn, torch.nn.functional as F

TOLERANCE = 1e-4
DTYPES = {"F32": torch.float32, "F64": torch.float64, "I8": torch.int8, "I32": torch.int32}

def read_safetensors(path):
    data = bytearray(open(path, "rb").read())
    n, = struct.unpack_from("<Q", data)
    header, start, tensors = json.loads(data[8:8 + n]), 8 + n, {}
    header.pop("__metadata__", None)
    for name, t in header.items():
        begin, end = t["data_offsets"]
        dtype = DTYPES[t["dtype"]]
        count = (end - begin) // dtype.itemsize
        flat = torch.frombuffer(data, dtype=dtype, count=count, offset=start + begin) if count else torch.empty(0, dtype=dtype)
        tensors[name] = flat.clone().reshape(t["shape"])
    return tensors

def item_ids(tensors):
    offset, text = tensors["items/offset"].tolist(), bytes(b & 255 for b in tensors["items/bytes"].tolist())
    return [text[a:b].decode() for a, b in zip(offset, offset[1:])]

def parameters(tensors, prefix, names):
    """Those of the tensors under a prefix that the model has"""
    return {n: tensors[prefix + n].double() for n in names if prefix + n in tensors}

def norm(x, parameter):
    return F.layer_norm(x, x.shape[-1:], parameter[0], parameter[1], eps=1e-6)

def add(x, a, r, gate):
    """x + r, with r weighed by a sigmoid of the norm a where there is a gate"""
    return x + (r if gate is None else torch.sigmoid(a @ gate) * r)

class Block(nn.Module):
    def __init__(self, tensors, prefix, heads):
        super().__init__()
        self.heads = heads
        self.w = parameters(tensors, prefix, ["attention_norm", "qkv", "relative", "out", "attention_gate",
                                              "forward_norm", "up", "down", "forward_gate"])

    def attention(self, x):
        users, n, d = x.shape
        q, k, v = (x @ self.w["qkv"]).reshape(users, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        distance = torch.arange(n)[:, None] - torch.arange(n)
        bias = self.w["relative"].flip(1)[:, distance.clamp(min=0)]     # stored from the farthest distance to 0
        logits = (q @ k.transpose(-1, -2) / math.sqrt(d // self.heads) + bias).masked_fill(distance < 0, -math.inf)
        return (logits.softmax(-1) @ v).transpose(1, 2).reshape(users, n, d) @ self.w["out"]

    def network(self, x):
        a, b = (x @ self.w["up"]).chunk(2, -1)
        return (F.silu(a) * b) @ self.w["down"]

    def forward(self, x):
        a = norm(x, self.w["attention_norm"])
        x = add(x, a, self.attention(a), self.w.get("attention_gate"))
        a = norm(x, self.w["forward_norm"])
        return add(x, a, self.network(a), self.w.get("forward_gate"))

def buckets(times, rows):
    """Of the whole seconds since the event before: 0 for the first event, else 1 + floor(log2(1 + seconds)), at most the last row"""
    return [0] + [min(int(1 + b - a).bit_length(), rows - 1) for a, b in zip(times, times[1:])]

class History(nn.Module):
    def __init__(self, tensors):
        super().__init__()
        self.length, d, blocks, heads = tensors["shape"][:4].tolist()
        self.w = parameters(tensors, "", ["item_embedding", "gap", "type", "norm"])
        self.blocks = nn.ModuleList(Block(tensors, f"block{b}/", heads) for b in range(blocks))

    def embed(self, histories):
        """x (users,n,d) of the last events, padded at the right, where no state that is looked at sees it; and their numbers"""
        rows = len(self.w["gap"]) if "gap" in self.w else 0
        last = [[column[-self.length:] for column in (h[0], buckets(h[1], rows) if rows else [], h[2])] for h in histories]
        pad = lambda rows: nn.utils.rnn.pad_sequence([torch.tensor(r) for r in rows], batch_first=True)
        item, gap, kind = self.w["item_embedding"], self.w.get("gap"), self.w.get("type")
        x = math.sqrt(item.shape[1]) * item[pad([h[0] for h in last])]
        if gap is not None:
            x = x + gap[pad([h[1] for h in last])]
        if kind is not None:
            x = x + kind[pad([h[2] for h in last])]
        return x, torch.tensor([len(h[0]) for h in last])

    def forward(self, histories):
        """Scores (users,items) after each history: items' numbers and, where the model has such embeddings, times and types' numbers"""
        x, n = self.embed(histories)
        for block in self.blocks:
            x = block(x)
        return norm(x[torch.arange(len(n)), n - 1], self.w["norm"]) @ self.w["item_embedding"].T

def read_histories(path, number):
    users = {}
    for line in open(path):
        user, items, *more = line.rstrip("\n").split("\t")
        column = lambda k, of: [of(v) for v in more[k].split(" ")] if len(more) > k else []
        users[user] = [[number[i] for i in items.split(" ")], column(0, float), column(1, int)]
    return users

def read_lists(path):
    lists = {}
    for line in open(path):
        user, rank, item, score = line.rstrip("\n").split("\t")
        lists.setdefault(user, {})[int(rank)] = (item, float(score))
    return {user: [lists[user][r] for r in sorted(lists[user])] for user in lists}

@torch.no_grad()
def main(model, histories, top):
    tensors = read_safetensors(model)
    ids, network = item_ids(tensors), History(tensors)
    number = {item: k for k, item in enumerate(ids)}
    histories, lists = read_histories(histories, number), read_lists(top)
    places = equal = tied = whole = 0
    difference = 0.0
    assert lists, "there is no list to compare"
    users = sorted(lists, key=lambda u: len(histories[u][0]))
    for b in range(0, len(users), 64):
        part = users[b:b + 64]
        for user, scores in zip(part, network([histories[u] for u in part])):
            given = [(number[item], score) for item, score in lists[user]]
            scores[histories[user][0]] = -math.inf              # what the user has had
            own = scores.topk(len(given)).indices.tolist()
            same = [i == j for i, (j, _) in zip(own, given)]
            near = [bool(abs(scores[i] - scores[j]) <= TOLERANCE) for i, (j, _) in zip(own, given)]
            difference = max(difference, *(abs(float(scores[j]) - s) for j, s in given))
            places += len(given); equal += sum(same); whole += all(same)
            tied += sum(n and not s for n, s in zip(near, same))
    print(f"users {len(users)} lists {whole / len(users):.6f} places {equal / places:.6f} tied {tied / places:.6f} "
          f"difference {difference:.2g}")
    return 0 if equal + tied == places and difference <= TOLERANCE else 1

if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
