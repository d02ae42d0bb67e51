SELECT item_id FROM events WHERE user_id = 1 + :client_id ORDER BY ts;
\sleep 1000 s
