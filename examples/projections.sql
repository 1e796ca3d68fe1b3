-- A read model of one's own over examples/flights.sql, kept in step with every change:
--   sluice flights.sluice < examples/projections.sql
--   sqlite3 flights.sluice/projections.db 'SELECT * FROM carriers ORDER BY flights DESC LIMIT 5'
CREATE PROJECTION carriers AS
  SELECT carrier, count(*) AS flights, avg(dep_delay) AS mean_delay, max(dep_delay) AS worst,
    count(DISTINCT dest) AS destinations
  FROM flights GROUP BY carrier;
CREATE PROJECTION late PRIMARY KEY (flight, event_id) AS
  SELECT flight, event_id, carrier, origin || '-' || dest AS route, dep_delay FROM flights WHERE dep_delay >= 120;
CREATE INDEX late_route ON late(route);
WAIT FOR carriers;
WAIT FOR late;
SELECT carrier, flights, round(mean_delay, 1) AS mean_delay, worst, destinations
FROM carriers ORDER BY flights DESC LIMIT 3;
-- What is written next is in the projections at once.
UPDATE flights SET dep_delay = 500 WHERE event_id = 1;
SELECT flight, event_id, route, dep_delay FROM late WHERE event_id = 1;
