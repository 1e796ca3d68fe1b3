// The commands that begin with a dot: sqlite3's names, words and errors, for those that have a meaning here.
import Sluice

/// The commands, in the order in which sqlite3 tries abbreviations.
enum DotCommand: String, CaseIterable {
  case bail, changes, echo, exit, headers, help, `import`, mode, nullvalue, output, once, parameter, print, quit, read,
    schema
  case separator, show, tables, timer, version, width

  /// What a command left behind.
  enum Outcome {
    case done
    /// Its error is printed, not yet counted.
    case failed
    /// The script, or the terminal, is to be left.
    case leave
  }

  /// The first command that `text` abbreviates.
  static func matching(_ text: String) -> DotCommand? {
    allCases.first { $0.rawValue.hasPrefix(text) && text.utf8.count >= $0.leastLength }
  }

  private var leastLength: Int {
    switch self {
    case .bail, .changes, .parameter, .print, .read: 3
    case .exit, .once, .separator, .show, .tables: 2
    case .timer: 5
    default: 1
    }
  }

  /// How it is written, and what it does.
  var help: (usage: String, text: String) {
    switch self {
    case .bail: (".bail on|off", "Stop after hitting an error.  Default OFF")
    case .changes: (".changes on|off", "Show number of rows changed by SQL")
    case .echo: (".echo on|off", "Turn command echo on or off")
    case .exit: (".exit ?CODE?", "Exit this program with return-code CODE")
    case .headers: (".headers on|off", "Turn display of headers on or off")
    case .help: (".help ?PATTERN?", "Show help text for PATTERN")
    case .import: (".import FILE TABLE", "Import data from FILE into TABLE")
    case .mode: (".mode MODE ?OPTIONS?", "Set output mode")
    case .nullvalue: (".nullvalue STRING", "Use STRING in place of NULL values")
    case .output: (".output ?FILE?", "Send output to FILE or stdout if FILE is omitted")
    case .once: (".once FILE", "Output for the next SQL command only to FILE")
    case .parameter: (".parameter CMD ...", "Manage SQL parameter bindings")
    case .print: (".print STRING...", "Print literal STRING")
    case .quit: (".quit", "Exit this program")
    case .read: (".read FILE", "Read input from FILE")
    case .schema: (".schema ?PATTERN?", "Show the CREATE statements matching PATTERN")
    case .separator: (".separator COL ?ROW?", "Change the column and row separators")
    case .show: (".show", "Show the current values for various settings")
    case .tables: (".tables ?TABLE?", "List names of tables matching LIKE pattern TABLE")
    case .timer: (".timer on|off", "Turn SQL timer on or off")
    case .version: (".version", "Show the version")
    case .width: (".width NUM1 NUM2 ...", "Set minimum column widths for columnar output")
    }
  }
}

extension Shell {
  /// Runs one dot command, given with its dot.
  func perform(dotCommand line: [UInt8], line number: Int) -> DotCommand.Outcome {
    let words = dotWords(line)
    let name = words.first ?? ""
    guard let command = DotCommand.matching(name), !name.isEmpty else {
      return fail("Error: unknown command or invalid arguments:  \"\(name)\". Enter \".help\" for help")
    }
    let arguments = Array(words.dropFirst())
    switch command {
    case .bail, .changes, .echo, .timer, .headers: return setSwitch(command, arguments)
    case .exit, .quit: return leave(command, arguments)
    case .help: return showHelp(arguments)
    case .import: return importFile(arguments)
    case .mode: return setMode(arguments)
    case .nullvalue, .separator, .width: return setLayout(command, arguments)
    case .output, .once: return redirect(command, arguments)
    case .parameter: return setParameter(arguments)
    case .print: return say(arguments.joined(separator: " ") + "\n")
    case .read: return read(arguments)
    case .schema: return showSchema(arguments)
    case .show: return showSettings()
    case .tables: return showTables(arguments)
    case .version: return say("Sluice \(sluiceVersion)\n")
    }
  }

  private func say(_ text: String) -> DotCommand.Outcome {
    console.printing().write(text)
    return .done
  }

  private func fail(_ text: String) -> DotCommand.Outcome {
    console.complaining().write(text + "\n")
    return .failed
  }

  private func setSwitch(_ command: DotCommand, _ arguments: [String]) -> DotCommand.Outcome {
    guard arguments.count == 1 else { return fail("Usage: \(command.help.usage)") }
    let isOn = truth(arguments[0])
    switch command {
    case .bail: settings.stopsAtFirstError = isOn
    case .changes: settings.showsChanges = isOn
    case .echo: settings.echoes = isOn
    case .timer: settings.showsTimer = isOn
    default:
      settings.showsHeader = isOn
      settings.isHeaderChosen = true
    }
    return .done
  }

  /// sqlite3's reading of on and off.
  private func truth(_ text: String) -> Bool {
    if let number = Int(text) { return number != 0 }
    switch text.lowercased() {
    case "on", "yes": return true
    case "off", "no": return false
    default:
      console.complaining().write("ERROR: Not a boolean value: \"\(text)\". Assuming \"no\".\n")
      return false
    }
  }

  private func leave(_ command: DotCommand, _ arguments: [String]) -> DotCommand.Outcome {
    if command == .exit, let code = arguments.first.flatMap({ Int32($0) }), code != 0 { exitStatus = code & 0xff }
    return .leave
  }

  func showHelp(_ arguments: [String]) -> DotCommand.Outcome {
    let pattern = arguments.first?.drop { $0 == "." } ?? ""
    let found = DotCommand.allCases.filter { $0.rawValue.hasPrefix(pattern.lowercased()) }
    guard !found.isEmpty else { return say("Nothing matches '\(pattern)'\n") }
    for command in found {
      let (usage, text) = command.help
      _ = say(usage + String(repeating: " ", count: max(1, 25 - usage.utf8.count)) + text + "\n")
    }
    if pattern == "import" { _ = say(Self.importHelp) }
    if pattern == "parameter" { _ = say(Self.parameterHelp) }
    if pattern == "mode" {
      _ = say("   MODE is one of: \(OutputMode.allCases.map(\.rawValue).joined(separator: " "))\n")
      _ = say("   OPTIONS, for columnar modes: --wrap N, --wordwrap on|off, --ww\n")
    }
    return .done
  }

  private func redirect(_ command: DotCommand, _ arguments: [String]) -> DotCommand.Outcome {
    guard arguments.count <= 1, command == .output || arguments.count == 1 else {
      return fail("Usage: \(command.help.usage)")
    }
    guard let path = arguments.first, path != "stdout" else {
      guard let sentence = console.endRedirection() else { return .done }
      return fail("Error: \(sentence)")
    }
    guard !path.hasPrefix("|") else { return fail("Error: pipes are not supported by .\(command.rawValue)") }
    if console.redirect(to: path, once: command == .once) { return .done }
    return fail("Error: cannot open \"\(path)\"\nError: cannot write to \"\(path)\"")
  }

  private func read(_ arguments: [String]) -> DotCommand.Outcome {
    guard arguments.count == 1 else { return fail("Usage: .read FILE") }
    return runFile(arguments[0]) ? .done : .failed
  }
}

/// The words of a dot command, without its dot: split at blanks; 'as it stands', "with \\n and the like".
func dotWords(_ line: [UInt8]) -> [String] {
  var words: [String] = []
  var rest = line.dropFirst()
  while true {
    rest = rest.drop(while: isSpace)
    guard let first = rest.first else { return words }
    var word: [UInt8] = []
    let isQuoted = first == UInt8(ascii: "'") || first == UInt8(ascii: "\"")
    if isQuoted { rest = rest.dropFirst() }
    while let byte = rest.first, isQuoted ? byte != first : !isSpace(byte) {
      rest = rest.dropFirst()
      word.append(byte)
      if isQuoted, byte == UInt8(ascii: "\\"), first == UInt8(ascii: "\""), let next = rest.first {
        word.append(next)
        rest = rest.dropFirst()
      }
    }
    rest = rest.dropFirst()
    words.append(String(decoding: first == UInt8(ascii: "'") ? word : unescaped(word), as: UTF8.self))
  }
}

/// C's backslash escapes, as sqlite3 knows them in dot commands.
private func unescaped(_ word: [UInt8]) -> [UInt8] {
  var result: [UInt8] = []
  var index = 0
  while index < word.count {
    let byte = word[index]
    index += 1
    guard byte == UInt8(ascii: "\\"), index < word.count else {
      result.append(byte)
      continue
    }
    let escape = word[index]
    index += 1
    switch escape {
    case UInt8(ascii: "a"): result.append(7)
    case UInt8(ascii: "b"): result.append(8)
    case UInt8(ascii: "t"): result.append(9)
    case UInt8(ascii: "n"): result.append(10)
    case UInt8(ascii: "v"): result.append(11)
    case UInt8(ascii: "f"): result.append(12)
    case UInt8(ascii: "r"): result.append(13)
    case 0x30...0x37:
      var value = Int(escape - 0x30)
      var digits = 1
      while digits < 3, index < word.count, (0x30...0x37).contains(word[index]) {
        value = value * 8 + Int(word[index] - 0x30)
        index += 1
        digits += 1
      }
      result.append(UInt8(truncatingIfNeeded: value))
    default: result.append(escape)
    }
  }
  return result
}
