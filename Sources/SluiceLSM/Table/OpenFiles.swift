// Files of tables and manifests, opened when they are used and closed when too many are open: a store of 256 shards has
// as many manifests and thousands of tables, and a process has perhaps 1,024 descriptors.
//
// CLOCK over the open files, as in the block cache. A file that is in use is never closed.
import SluiceSystem

/// Bounds how many files of engines are open at the same time, over all engines that share it.
final class OpenFiles: Sendable {
  private struct State {
    var ring: [EngineFile] = []
    var hand = 0
    /// Files that were not there any more when they were to be opened.
    var vanishedCount = 0
  }

  private let state = Monitor(State())
  let limit: Int

  /// Open files where nothing else is asked for, if the process may have eight times as many descriptors.
  static let usualLimit = 256

  /// At most `limit` files (at least 1), but for those that are in use at one moment; nil: as many as fit the process.
  init(limit: Int?) { self.limit = max(limit ?? min(Self.usualLimit, descriptorLimit() / 8), 1) }

  deinit {
    for file in state.withLock({ $0.ring }) { file.handle?.close() }
  }

  /// Open files now.
  var count: Int { state.withLock { $0.ring.count } }

  /// Files that were not there any more when they were to be opened: their writer removed them.
  var vanishedCount: Int { state.withLock { $0.vanishedCount } }

  /// Runs `body` with the open file. About 50 ns when it is open already.
  func use<R>(
    _ file: EngineFile, _ body: (any File) throws(SystemError) -> R
  ) throws(SystemError) -> R {
    let handle = try state.withLock { state throws(SystemError) -> any File in
      if let handle = file.handle {
        file.users += 1
        file.isUsed = true
        return handle
      }
      // Room first: where descriptors are scarce, there is one again.
      Self.makeRoom(&state, limit: limit)
      let handle: any File
      do throws(SystemError) { handle = try file.fileSystem.open(file.path, file.mode) } catch {
        if error.code == noSuchFile { state.vanishedCount += 1 }
        throw error
      }
      file.handle = handle
      file.users = 1
      state.ring.append(file)
      return handle
    }
    defer { state.withLock { _ in file.users -= 1 } }
    return try body(handle)
  }

  /// Closes a file for good. Nobody uses it any more.
  func close(_ file: EngineFile) {
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
      if file.isUsed || file.users > 0 {
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

/// The file of one table or manifest. `@unchecked Sendable`: what changes is touched under the lock of `OpenFiles`.
final class EngineFile: @unchecked Sendable {
  let path: String
  fileprivate let fileSystem: any FileSystem
  fileprivate let mode: OpenMode
  fileprivate var handle: (any File)?
  fileprivate var users = 0
  fileprivate var isUsed = false

  init(path: String, fileSystem: any FileSystem, mode: OpenMode = .read) {
    self.path = path
    self.fileSystem = fileSystem
    self.mode = mode
  }
}
