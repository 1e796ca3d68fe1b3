// Named threads and a monitor (mutex and condition variable). Swift's own concurrency is not used below the public
// skin: no blocking call may sit on its pool, and a hop through it costs a hundred times a mutex.
import CSystem
import Glibc

/// A mutex for code that cannot afford more: about 20 ns when nobody else has it. Never held across a call that waits.
public final class Lock: @unchecked Sendable {
  @usableFromInline let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  public init() { pthread_mutex_init(mutex, nil) }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  @inlinable @inline(__always)
  public func lock() { pthread_mutex_lock(mutex) }

  @inlinable @inline(__always)
  public func unlock() { pthread_mutex_unlock(mutex) }
}

/// A value that one thread at a time may touch, with waiting for a change.
public final class Monitor<State>: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var state: State

  public init(_ state: State) {
    self.state = state
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// Runs `body` alone. Does not wake anybody.
  public func withLock<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&state)
  }

  /// Runs `body` alone, then wakes all that wait. A system call only when somebody does.
  public func update<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
    pthread_mutex_lock(mutex)
    // In this order: who wakes finds the mutex free.
    defer {
      pthread_mutex_unlock(mutex)
      pthread_cond_broadcast(condition)
    }
    return try body(&state)
  }

  /// Waits until `body` returns a value, and returns it. `body` runs alone, again after each `update`.
  public func wait<R>(_ body: (inout State) -> R?) -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      if let result = body(&state) { return result }
      pthread_cond_wait(condition, mutex)
    }
  }

  /// As `wait`, but gives up with nil after `timeoutMicroseconds`.
  public func wait<R>(timeoutMicroseconds: Int64, _ body: (inout State) -> R?) -> R? {
    var deadline = timespec()
    clock_gettime(CLOCK_MONOTONIC, &deadline)
    let nanoseconds = Int64(deadline.tv_nsec) + timeoutMicroseconds % 1_000_000 * 1_000
    deadline.tv_sec += Int(timeoutMicroseconds / 1_000_000 + nanoseconds / 1_000_000_000)
    deadline.tv_nsec = Int(nanoseconds % 1_000_000_000)
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      if let result = body(&state) { return result }
      if pthread_cond_timedwait(condition, mutex, &deadline) == ETIMEDOUT { return body(&state) }
    }
  }
}

/// Wakes one thread that sleeps until there is something to do. Rings are not counted: who wakes looks for everything.
///
/// To wake a thread costs the one who rings some 10 µs, and takes the processor from somebody. So what is not urgent is
/// left at the door: a thread that had work a moment ago looks there by itself before it goes to sleep.
public final class Bell: Sendable {
  private struct State {
    var isRinging = false
    /// Whether something was left at the door.
    var hasMail = false
    /// Whether the thread will look there by itself.
    var isAwake = false
  }

  private let state = Monitor(State())

  public init() {}

  /// Wakes the thread in `wait`, or lets its next `wait` return at once. A system call only when it sleeps.
  public func ring() { state.update { $0.isRinging = true } }

  /// The same, but leaves a thread alone that looks for work soon.
  public func leaveMail() {
    let mustRing = state.withLock { state in
      state.hasMail = true
      return !state.isAwake
    }
    if mustRing { ring() }
  }

  /// Rings when there is mail.
  public func deliverMail() {
    if state.withLock({ $0.hasMail }) { ring() }
  }

  /// Returns when the bell was rung since the last `wait` returned; after `timeoutMicroseconds` too, if there is one.
  public func wait(timeoutMicroseconds: Int64? = nil) {
    let take = { (state: inout State) -> Void? in
      guard state.isRinging else { return nil }
      state = State()
      return ()
    }
    if let timeoutMicroseconds {
      _ = state.wait(timeoutMicroseconds: timeoutMicroseconds, take)
    } else {
      state.wait(take)
    }
  }

  /// As `wait`, for who had work just now: mail is found after `lingerMicroseconds`.
  public func linger(_ lingerMicroseconds: Int64, timeoutMicroseconds: Int64?) {
    state.withLock { $0.isAwake = true }
    _ = state.wait(timeoutMicroseconds: lingerMicroseconds) { state -> Void? in state.isRinging ? () : nil }
    let hasWork = state.withLock { state in
      defer { state = State() }
      return state.isRinging || state.hasMail
    }
    if !hasWork { wait(timeoutMicroseconds: timeoutMicroseconds) }
  }

  /// Whether a thread is in `linger` and has not gone to sleep.
  var isLingering: Bool { state.withLock { $0.isAwake } }

  /// Whether `wait` would return at once.
  public var isRung: Bool { state.withLock { $0.isRinging || $0.hasMail } }
}

/// A thread of the operating system with a name, joined by `join()`.
public final class Thread: @unchecked Sendable {
  private var handle = pthread_t()
  private let name: String
  private let body: @Sendable () -> Void

  /// Starts `body` on a new thread. Only the first 15 bytes of `name` show in `ps`.
  public init(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
    self.name = name
    self.body = body
    let code = pthread_create(
      &handle, nil,
      { argument in
        let thread = Unmanaged<Thread>.fromOpaque(argument!).takeRetainedValue()
        csystem_name_thread(String(thread.name.prefix(15)))
        thread.body()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    if code != 0 {
      Unmanaged.passUnretained(self).release()
      throw SystemError(call: "pthread_create", path: name, code: code)
    }
  }

  /// Has the calling thread do nothing for so long, and about 60 µs more.
  public static func sleep(nanoseconds: UInt64) {
    var time = timespec()
    time.tv_sec = Int(nanoseconds / 1_000_000_000)
    time.tv_nsec = Int(nanoseconds % 1_000_000_000)
    nanosleep(&time, nil)
  }

  /// Gives up the thread: it ends by itself. Instead of `join`, and once only.
  public func detach() { pthread_detach(handle) }

  /// Waits until the thread has ended. Once only.
  public func join() { pthread_join(handle, nil) }
}
