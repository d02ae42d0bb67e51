\set id random(1, 100000)
SELECT balance FROM account WHERE id = :id;
