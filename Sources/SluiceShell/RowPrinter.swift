// Results in the modes that print a row as soon as it is there: list, csv, tabs, ascii, line, json, quote, html.
// sqlite3 handles texts as C strings: they end at a NUL here too, but for blobs where their size counts.
// Unsafe by nature: named in the tidy test.
import Glibc
import Sluice

/// Prints one result.
struct RowPrinter {
  let settings: Settings
  let output: OutputBuffer
  private var rowCount = 0
  private var widestName = 5

  init(settings: Settings, output: OutputBuffer) {
    self.settings = settings
    self.output = output
  }

  /// Prints all rows, until `isStopped` says so. Cost: one pass, no memory but the output's buffer.
  mutating func print(_ rows: Rows, isStopped: () -> Bool) throws(StoreError) {
    widestName = rows.columnNames.reduce(5) { max($0, $1.utf8.count) }
    while try rows.next() {
      printRow(rows)
      rowCount += 1
      if isStopped() { break }
    }
    if settings.mode == .json, rowCount > 0 { output.write("]\n") }
  }

  private func printRow(_ rows: Rows) {
    switch settings.mode {
    case .line: printLines(rows)
    case .json: printJSON(rows)
    case .html: printHTML(rows)
    default:
      if rowCount == 0, settings.showsHeader { printHeader(rows.columnNames) }
      let last = rows.columnCount - 1
      guard last >= 0 else { return }
      for index in 0...last {
        printCell(rows, index)
        output.write(index == last ? settings.rowSeparator : settings.columnSeparator)
      }
    }
  }

  private func printHeader(_ names: [String]) {
    for (index, name) in names.enumerated() {
      var name = name
      name.withUTF8 { bytes in
        let bytes = UnsafeRawBufferPointer(bytes)
        switch settings.mode {
        case .csv: writeCSV(bytes)
        case .quote: writeQuoted(bytes)
        default: output.write(bytes)
        }
      }
      output.write(index == names.count - 1 ? settings.rowSeparator : settings.columnSeparator)
    }
  }

  @inline(__always)
  private func printCell(_ rows: Rows, _ index: Int) {
    switch settings.mode {
    case .quote: printQuoted(rows, index)
    case .csv:
      if rows.isNull(index) { output.write(settings.nullText) } else { writeCSV(cString(rows.text(index))) }
    default:
      if rows.isNull(index) { output.write(settings.nullText) } else { output.write(cString(rows.text(index))) }
    }
  }

  private func printLines(_ rows: Rows) {
    if rowCount > 0 { output.write(settings.rowSeparator) }
    for (index, name) in rows.columnNames.enumerated() {
      output.write(repeating: UInt8(ascii: " "), count: widestName - name.utf8.count)
      output.write(name)
      output.write(" = ")
      printCell(rows, index)
      output.write(settings.rowSeparator)
    }
  }

  private func printHTML(_ rows: Rows) {
    if rowCount == 0, settings.showsHeader {
      printHTML("TH", count: rows.columnCount) { index in
        var name = rows.columnNames[index]
        name.withUTF8 { writeHTML(UnsafeRawBufferPointer($0)) }
      }
    }
    printHTML("TD", count: rows.columnCount) { index in
      if rows.isNull(index) {
        settings.nullText.withUnsafeBytes { writeHTML($0) }
      } else {
        writeHTML(cString(rows.text(index)))
      }
    }
  }

  /// One row of a table, its cells between tags of that name.
  private func printHTML(_ tag: String, count: Int, _ cell: (Int) -> Void) {
    output.write("<TR>")
    for index in 0..<count {
      output.write("<\(tag)>")
      cell(index)
      output.write("</\(tag)>\n")
    }
    output.write("</TR>\n")
  }

  private func writeHTML(_ text: UnsafeRawBufferPointer) {
    for byte in text {
      switch byte {
      case UInt8(ascii: "<"): output.write("&lt;")
      case UInt8(ascii: ">"): output.write("&gt;")
      case UInt8(ascii: "&"): output.write("&amp;")
      case UInt8(ascii: "\""): output.write("&quot;")
      case UInt8(ascii: "'"): output.write("&#39;")
      default: output.write(byte: byte)
      }
    }
  }

  private func printJSON(_ rows: Rows) {
    output.write(rowCount == 0 ? "[{" : ",\n{")
    for (index, name) in rows.columnNames.enumerated() {
      if index > 0 { output.write(byte: UInt8(ascii: ",")) }
      var name = name
      name.withUTF8 { writeJSON(UnsafeRawBufferPointer($0)) }
      output.write(byte: UInt8(ascii: ":"))
      switch rows.type(index) {
      case .null: output.write("null")
      case .integer: output.write(rows.text(index))
      case .real:
        let number = rows.real(index)
        output.write(number.isFinite ? longText(number) : Array((number < 0 ? "-1e999" : "1e999").utf8))
      case .text: writeJSON(cString(rows.text(index)))
      case .blob: writeJSON(rows.text(index))
      }
    }
    output.write(byte: UInt8(ascii: "}"))
  }

  private func printQuoted(_ rows: Rows, _ index: Int) {
    switch rows.type(index) {
    case .null: output.write("NULL")
    case .integer: output.write(rows.text(index))
    case .real:
      let number = rows.real(index)
      output.write(number.isFinite ? longText(number) : Array((number < 0 ? "-Inf" : "Inf").utf8))
    case .text: writeQuoted(cString(rows.text(index)))
    case .blob:
      output.write("X'")
      for byte in rows.text(index) {
        output.write(byte: hexadecimal(byte >> 4))
        output.write(byte: hexadecimal(byte & 15))
      }
      output.write("'")
    }
  }

  /// The text, in double quotes where sqlite3 puts them: empty, a quote, a space or control, anything past ASCII, or
  /// the column separator in it.
  private func writeCSV(_ text: UnsafeRawBufferPointer) {
    let isPlain = !text.isEmpty && !text.contains(where: needsCSVQuote) && !contains(text, settings.columnSeparator)
    guard !isPlain else { return output.write(text) }
    writeDoubling(text, UInt8(ascii: "\""))
  }

  private func writeQuoted(_ text: UnsafeRawBufferPointer) { writeDoubling(text, UInt8(ascii: "'")) }

  private func writeDoubling(_ text: UnsafeRawBufferPointer, _ quote: UInt8) {
    output.write(byte: quote)
    for byte in text {
      if byte == quote { output.write(byte: quote) }
      output.write(byte: byte)
    }
    output.write(byte: quote)
  }

  private func writeJSON(_ text: UnsafeRawBufferPointer) {
    output.write(byte: UInt8(ascii: "\""))
    for byte in text {
      if let letter = jsonEscape(byte) {
        output.write(byte: UInt8(ascii: "\\"))
        output.write(byte: letter)
        if letter == UInt8(ascii: "u") {
          output.write("00")
          output.write(byte: hexadecimal(byte >> 4))
          output.write(byte: hexadecimal(byte & 15))
        }
      } else {
        output.write(byte: byte)
      }
    }
    output.write(byte: UInt8(ascii: "\""))
  }
}

/// What follows the backslash for a byte that JSON escapes.
@inline(__always)
private func jsonEscape(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "\\"), UInt8(ascii: "\""): byte
  case 0x08: UInt8(ascii: "b")
  case 0x09: UInt8(ascii: "t")
  case 0x0a: UInt8(ascii: "n")
  case 0x0c: UInt8(ascii: "f")
  case 0x0d: UInt8(ascii: "r")
  case 0..<0x20: UInt8(ascii: "u")
  default: nil
  }
}

@inline(__always)
private func needsCSVQuote(_ byte: UInt8) -> Bool {
  byte <= 0x20 || byte >= 0x7f || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'")
}

private func contains(_ text: UnsafeRawBufferPointer, _ part: [UInt8]) -> Bool {
  guard let first = part.first else { return true }
  guard part.count > 1 else { return text.contains(first) }
  guard text.count >= part.count else { return false }
  return (0...(text.count - part.count)).contains { text[$0...].starts(with: part) }
}

private func hexadecimal(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 0x30 &+ nibble : 0x57 &+ nibble }

/// The bytes before the first NUL.
@inline(__always)
func cString(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
  guard let start = text.baseAddress, let zero = memchr(start, 0, text.count) else { return text }
  return UnsafeRawBufferPointer(start: start, count: UnsafeRawPointer(zero) - start)
}
