-- Evaluation.

CREATE FUNCTION rlrec_evaluate(
	agent text,
	k int DEFAULT 10,
	protocol text DEFAULT 'leave_one_out',
	learners text[] DEFAULT NULL)
RETURNS TABLE (learner text, users bigint, "precision" float8, recall float8, hit_rate float8, ndcg float8, mrr float8,
	coverage float8, novelty float8, diversity float8, seconds float8, reward_ndcg float8)
LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000000 ROWS 8
AS 'MODULE_PATHNAME', 'rlrec_evaluate';
COMMENT ON FUNCTION rlrec_evaluate(text, int, text, text[]) IS
'Fits learners on a part of the agent''s events and measures their k best items on the rest, a row a learner: protocol leave_one_out (the last event of each user), temporal (the last fifth of all events) or last_fifth (that of each user). learners: NULL for all that can be fitted, the agent''s own first. Nothing is stored. novelty is in bits, seconds cover fitting and ranking, reward_ndcg is NDCG weighted by the rewards of what was held out; docs/evaluation.md has the formulae.';
