// What the projector does beside following the log: when it is its turn, and how much of it at a time.
import SluiceSystem

/// Paces the filling of copies. Belongs to the projector's thread.
struct ProjectorBackground {
  /// Rows of the mirror that are added to a copy at a time, while rows wait and else. The first parts of a copy are
  /// small: nobody knows yet how large its rows are.
  private var busyCount = Self.firstRows
  private var idleCount = Self.firstRows
  private var serial: Int64 = 0
  private var hadTurn = false

  private static let firstRows = 8_192
  private static let fewestRows = 2_048
  /// So many groups are merged at once; more would win little and hold the write-ahead log longer.
  private static let mostRows = 524_288
  /// How long a part may take while rows wait, and else, in nanoseconds. Rows that come meanwhile wait as long. A large
  /// part merges each group it has but once: 1 M rows in 200,000 groups take 1.3 µs each in parts of 131,072 rows and
  /// 0.8 in parts of 524,288.
  private static let busyNanoseconds: UInt64 = 15_000_000
  private static let idleNanoseconds: UInt64 = 800_000_000

  /// Rows for the next part of a copy.
  mutating func rowCount(of copy: Int64, isBusy: Bool) -> Int {
    if copy != serial {
      serial = copy
      busyCount = Self.firstRows
      idleCount = Self.firstRows
    }
    return isBusy ? busyCount : idleCount
  }

  /// Whether it is its turn: always when nothing waits, else every other time.
  mutating func takesTurn(isBusy: Bool) -> Bool {
    hadTurn = isBusy && !hadTurn
    return hadTurn || !isBusy
  }

  /// The last part took so long, and so many frames of the write-ahead log, in which `free` were left.
  mutating func adjust(nanoseconds: UInt64, frames: Int, of free: Int, isBusy: Bool) {
    let limit = isBusy ? Self.busyNanoseconds : Self.idleNanoseconds
    var count = isBusy ? busyCount : idleCount
    if nanoseconds > limit || frames > free - free / 4 {
      count = max(count / 2, Self.fewestRows)
    } else if nanoseconds < limit / 2, frames < free / 2 {
      count = min(count * (nanoseconds < limit / 4 && frames < free / 4 ? 4 : 2), Self.mostRows)
    }
    if isBusy { busyCount = count } else { idleCount = count }
  }

  /// Whether a copy is to be made anew now: its time has come and something has changed, or somebody waits for it.
  func isDue(
    _ copy: ProjectionCopy, _ requests: ProjectorRequests.Taken, at position: UInt64, _ now: UInt64
  ) -> Bool {
    let isBehind = copy.position < position
    if copy.serves, requests.wants(copy.name, at: position, otherThan: copy.position) { return true }
    return copy.refreshAt <= now && (isBehind || copy.isVolatile || !copy.serves)
  }

  /// Time until a copy is due although nothing rings; nil: none is.
  func restMicroseconds(_ copies: [ProjectionCopy], at position: UInt64, now: UInt64) -> Int64? {
    copies.filter { $0.position < position || $0.isVolatile || !$0.serves }.map {
      $0.refreshAt > now ? Int64(clamping: ($0.refreshAt - now) / 1_000) + 1 : 1_000
    }.min()
  }
}
