CREATE EXTENSION rlrec;
SELECT rlrec_create_agent(:'agent', events => :'events');
SELECT version, metrics->>'chosen' AS chosen, round(seconds::numeric, 1) AS seconds, deployed
FROM rlrec_train(:'agent');
