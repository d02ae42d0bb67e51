/*
 * online.h
 *	  Learners of src/learner/online.h outside the server: what they call of it, and a driver for any environment.
 *
 * Options come from set_option(), else they are the learner's defaults. An ereport(ERROR) jumps to `raised` where that is set.
 */
#ifndef TEST_ONLINE_H
#define TEST_ONLINE_H

#include <setjmp.h>
#include <stdlib.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "learner/online.h"
#include "tensor/blas.h"
#include "tensor/random.h"

#undef printf
#undef fprintf
#undef vsnprintf

/* ---------------------------------------------------------------- of the server */

volatile sig_atomic_t InterruptPending = false;
bool		IsPostmasterEnvironment = false;
bool		IsUnderPostmaster = false;
MemoryContext CurrentMemoryContext = NULL;
MemoryContext TopMemoryContext = NULL;

void
ProcessInterrupts(void)
{
}

static void *
allocated(Size size)
{
	void	   *memory = calloc(1, size + 1);

	if (memory == NULL)
		abort();
	return memory;
}

void *
palloc(Size size)
{
	return allocated(size);
}

void *
palloc0(Size size)
{
	return allocated(size);
}

void *
palloc_extended(Size size, int flags pg_attribute_unused())
{
	return allocated(size);
}

void *
MemoryContextAlloc(MemoryContext context pg_attribute_unused(), Size size)
{
	return allocated(size);
}

void *
MemoryContextAllocZero(MemoryContext context pg_attribute_unused(), Size size)
{
	return allocated(size);
}

void *
MemoryContextAllocHuge(MemoryContext context pg_attribute_unused(), Size size)
{
	return allocated(size);
}

void *
MemoryContextAllocExtended(MemoryContext context pg_attribute_unused(), Size size, int flags pg_attribute_unused())
{
	return allocated(size);
}

void
pfree(void *memory)
{
	free(memory);
}

static jmp_buf *raised = NULL;
static char raised_message[200];

bool
errstart(int level, const char *domain pg_attribute_unused())
{
	return level >= ERROR;
}

bool
errstart_cold(int level, const char *domain)
{
	return errstart(level, domain);
}

void
errfinish(const char *file, int line, const char *function)
{
	if (raised != NULL)
		longjmp(*raised, 1);
	fprintf(stderr, "%s:%d: %s: %s\n", file, line, function, raised_message);
	exit(2);
}

int
errcode(int code pg_attribute_unused())
{
	return 0;
}

#define KEEP_MESSAGE(format) \
	do { \
		va_list arguments; \
		va_start(arguments, format); \
		(vsnprintf) (raised_message, sizeof(raised_message), format, arguments); \
		va_end(arguments); \
	} while (0)

int
errmsg(const char *format,...)
{
	KEEP_MESSAGE(format);
	return 0;
}

int
errmsg_internal(const char *format,...)
{
	KEEP_MESSAGE(format);
	return 0;
}

int
errdetail(const char *format pg_attribute_unused(),...)
{
	return 0;
}

int
errdetail_internal(const char *format pg_attribute_unused(),...)
{
	return 0;
}

int
errhint(const char *format pg_attribute_unused(),...)
{
	return 0;
}

Size
add_size(Size a, Size b)
{
	return a + b;
}

Size
mul_size(Size a, Size b)
{
	return a * b;
}

char *
psprintf(const char *format,...)
{
	char	   *text = allocated(200);
	va_list		arguments;

	va_start(arguments, format);
	(vsnprintf) (text, 200, format, arguments);
	va_end(arguments);
	return text;
}

#undef qsort

void
pg_qsort(void *base, size_t n, size_t size, int (*compare) (const void *, const void *))
{
	qsort(base, n, size, compare);
}

/* ---------------------------------------------------------------- options and tensors */

static struct
{
	const char *name;
	double		value;
	int			n;				/* of ints */
	int			ints[RLREC_OPTION_MAX_INTS];
	const char *word;			/* of a choice */
}			given[64];
static int	n_given = 0;

static inline void
set_option(const char *name, double value)
{
	given[n_given].n = 0;
	given[n_given].name = name;
	given[n_given++].value = value;
}

static inline void
set_ints(const char *name, int n, const int *ints)
{
	given[n_given].name = name;
	given[n_given].n = n;
	memcpy(given[n_given++].ints, ints, n * sizeof(int));
}

static inline void
set_choice(const char *name, const char *word)
{
	given[n_given].name = name;
	given[n_given++].word = word;
}

static inline void
reset_options(void)
{
	n_given = 0;
}

/* The last that was set */
static int
find_given(const char *name)
{
	for (int i = n_given - 1; i >= 0; i--)
		if (strcmp(given[i].name, name) == 0)
			return i;
	return -1;
}

static const RlrecOption *
find_spec(const RlrecOption *specs, const char *name)
{
	for (; specs->name != NULL; specs++)
		if (strcmp(specs->name, name) == 0)
			return specs;
	fprintf(stderr, "option \"%s\" is not declared\n", name);
	exit(2);
}

double
rlrec_option_real(const Jsonb *options pg_attribute_unused(), const RlrecOption *specs, const char *name)
{
	const RlrecOption *spec = find_spec(specs, name);
	int			i = find_given(name);

	return i >= 0 ? given[i].value : spec->initial;
}

int
rlrec_option_int(const Jsonb *options, const RlrecOption *specs, const char *name)
{
	return (int) rlrec_option_real(options, specs, name);
}

bool
rlrec_option_given(const Jsonb *options pg_attribute_unused(), const char *name)
{
	return find_given(name) >= 0;
}

bool
rlrec_option_bool(const Jsonb *options, const RlrecOption *specs, const char *name)
{
	return rlrec_option_real(options, specs, name) != 0;
}

char *
rlrec_option_choice(const Jsonb *options pg_attribute_unused(), const RlrecOption *specs, const char *name)
{
	const RlrecOption *spec = find_spec(specs, name);
	int			i = find_given(name);
	char	   *word = psprintf("%s", i >= 0 ? given[i].word : spec->summary);

	word[strcspn(word, ",")] = '\0';
	return word;
}

int
rlrec_option_ints(const Jsonb *options pg_attribute_unused(), const RlrecOption *specs, const char *name, int *value)
{
	const RlrecOption *spec = find_spec(specs, name);
	int			i = find_given(name);
	int			n = 0;

	if (i >= 0)
	{
		memcpy(value, given[i].ints, given[i].n * sizeof(int));
		return given[i].n;
	}
	for (const char *word = spec->summary; *word != '\0'; word += strspn(word, ", "))
	{
		value[n++] = atoi(word);
		word += strcspn(word, ",");
	}
	return n;
}

void *
rlrec_tensors_add(RlrecTensors *tensors, const char *name, RlrecDtype dtype, int n_dims, int64 d0, int64 d1)
{
	RlrecTensor *tensor = &tensors->tensor[tensors->n++];
	size_t		size = (dtype == RLREC_F64 ? 8 : dtype == RLREC_I8 ? 1 : 4) * d0 * (n_dims == 2 ? d1 : 1);

	if (tensors->n > tensors->capacity || posix_memalign(&tensor->data, 64, size + 1) != 0)
		abort();
	memset(tensor->data, 0, size);
	strcpy(tensor->name, name);
	tensor->dtype = dtype;
	tensor->n_dims = n_dims;
	tensor->shape[0] = d0;
	tensor->shape[1] = d1;
	return tensor->data;
}

const RlrecTensor *
rlrec_tensors_find(const RlrecTensors *tensors, const char *name)
{
	for (int i = 0; i < tensors->n; i++)
		if (strcmp(tensors->tensor[i].name, name) == 0)
			return &tensors->tensor[i];
	return NULL;
}

int64
rlrec_tensor_elements(const RlrecTensor *tensor)
{
	return tensor->shape[0] * (tensor->n_dims == 2 ? tensor->shape[1] : 1);
}

size_t
rlrec_tensor_bytes(const RlrecTensor *tensor)
{
	return rlrec_tensor_elements(tensor) * (tensor->dtype == RLREC_F64 ? 8 : tensor->dtype == RLREC_I8 ? 1 : 4);
}

/* ---------------------------------------------------------------- the driver */

/* An agent with its replay, as src/environment keeps them in tables */
typedef struct Run
{
	RlrecOnline online;
	RlrecReplay replay;
	uint64		acted;			/* draws of actions */
} Run;

static inline void
run_start(Run *run, const RlrecOnlineLearner *learner, int state_size, int actions, uint64 key)
{
	RlrecOnline *online = &run->online;
	RlrecReplay *replay = &run->replay;

	memset(run, 0, sizeof(*run));
	online->learner = learner;
	online->state_size = state_size;
	online->actions = actions;
	online->key = key;
	online->tensors = allocated(sizeof(RlrecTensors));
	online->tensors->capacity = 64;
	online->tensors->tensor = allocated(64 * sizeof(RlrecTensor));
	learner->start(online);
	learner->initialize(online);
	replay->state_size = state_size;
	replay->capacity = learner->observe ? 1 : learner->capacity(online);
	replay->state = allocated((size_t) replay->capacity * state_size * sizeof(float));
	replay->next_state = allocated((size_t) replay->capacity * state_size * sizeof(float));
	replay->action = allocated(replay->capacity * sizeof(int32));
	replay->reward = allocated(replay->capacity * sizeof(float));
	replay->propensity = allocated(replay->capacity * sizeof(float));
	replay->end = allocated(replay->capacity);
	replay->episode = allocated(replay->capacity * sizeof(int64));
}

/* Draws an action from the policy; propensity may be NULL. */
static inline int
run_act(Run *run, const float *state, bool explore, float *propensity)
{
	float		p[64];
	double		u = rlrec_random_uniform(rlrec_random_key(run->online.key, 12345), run->acted++);
	int			action = 0;

	run->online.learner->policy(&run->online, state, explore, p);
	while (action < run->online.actions - 1 && (u -= p[action]) >= 0)
		action++;
	if (propensity != NULL)
		*propensity = p[action];
	return action;
}

static inline void
run_observe(Run *run, const float *state, int action, float reward, const float *next_state, int end, int64 episode,
			float propensity)
{
	RlrecReplay *replay = &run->replay;
	int			slot = (int) (replay->next % replay->capacity);
	size_t		size = replay->state_size * sizeof(float);

	memcpy(replay->state + (size_t) slot * replay->state_size, state, size);
	memcpy(replay->next_state + (size_t) slot * replay->state_size, next_state, size);
	replay->action[slot] = action;
	replay->reward[slot] = reward;
	replay->propensity[slot] = propensity;
	replay->end[slot] = end;
	replay->episode[slot] = episode;
	replay->next++;
	replay->first = Max(0, replay->next - replay->capacity);
	run->online.transitions++;
	run->online.episodes += end != 0;
	if (run->online.learner->observe)
	{
		run->online.learner->observe(&run->online, state, action, reward);
		run->online.learned++;
	}
	else if (run->online.learner->due(&run->online, replay))
		run->online.learner->learn(&run->online, replay);
}

/* ---------------------------------------------------------------- the Test Anything Protocol */

static int	tests = 0;
static int	failures = 0;

static inline void
check(bool good, const char *what, double value)
{
	tests++;
	failures += !good;
	printf("%s %d - %s (%g)\n", good ? "ok" : "not ok", tests, what, value);
}

#endif							/* TEST_ONLINE_H */
