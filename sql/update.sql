-- Every accepted form of UPDATE.
CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL DEFAULT 1, tag TEXT);
CREATE TABLE stock (shop TEXT, item_id INTEGER, count INTEGER CHECK (count >= 0), PRIMARY KEY (shop, item_id));
CREATE TABLE events (kind TEXT, amount INTEGER);
INSERT INTO items VALUES (1, 'nail', 0.5, NULL), (2, 'saw', 19.5, 'tool'), (3, 'vice', 42, 'tool'), (4, 'oil', 7, 'x');
INSERT INTO stock VALUES ('north', 1, 900), ('north', 2, 4), ('south', 1, 250), ('south', 3, 1);
INSERT INTO events VALUES ('sold', 3), ('sold', 5), ('lost', 1);
UPDATE items SET price = price * 2;
UPDATE main.items SET price = round(price / 3, 2), tag = upper(tag) WHERE id = 2;
update "items" set [name] = 'Vice', `tag` = 'TOOL' where name like 'vi%' and price between 1 and 100;
UPDATE items SET (name, tag) = ('long nail', 'small') WHERE id = 1;
UPDATE items SET (price, tag) = (SELECT max(count), min(shop) FROM stock WHERE item_id = items.id) WHERE id = 3;
UPDATE items SET price = DEFAULT_price.p FROM (SELECT 5.25 AS p) AS DEFAULT_price WHERE items.id = 4;
UPDATE stock AS s SET count = s.count - 1 WHERE s.shop = 'north';
UPDATE stock SET count = count + sold.n FROM (SELECT item_id AS i, 10 AS n FROM stock GROUP BY item_id) AS sold
  WHERE sold.i = stock.item_id AND shop = 'south';
UPDATE stock SET shop = 'west', item_id = item_id + 10 WHERE shop = 'south';
UPDATE OR ABORT stock SET count = 0 WHERE item_id = 2;
UPDATE OR FAIL items SET price = price + 1 WHERE id < 3;
UPDATE OR IGNORE items SET id = 1 WHERE id = 2;
UPDATE OR REPLACE items SET id = 4 WHERE id = 3;
UPDATE OR ROLLBACK items SET tag = NULL WHERE tag = 'none';
UPDATE items SET rowid = 20 WHERE rowid = 4;
UPDATE events SET amount = amount * 100 WHERE kind = 'sold';
UPDATE events SET kind = CASE kind WHEN 'lost' THEN 'gone' ELSE kind END, amount = -amount WHERE rowid > 0;
UPDATE items SET tag = NULL WHERE id IN (SELECT item_id FROM stock) OR EXISTS (SELECT 1 FROM events WHERE amount > 1e6);
WITH cheap(i) AS (SELECT id FROM items WHERE price < 5) UPDATE items SET tag = 'cheap' WHERE id IN cheap;
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5)
  UPDATE items SET price = (SELECT sum(i) FROM n) WHERE id = 1;
UPDATE items NOT INDEXED SET price = 3 WHERE id = 2;
UPDATE items SET price = price + 0.5 WHERE id = 2 RETURNING id, price AS new_price, name || '!' AS loud;
UPDATE stock SET count = count + 1 WHERE shop = 'north' RETURNING *;
