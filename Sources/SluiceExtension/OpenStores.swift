// The stores that this process has open through the extension. A process opens a store once: all connections to one
// path, on whatever threads, share it. It is opened with the first and closed, drained, with the last, or when the
// process exits.
//
// A fork leaves its child without the threads that write the store, so the child must not touch what it has inherited:
// everything taken before is refused there, and never released. The child may attach stores anew; what its parent holds
// is then read only.
// Unsafe by nature: named in the tidy test.
import CSQLite
import Glibc
import Sluice
import SluiceSystem
import Synchronization

final class OpenStores: @unchecked Sendable {
  static let shared = OpenStores()

  private let lock = Lock()
  private var stores: [String: Open] = [:]
  private let forks = Atomic<Int>(0)

  /// One store, by whatever access there is.
  private final class Open {
    let access: Access
    let writers = WriterLock()
    var users = 0
    init(_ access: Access) { self.access = access }
  }

  enum Access {
    case writing(Store)
    /// With the reason why it cannot be written; nil: another process holds it.
    case reading(StoreReader, StoreError?)
  }

  private init() {
    atexit { OpenStores.shared.closeAll() }
    // Neither this object nor SQLite is in the middle of something in the child.
    pthread_atfork(
      {
        OpenStores.shared.lock.lock()
        sx_enter_shared_mutexes()
      },
      {
        sx_leave_shared_mutexes()
        OpenStores.shared.lock.unlock()
      },
      {
        sx_leave_shared_mutexes()
        OpenStores.shared.forked()
      })
  }

  /// The store at `path`, an absolute one, until `Use` goes. Only `creates` makes a new one.
  func take(_ path: String, creates: Bool) throws(StoreError) -> Use {
    lock.lock()
    defer { lock.unlock() }
    let open: Open
    if let known = stores[path] {
      open = known
    } else {
      open = Open(try withoutSignals { () throws(StoreError) in try access(path, creates: creates) })
      stores[path] = open
    }
    open.users += 1
    return Use(path: path, access: open.access, writers: open.writers, fork: forks.load(ordering: .relaxed))
  }

  /// One user's share of an open store.
  final class Use {
    let path: String
    let access: Access
    /// Of all users.
    let writers: WriterLock
    private let fork: Int

    fileprivate init(path: String, access: Access, writers: WriterLock, fork: Int) {
      self.path = path
      self.access = access
      self.writers = writers
      self.fork = fork
    }

    /// Throws in a process that was forked since.
    @inline(__always)
    func check() throws(StoreError) {
      if OpenStores.shared.forks.load(ordering: .relaxed) != fork { throw forkedError }
    }

    private var forkedError: StoreError {
      StoreError(
        .unavailable,
        "\(path) was attached before this process was forked and cannot be used in it: attach it again, on a new "
          + "connection", sqliteCode: 1)
    }

    deinit { if OpenStores.shared.forks.load(ordering: .relaxed) == fork { OpenStores.shared.release(path) } }
  }

  private func release(_ path: String) {
    lock.lock()
    defer { lock.unlock() }
    guard let open = stores[path] else { return }
    open.users -= 1
    guard open.users == 0 else { return }
    stores[path] = nil
    close(open)
  }

  private func close(_ open: Open) {
    guard case .writing(let store) = open.access else { return }
    // What could not be drained is in the log, for the next opening; nobody is left to be told.
    do { try store.close() } catch {}
  }

  private func closeAll() {
    lock.lock()
    defer { lock.unlock() }
    for open in stores.values { close(open) }
    stores = [:]
  }

  /// In the child of a fork.
  private func forked() {
    forks.add(1, ordering: .relaxed)
    for open in stores.values { _ = Unmanaged.passRetained(open) }
    stores = [:]
    lock.unlock()
  }

  // MARK: Opening

  private func access(_ path: String, creates: Bool) throws(StoreError) -> Access {
    // Opening takes an empty directory for a store to be made.
    if !creates, Glibc.access(path, F_OK) != 0 {
      throw StoreError(.invalid, "there is no store at \(path)", sqliteCode: 14)
    }
    if !creates, Glibc.access(path + "/store", F_OK) != 0, isDirectory(path) {
      throw StoreError(
        .invalid, "\(path) is not a Sluice store: the directory holds no file `store`", sqliteCode: 14)
    }
    var options = StoreOptions()
    options.createIfMissing = creates
    do { return .writing(try Store.open(path: path, options: options)) } catch {
      guard error.kind == .unavailable else { throw error }
      // Held by another process, or not to be written, it can still be read.
      let reader: StoreReader
      do {
        reader = try StoreReader.open(path: path, options: options)
        guard try error.isAboutWriting || reader.holder != nil else { throw error }
      } catch _ { throw error }
      return .reading(reader, error.isAboutWriting ? error : nil)
    }
  }

  private func isDirectory(_ path: String) -> Bool {
    guard let directory = opendir(path) else { return false }
    closedir(directory)
    return true
  }

  /// Threads inherit the mask of the one that starts them: the host's signals are for the host's own threads. Those
  /// that tell of a fault stay.
  private func withoutSignals<R>(_ body: () throws(StoreError) -> R) throws(StoreError) -> R {
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    for signal in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT] { sigdelset(&all, signal) }
    pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    return try body()
  }
}

/// `path` from the root, without links and dots, as far as it exists; its last part need not.
func absolutePath(_ path: String) -> String {
  if let whole = resolved(path) { return whole }
  var path = path
  while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
  guard let slash = path.lastIndex(of: "/") else { return resolved(".").map { $0 + "/" + path } ?? path }
  let folder = slash == path.startIndex ? "/" : String(path[..<slash])
  guard let folder = resolved(folder) else { return path }
  return (folder == "/" ? "" : folder) + "/" + path[path.index(after: slash)...]
}

private func resolved(_ path: String) -> String? {
  guard let text = realpath(path, nil) else { return nil }
  defer { free(text) }
  return String(cString: text)
}
