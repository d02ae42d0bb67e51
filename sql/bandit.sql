-- Linear contextual bandits: their sufficient statistics.

-- The layout is that of types/linear_statistics.h.
CREATE FUNCTION rlrec_linear_accumulate(float8[], float8[], float8) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
CREATE FUNCTION rlrec_linear_accumulate(float8[], float8[], float8, float8) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_linear_accumulate(float8[], float8[], float8) IS 'aggregate transition function';
COMMENT ON FUNCTION rlrec_linear_accumulate(float8[], float8[], float8, float8) IS 'aggregate transition function';

CREATE FUNCTION rlrec_linear_merge(a float8[], b float8[]) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_linear_merge(float8[], float8[]) IS
'The statistics of the rows of both, as rlrec_linear_statistics() makes them: their sum.';

CREATE AGGREGATE rlrec_linear_statistics(context float8[], reward float8) (
	SFUNC = rlrec_linear_accumulate,
	STYPE = float8[],
	COMBINEFUNC = rlrec_linear_merge,
	PARALLEL = SAFE
);
CREATE AGGREGATE rlrec_linear_statistics(context float8[], reward float8, weight float8) (
	SFUNC = rlrec_linear_accumulate,
	STYPE = float8[],
	COMBINEFUNC = rlrec_linear_merge,
	PARALLEL = SAFE
);
CREATE AGGREGATE rlrec_linear_sum(statistics float8[]) (
	SFUNC = rlrec_linear_merge,
	STYPE = float8[],
	COMBINEFUNC = rlrec_linear_merge,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_linear_statistics(float8[], float8) IS
'What rows (context x of d numbers, reward r) come to for a linear model of the reward: an array of how many rows, the sum of weights (here also of rows), the sum of r^2, the d numbers b = sum of r x, and the upper triangle of A = sum of x x^T by rows, so 3 + d + d (d + 1) / 2 numbers. NULL without rows; rows with a NULL context or reward are passed over. A context of another length than the first, more than 2048 numbers or a number that is not finite is an error.';
COMMENT ON AGGREGATE rlrec_linear_statistics(float8[], float8, float8) IS
'The same with a weight, not negative, of each row, which multiplies r^2, r x and x x^T: for example 0.99 ^ age, or an importance weight.';
COMMENT ON AGGREGATE rlrec_linear_sum(float8[]) IS
'The sum of statistics made by rlrec_linear_statistics(), for example of days.';

CREATE FUNCTION rlrec_linear_subtract(a float8[], b float8[]) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_linear_subtract(float8[], float8[]) IS
'The statistics of the rows of a that are not in b, which must be a part of a: for example of a day that is too old, or of a user who is forgotten.';

CREATE FUNCTION rlrec_linear_scale(statistics float8[], factor float8) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_linear_scale(float8[], float8) IS
'The statistics with all weights multiplied by a factor, not negative; the number of rows stays.';

CREATE FUNCTION rlrec_linear_theta(statistics float8[], lambda float8 DEFAULT 1) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_linear_theta(float8[], float8) IS
'The coefficients of the ridge regression on the statistics of rlrec_linear_statistics(): the d numbers theta = (A + lambda I)^-1 b. An error when lambda is negative or A + lambda I is not positive definite.';

CREATE FUNCTION rlrec_linear_predict(statistics float8[], context float8[], lambda float8 DEFAULT 1, OUT value float8, OUT deviation float8)
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_linear_predict(float8[], float8[], float8) IS
'What the ridge regression on statistics says of a context x: its value theta^T x, and the deviation sqrt(x^T (A + lambda I)^-1 x), which times the noise of the rewards is the posterior standard deviation of the value.';

CREATE FUNCTION rlrec_linear_ucb(statistics float8[], context float8[], ucb_width float8, lambda float8 DEFAULT 1) RETURNS float8
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_linear_ucb(float8[], float8[], float8, float8) IS
'The upper confidence bound of a context by LinUCB (Li et al. 2010, Algorithm 1, where ucb_width is alpha): value + ucb_width * deviation of rlrec_linear_predict().';

CREATE FUNCTION rlrec_bandit_statistics(agent text) RETURNS TABLE (action text, statistics float8[])
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10;
COMMENT ON FUNCTION rlrec_bandit_statistics(text) IS
'What an agent of learner linucb or lints was told of each action: the statistics that rlrec_linear_statistics() makes of the same contexts, with a 1 at the end of each where the option intercept is on, and rewards; with the option forget weighed as of now.';
