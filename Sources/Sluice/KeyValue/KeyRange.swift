// Which keys an iterator walks, and which way.
import SluiceLSM

/// Keys from `lower` on, below `upper`.
public struct KeyRange: Sendable, Equatable {
  /// The first key that belongs to the range, or where it would stand; empty: from the first key.
  public var lower: [UInt8]
  /// The first key that no longer belongs to it, or where it would stand; nil: to the last key.
  public var upper: [UInt8]?

  /// The keys from `lower` on, below `upper` (nil: to the last). None when `upper` is not above `lower`.
  public init(lower: [UInt8] = [], upper: [UInt8]? = nil) {
    self.lower = lower
    self.upper = upper
  }

  /// All keys.
  public static let all = KeyRange()

  /// The keys that begin with `prefix`.
  public static func prefix(_ prefix: [UInt8]) -> KeyRange {
    KeyRange(lower: prefix, upper: successor(ofPrefix: prefix))
  }

  func engineLower(_ tableID: UInt32) -> [UInt8] { keyPrefix(ofTable: tableID) + lower }

  func engineUpper(_ tableID: UInt32) -> [UInt8] {
    guard let upper else { return keyPrefix(ofTable: tableID + 1) }
    return keyPrefix(ofTable: tableID) + upper
  }
}

/// The direction of an iterator.
public enum KeyOrder: Sendable {
  /// From the lowest key on, as bytes compare.
  case ascending
  /// From the highest key on.
  case descending
}
