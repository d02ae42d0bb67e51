SELECT * FROM rlrec_recommend(1 + :client_id, 10, 'ease');
\sleep 1000 s
