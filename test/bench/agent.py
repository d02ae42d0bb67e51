"""An rlrec agent as the loop of an environment sees it: everything it knows and learns goes through SQL."""
import os
import psycopg

COMMIT_EVERY = 1000		# observations in one transaction


class Agent:
    def __init__(self, name, learner, options):
        """Creates the agent in the database that the environment variables of libpq name."""
        self.name, self.pending = name, 0
        self.connection = psycopg.connect(dbname=os.environ.get("PGDATABASE", "bench"), prepare_threshold=1)
        self.cursor = self.connection.cursor()
        self.cursor.execute("SELECT rlrec_create_agent(%s, learner => %s, options => %s)",
                            (name, learner, psycopg.types.json.Jsonb(options)))
        self.connection.commit()

    def act(self, state, explore=True):
        """(action, its probability); state is text or a list of floats."""
        kind = "text" if isinstance(state, str) else "float8[]"
        self.cursor.execute(f"SELECT action, propensity FROM rlrec_act(%s, %s::{kind}, %s)", (self.name, state, explore))
        return self.cursor.fetchone()

    def observe(self, state, action, reward, next_state, terminated, truncated=False, episode=0, propensity=None):
        kind = "text" if isinstance(state, str) else "float8[]"
        self.cursor.execute(f"SELECT rlrec_observe(%s, %s::{kind}, %s, %s, %s::{kind}, %s, %s, %s, %s)",
                            (self.name, state, action, reward, next_state, terminated, truncated, episode, propensity))
        self.pending += 1
        if self.pending == COMMIT_EVERY:
            self.commit()

    def commit(self):
        self.connection.commit()
        self.pending = 0
