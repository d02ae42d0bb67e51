-- Five recommendations for :user, after what this user liked last.

\pset title 'User ':user' liked last'
SELECT left(title, 50) AS title, at::date AS "when"
FROM liked
WHERE user_id = :user
ORDER BY at DESC, id DESC
LIMIT 3;

\pset title 'and gets'
SELECT r.rank, left(i.title, 46) AS title, round(r.score::numeric, 3) AS score, r.source
FROM rlrec_recommend(:user, 5, agent => :'agent') r
JOIN :"items" i ON i.id = r.item::int
ORDER BY r.rank;
