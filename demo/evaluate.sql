-- Each user's last event is held out, and every learner, fitted on the rest, ranks all the items that the user has not seen.
SELECT learner, users, round("precision"::numeric, 4) AS prec, round(recall::numeric, 4) AS recall,
	round(hit_rate::numeric, 4) AS hits, round(ndcg::numeric, 4) AS ndcg, round(mrr::numeric, 4) AS mrr,
	round(coverage::numeric, 4) AS cover, round(novelty::numeric, 2) AS novelty,
	round(diversity::numeric, 4) AS divers, round(seconds::numeric, 1) AS sec
FROM rlrec_evaluate(:'agent', learners => '{popularity,content,itemknn,als,ease,markov,hybrid,supervised}')
ORDER BY ndcg DESC;
