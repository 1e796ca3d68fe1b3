// Results in the modes that line columns up: column, box, table, markdown. The result is held until its last row is
// known, as in sqlite3. Widths count characters, not cells of a terminal, as in sqlite3.
import Sluice

/// Lays out one result.
struct ColumnarPrinter {
  private let settings: Settings
  private let output: OutputBuffer
  private var lines: [[Cell]] = []
  /// For each line, whether its row ends with it.
  private var endsRow: [Bool] = []
  private var widths: [Int] = []

  /// One line of a cell, and how many characters it has.
  private struct Cell {
    var text: [UInt8]
    var width: Int
  }

  init(settings: Settings, output: OutputBuffer) {
    self.settings = settings
    self.output = output
  }

  /// Prints all rows; nothing when there are none. Cost: memory for the whole result.
  mutating func print(_ rows: Rows, isStopped: () -> Bool) throws(StoreError) {
    let columns = 0..<rows.columnCount
    guard !columns.isEmpty, try rows.next() else { return }
    let header = rows.columnNames.enumerated().map { index, name in
      wrap(Array(name.utf8)[...], to: limit(of: index)).cell
    }
    repeat {
      add(columns.map { rows.isNull($0) ? settings.nullText[...] : Array(cString(rows.text($0)))[...] })
      if isStopped() { return }
    } while try rows.next()
    widths = columns.map { index in
      lines.reduce(max(abs(width(of: index)), header[index].width)) { max($0, $1[index].width) }
    }
    printHeader(header)
    printBody()
  }

  private func width(of index: Int) -> Int { index < settings.widths.count ? settings.widths[index] : 0 }

  private func limit(of index: Int) -> Int {
    let width = abs(width(of: index))
    let limit = width == 0 ? settings.wrap : width
    return limit == 0 ? 1_000_000 : limit
  }

  /// Adds one row: as many lines as its longest cell takes.
  private mutating func add(_ row: [ArraySlice<UInt8>]) {
    var rest: [ArraySlice<UInt8>?] = row
    repeat {
      var line: [Cell] = []
      for index in rest.indices {
        let (cell, tail) = wrap(rest[index] ?? [], to: limit(of: index))
        line.append(cell)
        rest[index] = tail
      }
      lines.append(line)
      endsRow.append(!rest.contains { $0 != nil })
    } while endsRow.last == false
  }

  /// The first line of `text`, at most `limit` characters wide, with tabs spread out, and what goes on below.
  private func wrap(_ text: ArraySlice<UInt8>, to limit: Int) -> (cell: Cell, tail: ArraySlice<UInt8>?) {
    var line = measure(text, limit, upTo: text.endIndex)
    var next = line.index
    let isFull = line.width >= limit
    if isFull, settings.wrapsAtWords, let cut = wordBorder(text, next) {
      line = measure(text, limit, upTo: cut)
      next = cut
      while next < text.endIndex, text[next] == 0x20 { next += 1 }
    }
    let cell = Cell(text: line.text, width: line.width)
    guard next < text.endIndex else { return (cell, nil) }
    if isFull, text[next] >= 0x20 { return (cell, text[next...]) }
    var after = next + 1
    if text[next] == 0x0d, after < text.endIndex, text[after] == 0x0a { after += 1 }
    return (cell, after < text.endIndex ? text[after...] : nil)
  }

  /// Where a line that is full at `index` is cut instead: after the last space in its second half, else between a
  /// letter or digit and something else there.
  private func wordBorder(_ text: ArraySlice<UInt8>, _ index: Int) -> Int? {
    let middle = text.startIndex + (index - text.startIndex) / 2
    let candidates = stride(from: index, to: middle, by: -1)
    if let cut = candidates.first(where: { isSpace(text[$0 - 1]) }) { return cut }
    return candidates.first { cut in
      let after = cut < text.endIndex ? text[cut] : 0
      return isAlphanumeric(text[cut - 1]) != isAlphanumeric(after) && after & 0xc0 != 0x80
    }
  }

  private func isAlphanumeric(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte | 0x20)
  }

  /// As much of `text` before `end` as fits on a line: the line, its width, and where it stopped.
  private func measure(
    _ text: ArraySlice<UInt8>, _ limit: Int, upTo end: Int
  ) -> (text: [UInt8], width: Int, index: Int) {
    var line: [UInt8] = []
    var width = 0
    var index = text.startIndex
    while width < limit, index < end {
      if text[index] == 0x09 {
        repeat {
          line.append(0x20)
          width += 1
        } while width & 7 != 0 && width < limit
        index += 1
      } else if text[index] >= 0x20 {
        width += 1
        repeat {
          line.append(text[index])
          index += 1
        } while index < end && text[index] & 0xc0 == 0x80
      } else {
        break
      }
    }
    return (line, width, index)
  }
}

// MARK: - Frames

extension ColumnarPrinter {
  private func printHeader(_ header: [Cell]) {
    switch settings.mode {
    case .column:
      guard settings.showsHeader else { return }
      printCells(header, "", "  ", "\n") { printAligned($0, $1) }
      let dashes = widths.map { Cell(text: Array(repeating: UInt8(ascii: "-"), count: $0), width: $0) }
      printCells(dashes, "", "  ", "\n") { cell, _ in output.write(cell.text) }
    case .box:
      printBoxBorder("┌", "┬", "┐")
      printCells(header, "│ ", " │ ", " │\n") { printCentered($0, $1) }
      printBoxBorder("├", "┼", "┤")
    case .table:
      printBorder("+")
      printCells(header, "| ", " | ", " |\n") { printCentered($0, $1) }
      printBorder("+")
    default:
      printCells(header, "| ", " | ", " |\n") { printCentered($0, $1) }
      printBorder("|")
    }
  }

  private func printBody() {
    let isBox = settings.mode == .box
    let isColumn = settings.mode == .column
    let opening = isColumn ? "" : isBox ? "│ " : "| "
    let between = isColumn ? "  " : isBox ? " │ " : " | "
    let closing = isColumn ? "\n" : isBox ? " │\n" : " |\n"
    let hasLongRows = endsRow.contains(false)
    for (index, line) in lines.enumerated() {
      printCells(line, opening, between, closing) { printAligned($0, $1) }
      guard hasLongRows, endsRow[index], index + 1 < lines.count else { continue }
      switch settings.mode {
      case .table: printBorder("+")
      case .box: printBoxBorder("├", "┼", "┤")
      case .column: output.write("\n")
      default: break
      }
    }
    if settings.mode == .table { printBorder("+") }
    if isBox { printBoxBorder("└", "┴", "┘") }
  }

  private func printCells(
    _ cells: [Cell], _ opening: String, _ between: String, _ closing: String, _ write: (Cell, Int) -> Void
  ) {
    output.write(opening)
    for (index, cell) in cells.enumerated() {
      if index > 0 { output.write(between) }
      write(cell, index)
    }
    output.write(closing)
  }

  private func printAligned(_ cell: Cell, _ index: Int) {
    let gap = widths[index] - cell.width
    let isRight = width(of: index) < 0
    if isRight { output.write(repeating: 0x20, count: gap) }
    output.write(cell.text)
    if !isRight { output.write(repeating: 0x20, count: gap) }
  }

  private func printCentered(_ cell: Cell, _ index: Int) {
    let gap = widths[index] - cell.width
    output.write(repeating: 0x20, count: gap / 2)
    output.write(cell.text)
    output.write(repeating: 0x20, count: (gap + 1) / 2)
  }

  private func printBorder(_ corner: String) {
    output.write(corner)
    for width in widths {
      output.write(repeating: UInt8(ascii: "-"), count: width + 2)
      output.write(corner)
    }
    output.write("\n")
  }

  private func printBoxBorder(_ left: String, _ middle: String, _ right: String) {
    output.write(left)
    for (index, width) in widths.enumerated() {
      if index > 0 { output.write(middle) }
      output.write(String(repeating: "─", count: width + 2))
    }
    output.write(right + "\n")
  }
}
