// The parameters of one statement and their numbers, by SQLite's rules (https://sqlite.org/c3ref/bind_blob.html): `?`
// takes the number behind the highest so far, `?5` is number 5, and a name takes a new number where it stands first.
// Sluice takes some statements apart and has SQLite prepare the parts: the numbers are those of the whole.
// Unsafe by nature: named in the tidy test.

/// The parameters of a statement.
public struct ParameterList: Sendable {
  /// By number, from 0: the name with its first character, `?` for one without; nil: nothing in the text has the
  /// number.
  public private(set) var names: [String?] = []
  /// The numbers of names.
  private var numbers: [String: Int] = [:]
  /// Where a bare `?` stands, and the number that it has.
  private var anonymous: [(offset: Int, number: Int)] = []

  /// SQLite's own limit for `?NNN`.
  private static let highest = 32_766

  /// Whether a part is longer than it stands in the text.
  public var movesText: Bool { !anonymous.isEmpty }

  /// That of a statement without any.
  public init() {}

  /// Cost: a look at each byte, and a tenth of a microsecond a token where one may begin a parameter.
  public init(_ text: UnsafeRawBufferPointer) {
    guard text.contains(where: { Self.mayBegin($0) }) else { return }
    var lexer = Lexer(text)
    while true {
      let token = lexer.next()
      if token.kind == .end { return }
      if token.kind == .variable { add(lexer.text(token), at: token.start) }
    }
  }

  private static func mayBegin(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "?") || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "@") || byte == UInt8(ascii: "$")
  }

  private mutating func add(_ name: String, at offset: Int) {
    if name == "?" {
      names.append(name)
      anonymous.append((offset, names.count))
    } else if name.utf8.first == UInt8(ascii: "?") {
      // What is no such number is SQLite's to refuse.
      guard let number = Int(name.dropFirst()), number > 0, number <= Self.highest else { return }
      while names.count < number { names.append(nil) }
      names[number - 1] = name
    } else if numbers[name] == nil {
      names.append(name)
      numbers[name] = names.count
    }
  }

  /// The number of a parameter by its name, from 1.
  public func number(of name: String) -> Int? { numbers[name] }

  /// A part of the text in which each bare `?` says its number.
  public func part(_ range: Range<Int>, of text: UnsafeRawBufferPointer) -> String {
    var result = ""
    var start = range.lowerBound
    for (offset, number) in anonymous where range.contains(offset) {
      result += String(decoding: text[start...offset], as: UTF8.self) + String(number)
      start = offset + 1
    }
    return result + String(decoding: text[start..<range.upperBound], as: UTF8.self)
  }
}
