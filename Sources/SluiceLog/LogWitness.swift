// What parts of a store outside its log know about the log's end. Damage to the last group of records looks like a torn
// tail to the log alone. But what was made of those records elsewhere was made after they were durable: it proves that
// they were there.

/// Something outside the log that holds, or has seen, what stood at a position. It says so only of what was durable.
public struct LogWitness: Sendable, Equatable {
  public let position: UInt64
  /// Who knows, with the path of its file: "the group a (/s/groups/a)".
  public let name: String
  /// What to do to go on without the position; nil: nothing but a copy of the log helps.
  public let remedy: String?

  public init(position: UInt64, name: String, remedy: String? = nil) {
    self.position = position
    self.name = name
    self.remedy = remedy
  }
}

/// Where the records of a log end.
public struct LogEnd: Sendable, Equatable {
  /// The last position; 0 when there is none.
  public let position: UInt64
  /// The last segment that is not adopted, or the log's directory when there is none.
  public let path: String
  /// Where its records end, in bytes.
  public let offset: UInt64

  public init(position: UInt64, path: String, offset: UInt64) {
    self.position = position
    self.path = path
    self.offset = offset
  }

  /// Why the log cannot end here; nil: no witness knows of more.
  public func contradiction(_ witnesses: [LogWitness]) -> String? {
    let known = witnesses.filter { $0.position > position }
    if known.isEmpty { return nil }
    let proofs = known.map { "\($0.name) holds position \($0.position)" }.joined(separator: ", ")
    let remedies = known.compactMap(\.remedy)
    let remedy =
      remedies.count == known.count
      ? "to go on without it, " + remedies.joined(separator: " and ")
      : "restore the log, or the whole store, from a copy"
    return "the log ends here with position \(position), but \(proofs): what stood behind it was durable, and is "
      + "damaged or missing, or this is a copy made while the store was written; \(remedy)"
  }

  /// Throws `corrupt`, with file and offset, when a witness knows of more.
  public func check(_ witnesses: [LogWitness]) throws(LogError) {
    if let reason = contradiction(witnesses) { throw .corrupt(path, offset, reason) }
  }
}
