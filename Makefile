# rlrec: built by PGXS. PG_CONFIG chooses the PostgreSQL to build for.
#   make && make install && make installcheck

EXTENSION = rlrec
EXTVERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" rlrec.control)

MODULE_big = rlrec
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
PG_CPPFLAGS = -I$(srcdir)/src
SHLIB_LINK = -ldl -lpthread

# The kernels are loops that only pay when they are unrolled, and a square root there never sets errno.
src/tensor/activation.o src/tensor/fused.o src/tensor/packed.o: CFLAGS += -O3 -fno-math-errno

# The install script is its parts in this order.
SQL_PARTS = $(addprefix sql/,$(addsuffix .sql, \
	schema weights qtable store agent environment train serve evaluate decision feedback online worker ope bandit experiment schedule))
DATA_built = rlrec--$(EXTVERSION).sql
EXTRA_CLEAN = rlrec--$(EXTVERSION).sql $(addprefix test/unit/,bandit explore gradients online policy_gradient policy_losses sequence)

# In test/: sql/ for pg_regress and specs/ for the isolation tester; what they should print is in expected/. A test and a part in sql/ must
# differ in name: pg_regress 15 looks in ./sql before test/sql.
REGRESS := $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test
ISOLATION := $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=.

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Calls within the library go straight there.
ifeq ($(PORTNAME), linux)
SHLIB_LINK += -Wl,-Bsymbolic
endif

rlrec--$(EXTVERSION).sql: $(SQL_PARTS) Makefile
	cat $(SQL_PARTS) > $@

$(OBJS): $(wildcard src/*.h src/*/*.h)

# The layers by themselves, in double precision: gradients against finite differences.
UNIT_SOURCES = src/tensor/activation.c src/tensor/fused.c src/encoder/history.c $(sort $(wildcard src/nn/*.c))
test/unit/gradients test/unit/policy_losses: %: %.c $(UNIT_SOURCES) $(wildcard src/*/*.h test/unit/*.h)
	$(CC) $(CFLAGS) -O2 -DRLREC_DOUBLE -I$(srcdir)/src -isystem $(shell $(PG_CONFIG) --includedir-server) \
		$< $(UNIT_SOURCES) -lm -o $@

# Learners that act, outside the server, with what they call of it in test/unit/online.h
ONLINE_SOURCES = $(addprefix src/,learner/actor.c learner/actor_critic.c learner/dqn.c learner/online.c learner/reinforce.c learner/replay.c \
	nn/adam.c nn/mlp.c nn/policy_gradient.c nn/value_loss.c tensor/activation.c tensor/blas.c tensor/fused.c tensor/kernels.c)
test/unit/online test/unit/policy_gradient: %: %.c $(ONLINE_SOURCES) $(wildcard src/*/*.h test/unit/*.h)
	$(CC) $(CFLAGS) -O3 -fno-math-errno -I$(srcdir)/src -isystem $(shell $(PG_CONFIG) --includedir-server) \
		$< $(ONLINE_SOURCES) -lm -ldl -o $@

# Exploration by itself
test/unit/explore: %: %.c $(wildcard src/policy/*.h src/tensor/random.h) src/policy/explore.c src/policy/slate.c
	$(CC) $(CFLAGS) -O2 -I$(srcdir)/src -isystem $(shell $(PG_CONFIG) --includedir-server) $< src/policy/explore.c src/policy/slate.c -lm -o $@

BANDIT_SOURCES = $(addprefix src/,learner/linear_bandit.c tensor/blas.c tensor/kernels.c tensor/packed.c types/linear_statistics.c)
test/unit/bandit: %: %.c $(BANDIT_SOURCES) $(wildcard src/*/*.h test/unit/*.h)
	$(CC) $(CFLAGS) -I$(srcdir)/src -isystem $(shell $(PG_CONFIG) --includedir-server) $< $(BANDIT_SOURCES) -lm -ldl -o $@

test/unit/sequence: %: %.c src/evaluate/sequence.c $(wildcard src/*/*.h)
	$(CC) $(CFLAGS) -O2 -I$(srcdir)/src -isystem $(shell $(PG_CONFIG) --includedir-server) $< src/evaluate/sequence.c -lm -o $@
