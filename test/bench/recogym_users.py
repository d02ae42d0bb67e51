"""Lets one agent recommend to the users of RecoGym (reco-gym-v1, 100 products, seed 42) and tells how often they clicked.

usage: recogym_users.py ARM TRAINED TESTED OPTIONS

RecoGym's protocol: TRAINED users come first, then TESTED others, to whom the agent acts without exploring and does not learn. OPTIONS is
a JSON object: what drives the training ("policy": "random" for RecoGym's random logs, "own" for the agent itself), the learner of rlrec and
its options, and "state": "shop" for one state of all users, "last" for the product viewed last, "favourite" for the one viewed most, which are
texts, or "share" for the share of each product in the views of the user, recent ones weighted more. Prints: arm, click rate, lower and upper bound, impressions, seconds.

The bounds are those of the 95 % percentile interval of 10,000 draws of the tested users.
"""
import json
import sys
import time
import warnings
import numpy as np
import scipy

warnings.simplefilter("ignore")
scipy.rand = np.random.rand		# RecoGym imports it from where SciPy no longer has it
import recogym
from recogym import agents, Configuration
from recogym.envs import RecoEnv1
from agent import Agent

PRODUCTS, SEED, FADING, RESAMPLES = 100, 42, .95, 10000


class Follower(agents.Agent):
    """What is common to agents that keep the views of the user they recommend to."""

    def __init__(self):
        super().__init__(Configuration({"num_products": PRODUCTS}))
        self.learning, self.seen = True, None
        self.reset()

    def reset(self):
        self.views = []

    def look(self, observation):
        if observation is not self.seen:
            self.views += [int(session["v"]) for session in observation.sessions()]
            self.seen = observation

    def act(self, observation, reward, done):
        self.look(observation)
        action, propensity = self.choose()
        return {**super().act(observation, reward, done), "a": int(action), "ps": propensity, "ps-a": ()}


class Learner(Follower):
    """An agent of rlrec that learns from clicks."""

    def __init__(self, arm, learner, state, options):
        self.state_of, self.users = getattr(self, state), 0
        size = {"state_size": PRODUCTS} if state == "share" else {}
        self.agent = Agent(arm, learner, {"actions": [str(product) for product in range(PRODUCTS)], **size, **options})
        super().__init__()

    def reset(self):
        super().reset()
        self.pending, self.users = None, self.users + 1

    def last(self):
        return str(self.views[-1])

    def favourite(self):
        return str(np.bincount(self.views).argmax())

    def shop(self):
        return "shop"

    def share(self):
        weights = FADING ** np.arange(len(self.views))[::-1]
        return (np.bincount(self.views, weights, PRODUCTS) / weights.sum()).tolist()

    def choose(self):
        return self.agent.act(self.state_of(), self.learning)

    def train(self, observation, action, reward, done=False):
        """One recommendation is observed when the next one tells the state that it led to."""
        self.look(observation)
        state = self.state_of()
        if self.pending:
            self.agent.observe(*self.pending[:3], state, done, False, self.users, self.pending[3])
        # RecoGym's last action of a user is one that nobody sees.
        self.pending = None if done else (state, str(action["a"]), float(reward), float(action["ps"]))


class Recommender(Follower):
    """An agent of rlrec that learns from the views, and not from clicks."""

    def __init__(self, arm, learner, options):
        self.arm, self.agent, self.rows = arm, Agent(f"{arm}_unused", "qlearning", {"actions": ["none"]}), []
        self.learner, self.options, self.users = learner, options, 0
        super().__init__()

    def reset(self):
        self.keep()
        super().reset()
        self.users += 1

    def keep(self):
        if self.learning and self.users:
            self.rows += [(self.users, view, at) for at, view in enumerate(self.views)]

    def train(self, observation, action, reward, done=False):
        self.look(observation)

    def finish(self):
        self.keep()
        cursor = self.agent.cursor
        table = f"views_{self.arm}"
        cursor.execute(f"CREATE TABLE {table} (user_id int, item_id int, at int, PRIMARY KEY (user_id, at))")
        with cursor.copy(f"COPY {table} FROM STDIN") as copy:
            for row in self.rows:
                copy.write_row(row)
        cursor.execute("SELECT rlrec_create_agent(%s, %s::regclass, learner => %s, options => %s)", (self.arm, table, self.learner, json.dumps(self.options)))
        cursor.execute("SELECT rlrec_train(%s)", (self.arm,))
        self.agent.commit()

    def choose(self):
        self.agent.cursor.execute("SELECT item FROM rlrec_recommend_for_history(%s, 1, %s, context => '{\"exclude_seen\": false}')",
                                  ([str(view) for view in self.views], self.arm))
        return self.agent.cursor.fetchone()[0], 1.


def peer(agent, defaults, **options):
    return lambda: agent(Configuration({**defaults, "num_products": PRODUCTS, "random_seed": 1, **options}))


PEERS = {
    "random": peer(agents.RandomAgent, agents.random_args),
    "BanditCount": peer(agents.BanditCount, agents.bandit_count_args),
    "BanditMFSquare": peer(agents.BanditMFSquare, agents.bandit_mf_square_args),
    "OrganicUserEventCounter": peer(agents.OrganicUserEventCounterAgent, agents.organic_user_count_args),
}

arm, trained, tested, options = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
began = time.monotonic()
policy, learner, state = options.pop("policy", "random"), options.pop("learner", None), options.pop("state", None)
if arm in PEERS:
    agent = PEERS[arm]()
elif state:
    agent = Learner(arm, learner, state, options)
else:
    agent = Recommender(arm, learner, options)
environment = RecoEnv1()
environment.init_gym({**recogym.env_1_args, "num_products": PRODUCTS, "random_seed": SEED})
environment.agent = agent if policy == "own" else None

# As recogym.test_agent() does
for user in range(trained):
    environment.reset(user)
    agent.reset()
    observation, reward, done, _ = environment.step(None)
    while True:
        before, ended = observation, done
        action, observation, reward, done, _ = environment.step_offline(before, reward, done)
        agent.train(before, action, reward, ended)
        if ended:
            break
if hasattr(agent, "finish"):
    agent.finish()
agent.learning = False
log = environment.generate_logs(tested, agent)
log = log[log.z == "bandit"]
users = log.groupby("u").c.agg(["sum", "count"]).to_numpy(float)
rng = np.random.default_rng(1)
drawn = np.array([users[rng.integers(len(users), size=len(users))].sum(0) for _ in range(RESAMPLES)])
low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [.025, .975])
clicks, impressions = users.sum(0)
print(arm, f"{clicks / impressions:.6f} {low:.6f} {high:.6f} {int(impressions)} {time.monotonic() - began:.0f}", flush=True)
