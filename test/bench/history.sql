-- The peer of recommend.sql: the same users' events, only read.
\set user permute(:i, :users) + 1
\set i :i + 1
SELECT item_id FROM events WHERE user_id = :user ORDER BY ts;
