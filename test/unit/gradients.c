/*
 * gradients.c
 *	  Every layer's gradient, and the whole encoder's, against central differences in double precision.
 *
 * Built with RLREC_DOUBLE, so that src/nn and src/encoder/history.c compute in double, with the plain matrix product of gradients.h
 * in OpenBLAS's place. A layer is checked through the scalar sum_i c_i y_i of its output with random c. Prints the Test Anything Protocol.
 */
#include "postgres.h"

#include "gradients.h"

#include "encoder/history.h"
#include "nn/adam.h"
#include "nn/embedding.h"
#include "nn/head.h"
#include "nn/linear.h"
#include "nn/loss.h"
#include "nn/mlp.h"
#include "nn/value_loss.h"

/* ---------------------------------------------------------------- layers; d is no multiple of the vectors' 8 */

enum
{
	N = 7, D = 10, H = 11, ITEMS = 13
};

static real *x, *y, *c, *w, *w2, *u, *before, *after;
static RlrecActivation activation;
static RlrecFeedForward network;

static double
value_linear(void)
{
	rlrec_linear_forward(N, D, H, x, w, y);
	return inner(N * H, y, c);
}

static void
test_linear(void)
{
	real	   *dw = zeros(D * H);
	real	   *dx = zeros(N * D);

	x = numbers(N * D, 1), w = numbers(D * H, 1), c = numbers(N * H, 1), y = zeros(N * H);
	rlrec_linear_backward(N, D, H, x, w, c, dw, dx, false);
	compare("linear, weights", value_linear, D * H, w, dw);
	compare("linear, input", value_linear, N * D, x, dx);
}

static double
value_norm(void)
{
	rlrec_norm(N, D, x, w, w2, y, NULL);
	return inner(N * D, y, c);
}

static void
test_norm(void)
{
	real	   *moments = zeros(2 * N);
	real	   *dx = zeros(N * D);
	real	   *dgain = zeros(D);
	real	   *dbias = zeros(D);

	x = numbers(N * D, 1), w = numbers(D, 1), w2 = numbers(D, 1), c = numbers(N * D, 1), y = zeros(N * D);
	rlrec_norm(N, D, x, w, w2, y, moments);
	rlrec_norm_backward(N, D, x, w, moments, c, dx, dgain, dbias);
	compare("layer norm, input", value_norm, N * D, x, dx);
	compare("layer norm, gain", value_norm, D, w, dgain);
	compare("layer norm, bias", value_norm, D, w2, dbias);
}

static double
value_activation(void)
{
	rlrec_activate(activation, N * D, x, y);
	return inner(N * D, y, c);
}

static double
value_swiglu(void)
{
	rlrec_swiglu(N, D, u, y);
	return inner(N * D, y, c);
}

static double
value_gate(void)
{
	memcpy(y, w, N * D * sizeof(real));
	rlrec_gate(N * D, w2, x, y);
	return inner(N * D, y, c);
}

static double
value_softmax(void)
{
	memcpy(y, x, N * D * sizeof(real));
	rlrec_softmax(N * D, w, y);
	return inner(N * D, y, c);
}

static double
value_dropout(void)
{
	memcpy(y, x, N * D * sizeof(real));
	rlrec_dropout(N * D, 0.4, 77, y);
	return inner(N * D, y, c);
}

static void
test_elementwise(void)
{
	real	   *dx = zeros(N * D);
	real	   *dg = zeros(N * D);
	real	   *du = zeros(2 * N * D);

	x = numbers(N * D, 1), u = numbers(2 * N * D, 1), w = numbers(N * D, 1), w2 = numbers(N * D, 1);
	c = numbers(N * D, 1), y = zeros(N * D);
	for (activation = RLREC_RELU; activation <= RLREC_SILU; activation++)
	{
		rlrec_activate_backward(activation, N * D, x, c, dx);
		compare(activation == RLREC_RELU ? "relu" : activation == RLREC_GELU ? "gelu" : "silu", value_activation, N * D, x, dx);
	}
	rlrec_swiglu_backward(N, D, u, c, du);
	compare("swiglu", value_swiglu, 2 * N * D, u, du);
	rlrec_gate_backward(N * D, w2, x, c, dx, dg);
	compare("gate, input", value_gate, N * D, x, dx);
	compare("gate, gate", value_gate, N * D, w2, dg);
	(void) value_softmax();
	memcpy(dx, c, N * D * sizeof(real));
	rlrec_softmax_backward(N * D, y, dx);
	compare("softmax, input", value_softmax, N * D, x, dx);
	compare("softmax, bias", value_softmax, N * D, w, dx);
	memcpy(dx, c, N * D * sizeof(real));
	rlrec_dropout(N * D, 0.4, 77, dx);
	compare("dropout", value_dropout, N * D, x, dx);
}

static double
value_network(void)
{
	rlrec_feedforward_forward(&network, N, x, w, w2, 5, before, after, y);
	return inner(N * D, y, c);
}

static void
test_feedforward(void)
{
	for (int gated = 0; gated < 2; gated++)
	{
		real	   *dx = zeros(N * D);
		real	   *dw = zeros(2 * D * H);
		real	   *dw2 = zeros(H * D);

		network = (RlrecFeedForward) {D, H, gated, RLREC_GELU, 0.3};
		x = numbers(N * D, 1), w = numbers(2 * D * H, 0.5), w2 = numbers(H * D, 0.5), c = numbers(N * D, 1), y = zeros(N * D);
		before = zeros(2 * N * H), after = zeros(N * H);
		(void) value_network();
		rlrec_feedforward_backward(&network, N, x, w, w2, 5, before, after, c, dx, dw, dw2, zeros(N * H));
		compare(gated ? "gated feed-forward, input" : "feed-forward, input", value_network, N * D, x, dx);
		compare(gated ? "gated feed-forward, up" : "feed-forward, up", value_network, D * rlrec_feedforward_columns(&network), w, dw);
		compare(gated ? "gated feed-forward, down" : "feed-forward, down", value_network, H * D, w2, dw2);
	}
}

/* ---------------------------------------------------------------- attention: 70 positions, so more than one block of rows */

static const int start[] = {0, 1, 70, 75};
static RlrecAttention attention = {6, 2, 69, 0.3};
static real *probabilities, *scratch;

static double
value_attention(void)
{
	rlrec_attention_forward(&attention, 3, start, x, w, 9, probabilities, y, scratch);
	return inner(75 * 6, y, c);
}

static void
test_attention(void)
{
	real	   *dx = zeros(75 * 18);
	real	   *dw = zeros(2 * 69);

	x = numbers(75 * 18, 1), w = numbers(2 * 69, 1), c = numbers(75 * 6, 1), y = zeros(75 * 6);
	probabilities = zeros(rlrec_attention_probabilities(&attention, 3, start));
	scratch = zeros(rlrec_attention_scratch(&attention, 69));
	(void) value_attention();
	rlrec_attention_backward(&attention, 3, start, x, 9, probabilities, c, dx, dw, scratch);
	compare("attention, input", value_attention, 75 * 18, x, dx);
	compare("attention, relative", value_attention, 2 * 69, w, dw);
}

/* ---------------------------------------------------------------- losses and embeddings */

static const int32 target[N] = {3, 0, 12, 3, 5, 1, 1};
static const int32 never[2] = {2, 7};
static const int32 sampled[H] = {1, 2, 3, 5, 8, 12, 0, 4, 6, 7, 9};
static RlrecNegatives negatives = {RLREC_SAMPLED_SOFTMAX, H, sampled, NULL, NULL, 0.7};
static real *positive, *dx, *dp, *dn;
static const RlrecRowWeights *rows;

static double
value_full(void)
{
	memset(dp, 0, ITEMS * D * sizeof(real));
	return 0.3 * rlrec_loss_full(N, ITEMS, D, 0.3, rows, x, w, target, 2, never, dx, dp, y);
}

static double
value_sampled(void)
{
	memset(dp, 0, N * D * sizeof(real));
	memset(dn, 0, H * D * sizeof(real));
	return 0.3 * rlrec_loss_sampled(N, D, 0.3, rows, &negatives, x, target, positive, dx, dp, dn, y);
}

static double
value_huber(void)
{
	memcpy(y, x, N * D * sizeof(real));
	return 0.3 * rlrec_loss_huber(N * D, 0.3, 0.5, w, y);
}

static double
value_expectile(void)
{
	memcpy(y, x, N * D * sizeof(real));
	return 0.3 * rlrec_loss_expectile(N * D, 0.3, 0.8, w, y);
}

/* What the policy gradient with the top-K correction descends, -sum_i weight[i] (1 - (1 - p_i)^K) / b_i, by each row's cross-entropy */
static double
value_corrected(void)
{
	const RlrecRowWeights *corrected = rows;
	double		value = 0;

	rows = NULL;
	for (int i = 0; i < N; i++)
	{
		double		p = exp(-rlrec_loss_full(1, ITEMS, D, 0, NULL, x + i * D, w, target + i, 2, never, dx, dp, y));

		value -= corrected->weight[i] * (1 - pow(1 - p, corrected->top)) / exp(corrected->behaviour[i]);
	}
	rows = corrected;
	return 0.3 * value;
}

static void
test_row_weights(void)
{
	RlrecRowWeights weights = {numbers(N, 1), NULL, INFINITY, 3};
	real	   *behaviour = numbers(N, 1);
	real	   *to_x;
	real	   *to_w;
	double		loss;

	x = numbers(N * D, 1), w = numbers(ITEMS * D, 1);
	rows = &weights;
	(void) value_full();
	to_x = copied(N * D, dx), to_w = copied(ITEMS * D, dp);
	compare("weighted full softmax, states", value_full, N * D, x, to_x);
	compare("weighted full softmax, embeddings", value_full, ITEMS * D, w, to_w);
	(void) value_sampled();
	compare("weighted sampled softmax, states", value_sampled, N * D, x, copied(N * D, dx));

	weights.behaviour = behaviour;
	(void) value_full();
	to_x = copied(N * D, dx);
	compare("top-K corrected softmax, states", value_corrected, N * D, x, to_x);
	weights.cap = 1e-6;
	weights.top = 1;
	loss = value_full();
	weights.behaviour = NULL;
	check(fabs(loss - 1e-6 * value_full()) < 1e-12, "the cap of the correction", fabs(loss - 1e-6 * value_full()));
	rows = NULL;
}

/* Of three arms: the expected return of softmax(x), to be ascended, from actions that another policy chose */
static const real arm_reward[3] = {1, -2, 0.5};

static double
value_arms(void)
{
	double		total = exp(x[0]) + exp(x[1]) + exp(x[2]);

	return -(exp(x[0]) * arm_reward[0] + exp(x[1]) * arm_reward[1] + exp(x[2]) * arm_reward[2]) / total;
}

static void
test_arms(void)
{
	static const real behaviour[3] = {0.5, 0.2, 0.3};
	real		identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
	real		gradient[3] = {0};

	x = numbers(3, 1);
	for (int32 arm = 0; arm < 3; arm++)
	{
		real		chosen = log(behaviour[arm]);
		RlrecRowWeights weights = {&arm_reward[arm], &chosen, INFINITY, 1};

		(void) rlrec_loss_full(1, 3, 3, 1, &weights, x, identity, &arm, 0, NULL, dx, dp, y);
		for (int i = 0; i < 3; i++)
			gradient[i] += behaviour[arm] * dx[i];
	}
	compare("REINFORCE, enumerated over the actions of another policy", value_arms, 3, x, gradient);
}

static void
test_losses(void)
{
	static const char *const names[] = {"sampled softmax", "gbce", "bpr"};
	char		name[64];
	real	   *to_x;
	real	   *to_w;

	x = numbers(N * D, 1), w = numbers(ITEMS * D, 1), y = zeros(N * ITEMS), dx = zeros(N * D), dp = zeros(ITEMS * D);
	(void) value_full();
	to_x = copied(N * D, dx), to_w = copied(ITEMS * D, dp);
	compare("full softmax, states", value_full, N * D, x, to_x);
	compare("full softmax, embeddings", value_full, ITEMS * D, w, to_w);

	positive = numbers(N * D, 1), w2 = numbers(H * D, 1), dn = zeros(H * D);
	negatives.e = w2;
	negatives.correction = numbers(H, 1);
	for (int loss = RLREC_SAMPLED_SOFTMAX; loss <= RLREC_SAMPLED_BPR; loss++)
	{
		real	   *to_n;

		negatives.loss = loss;
		(void) value_sampled();
		to_x = copied(N * D, dx), to_w = copied(N * D, dp), to_n = copied(H * D, dn);
		compare(strcat(strcpy(name, names[loss]), ", states"), value_sampled, N * D, x, to_x);
		compare(strcat(strcpy(name, names[loss]), ", targets"), value_sampled, N * D, positive, to_w);
		compare(strcat(strcpy(name, names[loss]), ", negatives"), value_sampled, H * D, w2, to_n);
	}
	negatives.loss = RLREC_SAMPLED_SOFTMAX;
	test_row_weights();
	test_arms();
	x = numbers(N * D, 1), w = numbers(N * D, 1);
	(void) value_huber();
	compare("huber", value_huber, N * D, x, copied(N * D, y));
	(void) value_expectile();
	compare("expectile", value_expectile, N * D, x, copied(N * D, y));
}

static const int32 feature_start[ITEMS + 1] = {0, 2, 3, 3, 5, 5, 5, 6, 6, 7, 8, 8, 9, 9};
static const int32 feature[] = {0, 2, 1, 0, 3, 2, 1, 3, 3};
static const float feature_value[] = {1, 0.5f, 2, 1, 1, 0.25f, 3, 1, -1};
static const RlrecItemFeatures features = {feature_start, feature, feature_value};

static double
value_embedding(void)
{
	for (int i = 0; i < ITEMS; i++)
		rlrec_embedding_forward(i, D, w, &features, w2, rlrec_embedding_table_kept(i, 0.5, 3), y + i * D);
	rlrec_gather(N, D, 2, target, y, x);
	return inner(N * D, x, c);
}

static void
test_embedding(void)
{
	real	   *de = zeros(ITEMS * D);
	real	   *dprojection = zeros(4 * D);

	w = numbers(ITEMS * D, 1), w2 = numbers(4 * D, 1), c = numbers(N * D, 1), y = zeros(ITEMS * D), x = zeros(N * D);
	rlrec_scatter_add(N, D, 2, target, c, de);
	for (int part = 0; part < 2; part++)
		for (int i = 0; i < ITEMS; i++)
			rlrec_embedding_backward(i, D, &features, part, 2, de + i * D, dprojection);
	for (int i = 0; i < ITEMS; i++)
		if (!rlrec_embedding_table_kept(i, 0.5, 3))
			memset(de + i * D, 0, D * sizeof(real));
	compare("embedding, table", value_embedding, ITEMS * D, w, de);
	compare("embedding, projection of features", value_embedding, 4 * D, w2, dprojection);
}

/* ---------------------------------------------------------------- the multilayer perceptron */

static RlrecMlpShape mlp = {3, {D, H, 9, 3}, RLREC_MLP_RELU};

static double
value_mlp(void)
{
	return inner(N * 3, rlrec_mlp_forward(&mlp, w, N, x, scratch), c);
}

static void
test_mlp(void)
{
	size_t		n = rlrec_mlp_parameters(&mlp);
	real	   *gradient;
	real	   *to_x = zeros(N * D);
	double		worst = 0;

	x = numbers(N * D, 1), c = numbers(N * 3, 1), scratch = zeros(rlrec_mlp_workspace(&mlp, N));
	for (mlp.activation = RLREC_MLP_RELU; mlp.activation <= RLREC_MLP_TANH; mlp.activation++)
	{
		bool		relu = mlp.activation == RLREC_MLP_RELU;

		w = numbers(n, 0.5), gradient = zeros(n);
		(void) value_mlp();
		rlrec_mlp_backward(&mlp, w, N, x, scratch, c, gradient, to_x);
		compare(relu ? "relu perceptron, parameters" : "tanh perceptron, parameters", value_mlp, n, w, gradient);
		compare(relu ? "relu perceptron, input" : "tanh perceptron, input", value_mlp, N * D, x, to_x);
	}
	mlp.activation = RLREC_MLP_TANH;
	before = copied(3, rlrec_mlp_forward(&mlp, w, N, x, scratch));
	after = rlrec_mlp_forward(&mlp, w, 1, x, scratch);
	check(fabs(before[0] - after[0]) < 1e-12 && fabs(before[2] - after[2]) < 1e-12, "perceptron, one row is as many", 0);

	/* orthogonal: the first layer's rows, 10 of 11 numbers, have length sqrt(2) and no angle; the last layer's columns length 0.01 */
	rlrec_mlp_initialize(&mlp, 5, 0.01, w);
	for (int i = 0; i < D; i++)
		for (int j = 0; j <= i; j++)
			worst = Max(worst, fabs(inner(H, w + i * H, w + j * H) - (i == j ? 2 : 0)));
	for (int i = 0; i < 9; i++)
		worst = Max(worst, fabs(w[n - 3 + i % 3]));
	check(worst < 1e-12 && fabs(inner(27, w + n - 30, w + n - 30) - 3e-4) < 1e-12, "perceptron, orthogonal initialisation", worst);
}

/* ---------------------------------------------------------------- heads */

static RlrecHead head;
static const int32 own_item[N] = {3, 0, 12, 3, 5, 1, 1};
static RlrecActions actions = {H, sampled, NULL};
static real *scratch;

/* Through random c of the numbers of actions, of V and of the softmax over the actions */
static double
value_head(void)
{
	rlrec_head_forward(N, D, &head, x, own_item, positive, &actions, scratch, y);
	return inner(N * (1 + H), y, c);
}

static double
value_state(void)
{
	rlrec_head_value(N, D, &head, x, y);
	return inner(N, y, c);
}

static double
value_actions(void)
{
	memcpy(y, x, N * (1 + H) * sizeof(real));
	return 0.3 * rlrec_loss_actions(N, H, 0.3, sampled, negatives.correction, own_item, y, NULL);
}

static void
test_head(void)
{
	size_t		n = rlrec_head_parameters(ITEMS, D);
	real	   *parameters = numbers(n, 1);
	real	   *gradient = zeros(n);
	real	   *stopped = zeros(n);
	RlrecHead	to = rlrec_head_place(D, gradient);
	RlrecHead	to_stopped = rlrec_head_place(D, stopped);
	real	   *dscratch = zeros(N * D + H);
	real	   *to_x = zeros(N * D);
	real	   *to_own = zeros(N * D);
	real	   *to_actions = zeros(H * D);
	real		weight = 0.7;
	double		worst = 0;

	head = rlrec_head_place(D, parameters);
	x = numbers(N * D, 1), positive = numbers(N * D, 1), w2 = numbers(H * D, 1), c = numbers(N * (1 + H), 1), y = zeros(N * (1 + H));
	scratch = zeros(N * D + H), actions.e = w2;
	(void) value_head();
	rlrec_head_backward(N, D, &head, x, own_item, positive, &actions, scratch, c, &to, dscratch, to_x, to_own, to_actions);
	rlrec_head_backward(N, D, &head, x, own_item, positive, &actions, scratch, c, &to_stopped, dscratch, NULL, NULL, NULL);
	compare("head, parameters", value_head, n, parameters, gradient);
	compare("head that ends the gradient, parameters", value_head, n, parameters, stopped);
	compare("head, states", value_head, N * D, x, to_x);
	compare("head, own actions", value_head, N * D, positive, to_own);
	compare("head, actions in common", value_head, H * D, w2, to_actions);

	memset(gradient, 0, n * sizeof(real));
	rlrec_head_value_backward(N, D, x, c, &to);
	compare("value of a state, parameters", value_state, n, parameters, gradient);

	/* What serving ranks by is the head's number up to what all actions of a state share. */
	(void) value_head();
	rlrec_head_blend(N, D, 0.5, 1, &head, &weight, x, scratch);
	for (int i = 0; i < N; i++)
		for (int j = 1; j < H; j++)
		{
			const real *row = y + i * (1 + H) + 1;
			double		served = inner(D, scratch + i * D, w2 + j * D) - inner(D, scratch + i * D, w2) +
				weight * (head.bias[sampled[j]] - head.bias[sampled[0]]);
			double		own = 0.5 * (inner(D, x + i * D, w2 + j * D) - inner(D, x + i * D, w2)) + weight * (row[j] - row[0]);

			worst = Max(worst, fabs(served - own));
		}
	check(worst < 1e-10, "head, what is served is what is learned", worst);

	x = numbers(N * (1 + H), 1);
	(void) value_actions();
	compare("softmax over actions", value_actions, N * (1 + H), x, copied(N * (1 + H), y));
}

/* ---------------------------------------------------------------- action values: D columns, of which 5 values, their common one, v and 3 logits */

static const int32 acted[N] = {3, 0, 4, 3, 1, 2, 2};
static const int32 imitated[N] = {0, 2, 1, 1, 0, 2, 2};
static real delta, conservative;

/* The dueling values, the loss of the first 5 and the gradient of all, in y */
static double
value_q(void)
{
	double		loss;

	memcpy(y, x, N * D * sizeof(real));
	rlrec_dueling(N, 5, D, y);
	loss = rlrec_loss_value(N, 5, D, delta, conservative, acted, w, w2, y, before);
	rlrec_dueling_backward(N, 5, D, y);
	return loss;
}

static double
value_state_value(void)
{
	memcpy(y, x, N * D * sizeof(real));
	return rlrec_loss_state_value(N, D, 0.8, w, y + 6);
}

static double
value_imitation(void)
{
	memcpy(y, x, N * D * sizeof(real));
	return rlrec_loss_imitation(N, 3, D, imitated, w2, y + 7);
}

/* The gradient in y of the columns first .. first + n - 1, and 0 of the others */
static real *
columns(int first, int n)
{
	real	   *gradient = zeros(N * D);

	for (int i = 0; i < N; i++)
		memcpy(gradient + i * D + first, y + i * D + first, n * sizeof(real));
	return gradient;
}

static void
test_values(void)
{
	double		worst = 0;

	x = numbers(N * D, 1), y = zeros(N * D), w = numbers(N, 1), w2 = numbers(N, 1), before = zeros(N);
	for (int i = 0; i < N; i++)
		w2[i] = fabs(w2[i]);
	delta = 0.5, conservative = 0;
	(void) value_q();
	compare("weighted huber loss of dueling values", value_q, N * D, x, columns(0, 6));
	for (int i = 0; i < N; i++)
	{
		real		q = x[i * D + 5] + x[i * D + acted[i]];

		for (int a = 0; a < 5; a++)
			q -= x[i * D + a] / 5;
		worst = Max(worst, fabs(fabs(q - w[i]) - before[i]));
	}
	check(worst < 1e-12, "errors of dueling values", worst);
	delta = 0, conservative = 0.7;
	(void) value_q();
	compare("weighted squared loss of conservative dueling values", value_q, N * D, x, columns(0, 6));
	(void) value_state_value();
	compare("expectile loss", value_state_value, N * D, x, columns(6, 1));
	(void) value_imitation();
	compare("weighted imitation", value_imitation, N * D, x, columns(7, 3));
}

/* ---------------------------------------------------------------- the encoder */

static RlrecHistoryShape shape = {69, 12, 2, 2, 9, false, 0, 0, 0.2};
static RlrecHistoryWeights weights;
static int32 items[75];
static uint8 gaps[75];
static uint8 types[75];
static const RlrecPacked batch = {3, start, {items, gaps, types}};
static real *workspace;

static double
value_history(void)
{
	return inner(75 * 12, rlrec_history_forward(&shape, &weights, w, &batch, 11, workspace), c);
}

static void
test_history(bool gated)
{
	size_t		n;
	real	   *parameters;
	real	   *gradient;
	real	   *de = zeros(ITEMS * 12);
	real		state[12];
	real	   *states;
	real		worst = 0;
	RlrecHistoryWeights gradients;

	shape.gated = gated;
	shape.gaps = gated ? 5 : 0;
	shape.types = gated ? 3 : 0;
	shape.dropout = 0.2;
	n = rlrec_history_parameters(&shape);
	parameters = numbers(n, 0.3), gradient = zeros(n), w = numbers(ITEMS * 12, 0.3), c = numbers(75 * 12, 1);
	weights = rlrec_history_place(&shape, parameters);
	gradients = rlrec_history_place(&shape, gradient);
	workspace = zeros(rlrec_history_workspace(&shape, 75, 69));
	for (int i = 0; i < 75; i++)
	{
		items[i] = rlrec_random_below(8, i, ITEMS);
		gaps[i] = rlrec_random_below(9, i, 5);
		types[i] = rlrec_random_below(10, i, 3);
	}
	(void) value_history();
	rlrec_history_backward(&shape, &weights, &batch, 11, workspace, copied(75 * 12, c), &gradients, de);
	compare(gated ? "gated encoder, parameters" : "encoder, parameters", value_history, n, parameters, gradient);
	compare(gated ? "gated encoder, items" : "encoder, items", value_history, ITEMS * 12, w, de);

	shape.dropout = 0;
	states = rlrec_history_forward(&shape, &weights, w, &batch, 11, workspace);
	for (int s = 0; s < 3; s++)
	{
		int			length = start[s + 1] - start[s];
		RlrecHistoryEvents events = rlrec_history_events_from(&batch.events, start[s]);

		rlrec_history_state(&shape, &weights, w, length, &events, state, zeros(rlrec_history_scratch(&shape, length)));
		for (int k = 0; k < 12; k++)
			worst = Max(worst, fabs(state[k] - states[(start[s + 1] - 1) * 12 + k]));
	}
	check(worst < 1e-12, gated ? "gated encoder, serving is training without dropout" : "encoder, serving is training without dropout",
		  worst);
}

static void
test_gaps(void)
{
	const int64 second = 1000000;

	check(rlrec_history_gap(-1 * second) == 0 && rlrec_history_gap(0) == 1 && rlrec_history_gap(second - 1) == 1 &&
		  rlrec_history_gap(second) == 2 && rlrec_history_gap(2 * second) == 2 && rlrec_history_gap(3 * second) == 3 &&
		  rlrec_history_gap(PG_INT64_MAX) == RLREC_HISTORY_GAPS - 1, "gaps of time, rows", 0);
}

/* Adam's first step is the learning rate, whatever the gradient; the gradient is clipped; decay shrinks. */
static void
test_adam(void)
{
	RlrecAdam	adam = {0.01, 0.9, 0.999, 0, 1, 0};
	real		g[2] = {300, -400};
	real		m[2] = {0};
	real		v[2] = {0};
	real		p[2] = {1, 1};
	RlrecAdamStep step = rlrec_adam_step(&adam, 1, rlrec_sum_squares(2, g));

	rlrec_adam_update(2, &step, g, m, v, p);
	check(fabs(p[0] - 0.99) < 1e-6 && fabs(p[1] - 1.01) < 1e-6, "adam, first step", fabs(p[0] - 0.99));
	check(fabs(m[0] - 0.06) < 1e-12 && fabs(m[1] + 0.08) < 1e-12, "adam, clipping", fabs(m[0] - 0.06));
	adam.weight_decay = 0.5;
	step = rlrec_adam_step(&adam, 1, 1);
	g[0] = m[0] = v[0] = 0;
	rlrec_adam_update(1, &step, g, m, v, p);
	check(fabs(p[0] - 0.99 * 0.995) < 1e-6, "adam, decoupled decay", fabs(p[0] - 0.99 * 0.995));
}

int
main(void)
{
	test_linear();
	test_norm();
	test_elementwise();
	test_feedforward();
	test_attention();
	test_losses();
	test_embedding();
	test_mlp();
	test_head();
	test_values();
	test_history(false);
	test_history(true);
	test_gaps();
	test_adam();
	printf("1..%d\n", tests);
	return failures > 0;
}
