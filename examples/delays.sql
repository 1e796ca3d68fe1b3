-- What anybody with sqlite3 can ask of projections.db: sqlite3 flights.sluice/projections.db < examples/delays.sql
.mode column
.headers on
SELECT carrier, count(*) AS flights, round(avg(dep_delay), 1) AS mean_delay, max(dep_delay) AS worst
FROM flights GROUP BY carrier ORDER BY flights DESC LIMIT 5;
