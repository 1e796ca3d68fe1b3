// Files of tables, opened when they are read and closed when too many are open: a store of 256 shards has thousands of
// tables, and a process has perhaps 1,024 descriptors.
//
// CLOCK over the open files, as in the block cache. A file that is being read is never closed.
import SluiceSystem

/// Bounds how many table files are open at the same time, over all engines that share it.
final class OpenFiles: Sendable {
  private struct State {
    var ring: [TableFile] = []
    var hand = 0
  }

  private let state = Monitor(State())
  let limit: Int

  /// At most `limit` files (at least 1), but for those that are being read at one moment.
  init(limit: Int) { self.limit = max(limit, 1) }

  /// Open files now.
  var count: Int { state.withLock { $0.ring.count } }

  /// Runs `body` with the open file. About 50 ns when it is open already.
  func read<R>(
    _ file: TableFile, _ body: (any File) throws(SystemError) -> R
  ) throws(SystemError) -> R {
    let handle = try state.withLock { state throws(SystemError) -> any File in
      if let handle = file.handle {
        file.readers += 1
        file.isUsed = true
        return handle
      }
      let handle = try file.fileSystem.open(file.path, .read)
      Self.makeRoom(&state, limit: limit)
      file.handle = handle
      file.readers = 1
      state.ring.append(file)
      return handle
    }
    defer { state.withLock { _ in file.readers -= 1 } }
    return try body(handle)
  }

  /// Closes a file for good. Nobody reads it any more.
  func close(_ file: TableFile) {
    state.withLock { state in
      guard let handle = file.handle else { return }
      handle.close()
      file.handle = nil
      state.ring.removeAll { $0 === file }
    }
  }

  private static func makeRoom(_ state: inout State, limit: Int) {
    // Two rounds see each file once without its mark.
    var tries = 2 * state.ring.count
    while state.ring.count >= limit, tries > 0 {
      tries -= 1
      if state.hand >= state.ring.count { state.hand = 0 }
      let file = state.ring[state.hand]
      if file.isUsed || file.readers > 0 {
        file.isUsed = false
        state.hand += 1
        continue
      }
      file.handle?.close()
      file.handle = nil
      state.ring.swapAt(state.hand, state.ring.count - 1)
      state.ring.removeLast()
    }
  }
}

/// The file of one table. `@unchecked Sendable`: what changes is touched under the lock of `OpenFiles` only.
final class TableFile: @unchecked Sendable {
  let path: String
  fileprivate let fileSystem: any FileSystem
  fileprivate var handle: (any File)?
  fileprivate var readers = 0
  fileprivate var isUsed = false

  init(path: String, fileSystem: any FileSystem) {
    self.path = path
    self.fileSystem = fileSystem
  }
}
