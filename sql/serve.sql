-- Serving. An id argument is declared as anyelement, so that an integer or uuid keeps its type, and as text, for literals of unknown type.

CREATE FUNCTION rlrec_rows_support(internal)
RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rlrec_rows_support';
COMMENT ON FUNCTION rlrec_rows_support(internal) IS 'tells the planner that rlrec_recommend(..., k) returns k rows';

CREATE FUNCTION rlrec_recommend(
	user_id anyelement,
	k int DEFAULT 10,
	agent text DEFAULT NULL,
	candidates text[] DEFAULT NULL,
	exclude text[] DEFAULT NULL,
	context jsonb DEFAULT NULL)
RETURNS TABLE (rank int, item text, score real, source text)
LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000 ROWS 10 SUPPORT rlrec_rows_support
AS 'MODULE_PATHNAME', 'rlrec_recommend';
COMMENT ON FUNCTION rlrec_recommend(anyelement, int, text, text[], text[], jsonb) IS
'The k best items for a user by the deployed version of an agent (NULL: the only one that you may use), from his events as they are now. candidates: only these; exclude: none of these; context: {"exclude_seen": false} also returns what he has had. A user without events gets what is popular, with source popularity.';

CREATE FUNCTION rlrec_recommend(
	user_id text,
	k int DEFAULT 10,
	agent text DEFAULT NULL,
	candidates text[] DEFAULT NULL,
	exclude text[] DEFAULT NULL,
	context jsonb DEFAULT NULL)
RETURNS TABLE (rank int, item text, score real, source text)
LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000 ROWS 10 SUPPORT rlrec_rows_support
AS 'MODULE_PATHNAME', 'rlrec_recommend';
COMMENT ON FUNCTION rlrec_recommend(text, int, text, text[], text[], jsonb) IS
'The k best items for a user by the deployed version of an agent (NULL: the only one that you may use), from his events as they are now. candidates: only these; exclude: none of these; context: {"exclude_seen": false} also returns what he has had. A user without events gets what is popular, with source popularity.';

CREATE FUNCTION rlrec_recommend_for_history(
	items text[],
	k int DEFAULT 10,
	agent text DEFAULT NULL,
	candidates text[] DEFAULT NULL,
	exclude text[] DEFAULT NULL,
	context jsonb DEFAULT NULL)
RETURNS TABLE (rank int, item text, score real, source text)
LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000 ROWS 10 SUPPORT rlrec_rows_support
AS 'MODULE_PATHNAME', 'rlrec_recommend_for_history';
COMMENT ON FUNCTION rlrec_recommend_for_history(text[], int, text, text[], text[], jsonb) IS
'The k best items for somebody with these past items, oldest first; nothing of him need be in the events. The other arguments are those of rlrec_recommend().';

CREATE FUNCTION rlrec_recommend_all(agent text, k int DEFAULT 10)
RETURNS TABLE (user_id text, rank int, item text, score real)
LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000 ROWS 10000
AS 'MODULE_PATHNAME', 'rlrec_recommend_all';
COMMENT ON FUNCTION rlrec_recommend_all(text, int) IS
'The k best items for every user who has events.';

CREATE FUNCTION rlrec_similar_items(item anyelement, k int DEFAULT 10, agent text DEFAULT NULL)
RETURNS TABLE (rank int, item text, score real)
LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000 ROWS 10 SUPPORT rlrec_rows_support
AS 'MODULE_PATHNAME', 'rlrec_similar_items';
COMMENT ON FUNCTION rlrec_similar_items(anyelement, int, text) IS
'The k items most similar to one, by what the learner knows of similarity; of a learner that knows none, what it would recommend after that item alone.';

CREATE FUNCTION rlrec_similar_items(item text, k int DEFAULT 10, agent text DEFAULT NULL)
RETURNS TABLE (rank int, item text, score real)
LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000 ROWS 10 SUPPORT rlrec_rows_support
AS 'MODULE_PATHNAME', 'rlrec_similar_items';
COMMENT ON FUNCTION rlrec_similar_items(text, int, text) IS
'The k items most similar to one, by what the learner knows of similarity; of a learner that knows none, what it would recommend after that item alone.';

CREATE FUNCTION rlrec_score(agent text, user_id anyelement, item anycompatible)
RETURNS real
LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000
AS 'MODULE_PATHNAME', 'rlrec_score';
COMMENT ON FUNCTION rlrec_score(text, anyelement, anycompatible) IS
'The score of an item for a user, for ORDER BY ... DESC; -Infinity for an item that the version does not know, NULL for a NULL item. The user is scored once a query.';

CREATE FUNCTION rlrec_score(agent text, user_id anyelement, item text)
RETURNS real
LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000
AS 'MODULE_PATHNAME', 'rlrec_score';
COMMENT ON FUNCTION rlrec_score(text, anyelement, text) IS
'The score of an item for a user, for ORDER BY ... DESC; -Infinity for an item that the version does not know, NULL for a NULL item. The user is scored once a query.';

CREATE FUNCTION rlrec_score(agent text, user_id text, item anycompatible)
RETURNS real
LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000
AS 'MODULE_PATHNAME', 'rlrec_score';
COMMENT ON FUNCTION rlrec_score(text, text, anycompatible) IS
'The score of an item for a user, for ORDER BY ... DESC; -Infinity for an item that the version does not know, NULL for a NULL item. The user is scored once a query.';

CREATE FUNCTION rlrec_score(agent text, user_id text, item text)
RETURNS real
LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000
AS 'MODULE_PATHNAME', 'rlrec_score';
COMMENT ON FUNCTION rlrec_score(text, text, text) IS
'The score of an item for a user, for ORDER BY ... DESC; -Infinity for an item that the version does not know, NULL for a NULL item. The user is scored once a query.';

CREATE FUNCTION rlrec_encode(agent text, user_id anyelement)
RETURNS float8[]
LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000
AS 'MODULE_PATHNAME', 'rlrec_encode';
COMMENT ON FUNCTION rlrec_encode(text, anyelement) IS
'The state of a user after his events as they are now, for rlrec_decode(): as many numbers as the option dimension of learner supervised says. NULL for a user whose events tell nothing; an error where the learner has no state.';

CREATE FUNCTION rlrec_encode(agent text, user_id text)
RETURNS float8[]
LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000
AS 'MODULE_PATHNAME', 'rlrec_encode';
COMMENT ON FUNCTION rlrec_encode(text, text) IS
'The state of a user after his events as they are now, for rlrec_decode(): as many numbers as the option dimension of learner supervised says. NULL for a user whose events tell nothing; an error where the learner has no state.';

CREATE FUNCTION rlrec_decode(agent text, state float8[], k int DEFAULT 10)
RETURNS TABLE (rank int, item text, score real, shared text)
LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000 ROWS 10 SUPPORT rlrec_rows_support
AS 'MODULE_PATHNAME', 'rlrec_decode';
COMMENT ON FUNCTION rlrec_decode(text, float8[], int) IS
'The k items nearest to a state, by the deployed version of an agent, among its candidates. The state is one of rlrec_encode(), or any of as many finite numbers. shared: what the items have in common, in words.';

CREATE FUNCTION rlrec_rewards(agent text DEFAULT NULL)
RETURNS TABLE (user_id text, item text, event text, event_time pg_catalog.timestamptz, reward real, episode int)
LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000 ROWS 10000
AS 'MODULE_PATHNAME', 'rlrec_rewards';
COMMENT ON FUNCTION rlrec_rewards(text) IS
'What each of the events is worth to the agent, user by user in order of time, and in which of the user''s episodes it is, from 1.';
