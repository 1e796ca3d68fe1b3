// What keeps segments in place while somebody reads them.
import SluiceSystem

/// Keeps the segments from one position on until it goes. Any thread.
final class LogPin: Sendable {
  private let shared: Monitor<Log.Shared>
  private let number: UInt64

  init(_ shared: Monitor<Log.Shared>, number: UInt64) {
    self.shared = shared
    self.number = number
  }

  deinit { shared.withLock { $0.pins[number] = nil } }
}
