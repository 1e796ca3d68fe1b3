// What dot commands and options change: how results are printed and what happens on errors.

/// How a result is laid out; the names are sqlite3's.
enum OutputMode: String, CaseIterable {
  case ascii, box, column, csv, html, json, line, list, markdown, quote, table, tabs

  /// Whether the whole result is gathered to know the widths of its columns.
  var isColumnar: Bool {
    switch self {
    case .box, .column, .markdown, .table: true
    case .ascii, .csv, .html, .json, .line, .list, .quote, .tabs: false
    }
  }

  /// The first mode of which `text` is the beginning, in the order in which sqlite3 looks.
  static func matching(_ text: String) -> OutputMode? {
    let order: [(String, OutputMode)] = [
      ("lines", .line), ("columns", .column), ("list", .list), ("html", .html), ("csv", .csv), ("tabs", .tabs),
      ("quote", .quote),
      ("ascii", .ascii), ("markdown", .markdown), ("table", .table), ("box", .box), ("json", .json),
    ]
    return text.isEmpty ? nil : order.first { $0.0.hasPrefix(text) }?.1
  }
}

/// The shell's switches, with sqlite3's defaults.
struct Settings {
  var mode = OutputMode.list
  var showsHeader = false
  /// Whether the header was asked for or refused, so that `.mode column` leaves it alone.
  var isHeaderChosen = false
  var columnSeparator = Array("|".utf8)
  var rowSeparator = Array("\n".utf8)
  var nullText: [UInt8] = []
  /// Least widths of columns in columnar modes; negative: aligned to the right; 0: as wide as needed.
  var widths: [Int] = []
  /// Widest column before its text goes on below, in columnar modes; 0: no bound.
  var wrap = 0
  /// Whether text goes on below between words.
  var wrapsAtWords = false
  var stopsAtFirstError = false
  /// Whether a script ends as soon as everything is acknowledged, without waiting for what becomes of it
  /// (`--no-drain`).
  var leavesAtOnce = false
  var echoes = false
  /// Whether the numbers of changed rows are told behind each statement.
  var showsChanges = false
  var showsTimer = false

  /// Separators and header that come with a mode named by `.mode`.
  mutating func choose(_ newMode: OutputMode) {
    mode = newMode
    switch newMode {
    case .list: setSeparators("|", "\n")
    case .csv: setSeparators(",", "\r\n")
    case .tabs: columnSeparator = Array("\t".utf8)
    case .quote: setSeparators(",", "\n")
    case .ascii: setSeparators("\u{1F}", "\u{1E}")
    case .line: rowSeparator = Array("\n".utf8)
    case .column:
      rowSeparator = Array("\n".utf8)
      if !isHeaderChosen { showsHeader = true }
    case .html, .json, .box, .table, .markdown: break
    }
  }

  /// The fewer changes that come with a mode named by an option such as `-csv`.
  mutating func chooseByOption(_ newMode: OutputMode) {
    mode = newMode
    switch newMode {
    case .csv: columnSeparator = Array(",".utf8)
    case .tabs: columnSeparator = Array("\t".utf8)
    case .quote: columnSeparator = Array(",".utf8)
    case .ascii: setSeparators("\u{1F}", "\u{1E}")
    default: break
    }
  }

  private mutating func setSeparators(_ column: String, _ row: String) {
    columnSeparator = Array(column.utf8)
    rowSeparator = Array(row.utf8)
  }
}
