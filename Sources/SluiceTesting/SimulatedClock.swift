import SluiceSystem

/// Time that moves only when told to, and randomness from a seed. Safe to use from any thread.
public final class SimulatedClock: Clock {
  private struct State {
    var wallMicroseconds: Int64
    var monotonicNanoseconds: UInt64 = 1
    var random: SeededRandom
  }

  private let state: Monitor<State>

  /// Begins at `wallMicroseconds` since 1970 (2026-01-01 unless given).
  public init(seed: UInt64 = 1, wallMicroseconds: Int64 = 1_767_225_600_000_000) {
    state = Monitor(State(wallMicroseconds: wallMicroseconds, random: SeededRandom(seed: seed)))
  }

  public func wallMicroseconds() -> Int64 { state.withLock { $0.wallMicroseconds } }

  public func monotonicNanoseconds() -> UInt64 { state.withLock { $0.monotonicNanoseconds } }

  /// Never zero, as the machine's own.
  public func random() -> UInt64 { state.withLock { max(1, $0.random.next()) } }

  /// Moves both times on.
  public func advance(microseconds: Int64) {
    state.withLock {
      $0.wallMicroseconds += microseconds
      $0.monotonicNanoseconds += UInt64(microseconds) * 1_000
    }
  }

  /// Sets the wall clock, as an operator would; the monotonic one does not notice.
  public func setWall(microseconds: Int64) { state.withLock { $0.wallMicroseconds = microseconds } }
}
