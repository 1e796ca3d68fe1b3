// `.import`: a file of delimited text, or what a command prints, into one table. sqlite3's options, words and rules;
// all rows in one transaction. It differs where sqlite3 is silent: the outcome is a failure when any row has failed,
// not the last one only; a file that cannot be read to its end, and Ctrl-C, undo the import.
import CReadline
import Sluice

/// What an `.import` was asked to do.
struct ImportOptions {
  enum Format {
    /// As the output mode and the separators say.
    case asOutput
    case csv
    case ascii
  }

  var path = ""
  var table = ""
  var schema: String?
  var format = Format.asOutput
  var skipCount = 0
  var verbosity = 0

  /// The table's name as sqlite3 writes it into statements.
  var fullName: String { (schema.map { quoted($0) + "." } ?? "") + quoted(table) }

  /// What stands in front of a message for its file.
  var sourceName: String { path.hasPrefix("|") ? "<pipe>" : path }
}

/// An import whose rows are on their way.
struct RunningImport {
  let text: TextImport
  let options: ImportOptions
}

extension Shell {
  static let importHelp = #"""
       Options:
         --ascii               Use \037 and \036 as column and row separators
         --csv                 Use , and \n as column and row separators
         --skip N              Skip the first N rows of input
         --schema S            Target table to be S.TABLE
         -v                    "Verbose" - increase auxiliary output
       Notes:
         *  If TABLE does not exist, it is created.  The first row of input
            determines the column names.
         *  If neither --csv or --ascii are used, the input mode is derived
            from the ".mode" output mode
         *  If FILE begins with "|" then it is a command that generates the
            input text.

    """#

  /// Why a command goes no further: what it says to standard error, or nothing more.
  private struct Refusal: Error {
    let text: String
  }

  func importFile(_ arguments: [String]) -> DotCommand.Outcome {
    // At a terminal, what was pressed meanwhile is not about the next line; a script it ends.
    defer { if nesting == 0 { _ = creadline_take_interrupt() } }
    var options = ImportOptions()
    if let mistake = read(arguments, into: &options) {
      console.printing().write("ERROR: \(mistake) Usage:\n")
      _ = showHelp(["import"])
      return .failed
    }
    do throws(Refusal) {
      try run(options)
    } catch {
      console.complaining().write(error.text)
      return .failed
    }
    // A script that is left at once does not wait for what becomes of the rows, unless something follows.
    if settings.leavesAtOnce, nesting > 0 || isLastArgument { return .done }
    return completeImport(isLeaving: false)
  }

  /// Reads the arguments; returns what is wrong with them.
  private func read(_ arguments: [String], into options: inout ImportOptions) -> String? {
    var words: [String] = []
    var rest = arguments[...]
    while let word = rest.popFirst() {
      let option = word.hasPrefix("--") ? String(word.dropFirst()) : word
      switch option {
      case "-v": options.verbosity += 1
      case "-csv": options.format = .csv
      case "-ascii": options.format = .ascii
      case "-skip" where !rest.isEmpty: options.skipCount = rest.popFirst().flatMap { Int($0) } ?? 0
      case "-schema" where !rest.isEmpty: options.schema = rest.popFirst()
      case _ where word.hasPrefix("-"): return "unknown option: \"\(option)\". "
      case _ where words.count == 2: return "extra argument: \"\(word)\". "
      default: words.append(word)
      }
    }
    guard words.count == 2 else { return "missing \(words.isEmpty ? "FILE" : "TABLE") argument." }
    (options.path, options.table) = (words[0], words[1])
    return nil
  }

  private func run(_ options: ImportOptions) throws(Refusal) {
    if let schema = options.schema, schema.lowercased() != "main" {
      throw Refusal(text: "Error: a store has one schema, main: there is no \"\(schema)\" to import into\n")
    }
    let text = try makeImport(options)
    console.flush()
    guard let source = ImportSource(options.path) else {
      throw Refusal(text: "Error: cannot open \"\(options.path)\"\n")
    }
    if options.verbosity >= 2 || options.verbosity == 1 && options.format == .asOutput { tellSeparators(options) }
    for _ in 0..<max(0, options.skipCount) {
      if try readNames(text, source, options).isEmpty { break }
    }
    if try !tableExists(options) { try createTable(text, source, options) }
    do throws(StoreError) {
      try importRows(text, source, options)
    } catch {
      do { try text.abandon() } catch {}
      tell(text, options)
      throw Refusal(text: "Error: \(error.message)\n")
    }
    unsettledImport = RunningImport(text: text, options: options)
  }

  // MARK: The text

  private func makeImport(_ options: ImportOptions) throws(Refusal) -> TextImport {
    var (column, row) = (UInt8(ascii: ","), UInt8(ascii: "\n"))
    var isQuoted = true
    switch options.format {
    case .csv: break
    case .ascii: (column, row, isQuoted) = (0x1f, 0x1e, false)
    case .asOutput:
      column = try separator(settings.columnSeparator, "column")
      // The one that CSV is printed with is not the one that it is read with, and is so no longer.
      if settings.mode == .csv, settings.rowSeparator == Array("\r\n".utf8) {
        settings.rowSeparator = Array("\n".utf8)
      }
      row = try separator(settings.rowSeparator, "row")
      isQuoted = settings.mode != .ascii
    }
    return TextImport(
      into: session, columnSeparator: column, rowSeparator: row, quotes: isQuoted,
      skipsEmpty: settings.mode == .ascii)
  }

  private func separator(_ bytes: [UInt8], _ kind: String) throws(Refusal) -> UInt8 {
    // sqlite3 keeps it as a C string.
    let text = bytes.prefix { $0 != 0 }
    guard let byte = text.first else { throw Refusal(text: "Error: non-null \(kind) separator required for import\n") }
    guard text.count == 1 else {
      throw Refusal(text: "Error: multi-character \(kind) separators not allowed for import\n")
    }
    return byte
  }

  private func tellSeparators(_ options: ImportOptions) {
    let (column, row) =
      switch options.format {
      case .asOutput: (settings.columnSeparator, settings.rowSeparator)
      case .csv: ([UInt8(ascii: ",")], [UInt8(ascii: "\n")])
      case .ascii: ([0x1f], [0x1e])
      }
    let output = console.printing()
    output.write("Column separator \(escaped(column)), row separator \(escaped(row))\n")
  }

  /// Reads one record as names; none at the end of the text.
  private func readNames(
    _ text: TextImport, _ source: ImportSource, _ options: ImportOptions
  ) throws(Refusal) -> [[UInt8]] {
    while true {
      if let (names, size) = text.readNames(source.unread, isWhole: source.isAtEnd) {
        if let obstacle = obstacle(source, options) { throw Refusal(text: "Error: \(obstacle)\n") }
        source.consume(size)
        return names
      }
      source.fill()
    }
  }

  private func importRows(
    _ text: TextImport, _ source: ImportSource, _ options: ImportOptions
  ) throws(StoreError) {
    let columnCount = try text.begin(into: options.table)
    // Rows before it in an open transaction are looked at now.
    reportRejections(.script)
    if options.verbosity >= 2 {
      let places = Array(repeating: "?", count: columnCount).joined(separator: ",")
      console.printing().write("Insert using: INSERT INTO \(options.fullName) VALUES(\(places))\n")
    }
    while !text.isAtEnd {
      source.consume(try text.take(source.unread, isWhole: source.isAtEnd))
      for message in text.takeMessages(all: false) { tell(message, options) }
      if !source.isAtEnd { source.fill() }
      if let obstacle = obstacle(source, options) { throw StoreError(.invalid, obstacle, sqliteCode: 1) }
    }
    try text.commit()
  }

  /// Why the text is not read to its end.
  private func obstacle(_ source: ImportSource, _ options: ImportOptions) -> String? {
    if creadline_interrupted() != 0 { return "interrupted" }
    return source.failure.map { "cannot read \"\(options.path)\": \($0)" }
  }

  /// Waits for what becomes of an import's rows, unless that is known, and tells it.
  func completeImport(isLeaving: Bool) -> DotCommand.Outcome {
    guard let running = unsettledImport else { return .done }
    unsettledImport = nil
    let (text, options) = (running.text, running.options)
    var failure: StoreError?
    do throws(StoreError) { try text.complete(isLeaving: isLeaving) } catch { failure = error }
    tell(text, options)
    if let failure {
      console.complaining().write("Error: \(failure.message)\n")
      return .failed
    }
    if options.verbosity > 0 {
      console.printing().write(
        "Added \(text.rowCount) rows with \(text.errorCount) errors using \(text.line - 1) lines of input\n")
    }
    return text.errorCount > 0 ? .failed : .done
  }

  private func tell(_ text: TextImport, _ options: ImportOptions) {
    for message in text.takeMessages(all: true) { tell(message, options) }
  }

  private func tell(_ message: TextImport.Message, _ options: ImportOptions) {
    console.complaining().write("\(options.sourceName):\(message.line): \(message.text)\n")
  }

  // MARK: The table

  private func tableExists(_ options: ImportOptions) throws(Refusal) -> Bool {
    if session.columnNames(options.table) != nil { return true }
    do throws(StoreError) {
      _ = try session.execute("SELECT * FROM \(quoted(options.table))")
      return true
    } catch {
      if error.message.hasPrefix("no such table: ") { return false }
      throw Refusal(text: "Error: \(error.message)\n")
    }
  }

  /// Creates the table with the names that the next record holds.
  private func createTable(
    _ text: TextImport, _ source: ImportSource, _ options: ImportOptions
  ) throws(Refusal) {
    let given = try readNames(text, source, options)
    for message in text.takeMessages(all: true) { tell(message, options) }
    let names = given.compactMap { String(validating: $0, as: UTF8.self) }
    guard !names.isEmpty || !given.isEmpty else { throw Refusal(text: "\(options.sourceName): empty file\n") }
    guard names.count == given.count else {
      throw Refusal(text: "\(options.sourceName): the name of a column is not UTF-8\n")
    }
    let columns = ImportedColumns(names)
    if !columns.renames.isEmpty {
      console.complaining().write(
        "Columns renamed during .import \(options.sourceName) due to duplicates:\n\(columns.renames)\n")
    }
    let statement = "CREATE TABLE \(options.fullName)\(columns.definition)\n"
    if options.verbosity > 0 { console.printing().write(statement + "\n") }
    do throws(StoreError) {
      _ = try session.execute(statement)
      try session.settle()
    } catch {
      throw Refusal(text: "\(statement) failed:\n\(error.message)\n")
    }
  }
}
