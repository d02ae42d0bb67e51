\set user_id random(1, 50000)
INSERT INTO events (user_id, item_id) SELECT :user_id, 1 + (:user_id * i) % 1000 FROM generate_series(1, :rows) i;
