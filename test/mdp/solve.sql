-- mdp_values(mdp, gamma, policy): what actions are worth in a Markov decision process, by value iteration: the measure of learners, and
-- independent of them.
--
-- mdp is a table (state text, action text, probability float8, next_state text, reward float8, terminated boolean), a row an outcome of
-- an action. Where terminated, and in a state without rows, nothing follows. policy is a query of (state, action, probability); without
-- one the policy is the best. q is the value of the action, v that of its state.
CREATE FUNCTION mdp_values(mdp regclass, gamma float8, policy text DEFAULT NULL)
	RETURNS TABLE (state text, action text, q float8, v float8)
	LANGUAGE plpgsql AS $$
DECLARE
	old float8[];
	new float8[];
BEGIN
	EXECUTE format('CREATE TEMP TABLE outcome AS
		WITH numbered AS (SELECT state, row_number() OVER ()::int AS s FROM (SELECT DISTINCT state FROM %1$s) x)
		SELECT o.state, n.s, o.action, o.probability AS p, o.reward AS r, CASE WHEN NOT o.terminated THEN next.s END AS next, %2$s AS pi
		FROM %1$s o JOIN numbered n USING (state) LEFT JOIN numbered next ON next.state = o.next_state %3$s',
		mdp, CASE WHEN policy IS NULL THEN 'NULL::float8' ELSE 'coalesce(policy.probability, 0)' END,
		'LEFT JOIN (' || policy || ') policy ON policy.state = o.state AND policy.action = o.action');
	ANALYZE outcome;
	new := array_fill(0::float8, ARRAY[(SELECT max(s) FROM outcome)]);
	LOOP
		old := new;
		new := (
			SELECT array_agg(value ORDER BY s) FROM (
				SELECT s, coalesce(sum(pi * value), max(value)) AS value FROM (
					SELECT o.s, o.pi, sum(p * (r + gamma * coalesce(old[next], 0))) AS value FROM outcome o GROUP BY o.s, o.action, o.pi
				) a GROUP BY s
			) x);
		EXIT WHEN (SELECT max(abs(before - after)) FROM unnest(old, new) x(before, after)) < 1e-10;
	END LOOP;
	RETURN QUERY SELECT o.state, o.action, sum(p * (r + gamma * coalesce(new[next], 0))), new[o.s]
		FROM outcome o GROUP BY o.state, o.s, o.action;
	DROP TABLE outcome;
END $$;
