// Which words may be names. Source: https://sqlite.org/lang_keywords.html and the fallback list of SQLite's parse.y.

/// SQLite's keywords, for the parser (what may stand as a name) and the printer (what must be quoted).
enum Keywords {
  /// Words that are never a bare name.
  static let reserved: Set<String> = words(
    """
    ADD ALL ALTER AND AS AUTOINCREMENT BETWEEN CASE CHECK COLLATE COMMIT CONSTRAINT CREATE DEFAULT DEFERRABLE DELETE
    DISTINCT DROP ELSE ESCAPE EXCEPT EXISTS FOREIGN FROM GROUP HAVING IN INDEX INSERT INTERSECT INTO IS ISNULL JOIN
    LIMIT NOT NOTHING NOTNULL NULL ON OR ORDER PRIMARY REFERENCES RETURNING SELECT SET TABLE THEN TO TRANSACTION UNION
    UNIQUE UPDATE USING VALUES WHEN WHERE
    """)

  /// Words that may be a bare name in some places; printed in quotes all the same.
  static let soft: Set<String> = words(
    """
    ABORT ACTION AFTER ALWAYS ANALYZE ASC ATTACH BEFORE BEGIN BY CASCADE CAST COLUMN CONFLICT CROSS CURRENT
    CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DATABASE DEFERRED DESC DETACH DO EACH END ENFORCED EXCLUDE EXCLUSIVE
    EXPLAIN FAIL FILTER FIRST FOLLOWING FOR FULL GENERATED GLOB GROUPS IF IGNORE IMMEDIATE INDEXED INITIALLY INNER
    INSTEAD KEY LAST LEFT LIKE MATCH MATERIALIZED NATURAL NO NULLS OF OFFSET OTHERS OUTER OVER PARTITION PLAN PRAGMA
    PRECEDING QUERY RAISE RANGE RECURSIVE REGEXP REINDEX RELEASE RENAME REPLACE RESTRICT RIGHT ROLLBACK ROW ROWS
    SAVEPOINT SHARD STRICT TEMP TEMPORARY TIES TRIGGER UNBOUNDED VACUUM VIEW VIRTUAL WINDOW WITH WITHOUT
    """)

  private static func words(_ text: String) -> Set<String> {
    Set(text.split { $0 == " " || $0 == "\n" }.map(String.init))
  }
}

/// A name as an SQL identifier, always in quotes.
public func quoted(_ name: String) -> String { "\"" + doubled(name, "\"") + "\"" }

/// A name as it stands in SQL text: bare where that is safe, else in double quotes.
public func quotedName(_ name: String) -> String {
  let bytes = Array(name.utf8)
  let isPlain = bytes.allSatisfy { isLetter($0) || isDigit($0) || $0 == 0x5f }
  if isPlain, let first = bytes.first, !isDigit(first) {
    let upper = name.uppercased()
    if !Keywords.reserved.contains(upper), !Keywords.soft.contains(upper) { return name }
  }
  return quoted(name)
}

/// `text` with each `quote` in it written twice.
func doubled(_ text: String, _ quote: Character) -> String {
  var result = ""
  for character in text.unicodeScalars {
    result.unicodeScalars.append(character)
    if Character(character) == quote { result.append(quote) }
  }
  return result
}
