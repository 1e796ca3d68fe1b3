// How much of the disk a store leaves free: the arithmetic of the watermark that Pipeline/DiskRoom.swift explains.

/// The watermark's arithmetic.
enum DiskRules {
  static let reserveBytes = 64 << 20
  private static let share: UInt64 = 16

  /// Memory that a generation may hold on a file system of this size.
  static func memtableBudget(_ wanted: Int, fileSystemBytes: UInt64) -> Int {
    min(wanted, Int(clamping: max(fileSystemBytes / share, 1)))
  }

  /// Free bytes below which even what makes room is refused.
  static func floor(watermark: UInt64) -> UInt64 { watermark / 4 }

  /// Free bytes below which rows are refused. `budget` is what `memtableBudget` gave.
  static func watermark(budget: Int, reserve: Int, fileSystemBytes: UInt64) -> UInt64 {
    2 * UInt64(budget) + min(UInt64(reserve), fileSystemBytes / share)
  }
}
