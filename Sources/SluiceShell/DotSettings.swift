// Dot commands that change or show how results are printed, and those that show the schema.
import Sluice

extension Shell {
  private func tell(_ text: String) -> DotCommand.Outcome {
    console.printing().write(text)
    return .done
  }

  private func refuse(_ text: String) -> DotCommand.Outcome {
    console.complaining().write(text + "\n")
    return .failed
  }

  func setMode(_ arguments: [String]) -> DotCommand.Outcome {
    guard !arguments.isEmpty else { return tell("current output mode: \(modeText)\n") }
    var named: OutputMode?
    var (wrap, wrapsAtWords) = (60, false)
    var rest = arguments[...]
    while let word = rest.popFirst() {
      switch word {
      case "--wrap", "-wrap": wrap = max(0, rest.popFirst().flatMap { Int($0) } ?? 0)
      case "--ww", "-ww": wrapsAtWords = true
      case "--wordwrap", "-wordwrap": wrapsAtWords = ["on", "yes", "1"].contains(rest.popFirst() ?? "")
      case _ where word.hasPrefix("-"):
        return refuse("unknown option: \(word)\noptions:\n  --wordwrap on/off/yes/no\n  --wrap N\n  --ww")
      case _ where named != nil:
        return refuse("extra argument: \"\(word)\"")
      default:
        guard let mode = OutputMode.matching(word) else {
          let names = OutputMode.allCases.map(\.rawValue).joined(separator: " ")
          return refuse("Error: mode should be one of: \(names)")
        }
        named = mode
      }
    }
    let mode = named ?? settings.mode
    if named != nil { settings.choose(mode) }
    if mode.isColumnar {
      settings.wrap = wrap
      settings.wrapsAtWords = wrapsAtWords
    }
    return .done
  }

  private var modeText: String {
    guard settings.mode.isColumnar else { return settings.mode == .tabs ? "list" : settings.mode.rawValue }
    return
      "\(settings.mode.rawValue) --wrap \(settings.wrap) --wordwrap \(settings.wrapsAtWords ? "on" : "off") --noquote"
  }

  func setLayout(_ command: DotCommand, _ arguments: [String]) -> DotCommand.Outcome {
    switch command {
    case .nullvalue:
      guard arguments.count == 1 else { return refuse("Usage: .nullvalue STRING") }
      settings.nullText = Array(arguments[0].utf8)
    case .separator:
      guard (1...2).contains(arguments.count) else { return refuse("Usage: .separator COL ?ROW?") }
      settings.columnSeparator = Array(arguments[0].utf8)
      if arguments.count == 2 { settings.rowSeparator = Array(arguments[1].utf8) }
    default:
      settings.widths = arguments.map { max(-100_000, min(100_000, Int($0) ?? 0)) }
    }
    return .done
  }

  func showSettings() -> DotCommand.Outcome {
    let lines: [(String, String)] = [
      ("echo", settings.echoes ? "on" : "off"),
      ("headers", settings.showsHeader ? "on" : "off"),
      ("mode", modeText),
      ("nullvalue", escaped(settings.nullText)),
      ("output", console.redirectionName ?? "stdout"),
      ("colseparator", escaped(settings.columnSeparator)),
      ("rowseparator", escaped(settings.rowSeparator)),
      ("width", settings.widths.map { "\($0) " }.joined()),
      ("filename", storePath),
    ]
    for (name, value) in lines {
      _ = tell(String(repeating: " ", count: 12 - name.utf8.count) + "\(name): \(value)\n")
    }
    return .done
  }

  /// A string as C would write it.
  func escaped(_ bytes: [UInt8]) -> String {
    var text = "\""
    for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
      switch scalar {
      case "\"", "\\": text += "\\\(scalar)"
      case "\t": text += "\\t"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case _ where scalar.value < 0x20 || scalar.value == 0x7f:
        let octal = String(scalar.value, radix: 8)
        text += "\\" + String(repeating: "0", count: 3 - octal.utf8.count) + octal
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text + "\""
  }

  // MARK: - Schema

  func showTables(_ arguments: [String]) -> DotCommand.Outcome {
    let pattern = arguments.first ?? "%"
    let names = session.tableNames().filter { isLike($0, pattern) }
      .sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
    guard !names.isEmpty else { return .done }
    let widest = names.reduce(0) { max($0, $1.utf8.count) }
    let perLine = max(1, 80 / (widest + 2))
    let lineCount = (names.count + perLine - 1) / perLine
    for line in 0..<lineCount {
      var text = ""
      for index in stride(from: line, to: names.count, by: lineCount) {
        if index >= lineCount { text += "  " }
        text += names[index] + String(repeating: " ", count: widest - names[index].utf8.count)
      }
      _ = tell(text + "\n")
    }
    return .done
  }

  func showSchema(_ arguments: [String]) -> DotCommand.Outcome {
    let patterns = arguments.filter { !["--indent", "--nosys", "-indent", "-nosys"].contains($0) }
    guard patterns.count <= 1 else { return refuse("Usage: .schema ?--indent? ?--nosys? ?LIKE-PATTERN?") }
    for name in session.tableNames() where isLike(name, patterns.first ?? "%") {
      if let text = session.createStatement(name) { _ = tell(text + ";\n") }
    }
    return .done
  }
}

/// SQL's LIKE: `%` for any text, `_` for one character, ASCII letters without case. Cost: lengths multiplied at worst.
func isLike(_ text: String, _ pattern: String) -> Bool {
  let text = Array(text.unicodeScalars)
  let pattern = Array(pattern.unicodeScalars)
  var (at, inPattern) = (0, 0)
  var resume: (at: Int, inPattern: Int)?
  while at < text.count {
    if inPattern < pattern.count, pattern[inPattern] == "%" {
      resume = (at, inPattern)
      inPattern += 1
    } else if inPattern < pattern.count, pattern[inPattern] == "_" || folded(pattern[inPattern]) == folded(text[at]) {
      at += 1
      inPattern += 1
    } else if let last = resume {
      resume = (last.at + 1, last.inPattern)
      (at, inPattern) = (last.at + 1, last.inPattern + 1)
    } else {
      return false
    }
  }
  return pattern[inPattern...].allSatisfy { $0 == "%" }
}

private func folded(_ scalar: Unicode.Scalar) -> UInt32 {
  (0x41...0x5a).contains(scalar.value) ? scalar.value | 0x20 : scalar.value
}
