-- pgbench, -D i=0 -D users=N: each user once, in an order that jumps about
\set user permute(:i, :users) + 1
\set i :i + 1
SELECT * FROM rlrec_recommend(:user, 10, 'itemknn');
