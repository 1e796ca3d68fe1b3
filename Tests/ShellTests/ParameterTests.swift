// Parameters, `.changes`, and values in list mode, as stock sqlite3 has them.
import SluiceTesting
import Testing

@Suite struct ParameterTests {
  @Test func bindingsLikeStock() throws {
    try ShellUnderTest().expectLikeStock(
      """
      .parameter init
      .parameter list
      .parameter set $a 5
      .parameter set :b abc
      .parameter set @long_name "'it''s'"
      .parameter set ?2 "x'41ff'"
      .parameter set $r 0.1
      .parameter set $n NULL
      .parameter set $e 1+
      .parameter set $x "1, 2"
      .parameter set $s "(SELECT max(a) + 1 FROM t)"
      .parameter list
      SELECT $a, :b, ?, ?, @long_name, $unset, $r, typeof($n), $e, $x, $s;
      CREATE TABLE t(a, b);
      INSERT INTO t VALUES($a, :b);
      INSERT INTO t SELECT $a + 1, $r UNION ALL SELECT a, b FROM t WHERE a = $a;
      UPDATE t SET b = $e WHERE a > $a;
      .parameter set $s "(SELECT max(a) + 1 FROM t)"
      SELECT a, b, $s FROM t WHERE a IN ($a, 6) ORDER BY a, b;
      DELETE FROM t WHERE a = $a;
      SELECT count(*) FROM t;
      .parameter unset $a
      .parameter unset $nosuch
      .para list
      SELECT $a, $r;
      .parameter
      .parameter nosuch
      .parameter set $q
      .parameter set $q 1 2
      .help parameter
      .parameter clear
      .parameter list
      SELECT $r;

      """)
  }

  @Test func changesLikeStock() throws {
    try ShellUnderTest().expectLikeStock(
      """
      .changes on
      CREATE TABLE t(a INTEGER PRIMARY KEY, b);
      INSERT INTO t VALUES(1, 2), (3, 4);
      INSERT INTO t VALUES(3, 4);
      SELECT count(*) FROM t;
      UPDATE t SET b = a;
      DELETE FROM t WHERE a = 1;
      BEGIN;
      INSERT INTO t SELECT a + 1, b FROM t;
      SELECT changes(), total_changes();
      ROLLBACK;
      SELECT nosuch;
      .changes off
      UPDATE t SET b = 1;
      .changes

      """)
  }

  /// Reals of all sizes, NULL, blobs and odd texts, as literals, stored, and returned.
  @Test func listModeLikeStock() throws {
    let values = [
      "0.1", "1e15", "1e16", "123456789012345678.0", "0.0001", "0.00001", "1e-320", "5e-324", "1.7976931348623157e308",
      "1e999", "-1e999", "-0.0", "0.0", "2.0", "1/3.0", "100.0 / 3", "1e21", "NULL", "x''", "x'00ff41'", "x'414243'",
      "''", "'a|b'", "'l1' || char(10) || 'l2'", "char(65, 0, 66)", "9223372036854775807", "-9223372036854775808",
      "'é'", "0.1 + 0.2", "1e18", "4611686018427387904.0",
    ]
    var script = "CREATE TABLE t(k INTEGER PRIMARY KEY, v, r REAL, s TEXT);\n"
    for (index, value) in values.enumerated() {
      script += "SELECT \(value), typeof(\(value)), 'x';\n"
      if value == "char(65, 0, 66)" { continue }
      script += "INSERT INTO t VALUES(\(index), \(value), \(value), \(value));\n"
      script += "INSERT INTO t SELECT \(index + 1000), v, r, s FROM t WHERE k = \(index);\n"
      script += "UPDATE t SET r = r, v = v WHERE k = \(index) RETURNING k, v, s;\n"
    }
    script += "SELECT * FROM t ORDER BY k;\nSELECT sum(r), total(r), avg(k) FROM t WHERE abs(r) < 1e9;\n"
    let withSettings = ".mode list\n.separator \"<\\t>\" \"\\r\\n\"\n.nullvalue \"N 'U' L\"\n" + script
    try ShellUnderTest().expectLikeStock(script)
    try ShellUnderTest().expectLikeStock(withSettings)
    try ShellUnderTest().expectLikeStock(script, ["-separator", ", ", "-nullvalue", "(null)"])
  }
}
