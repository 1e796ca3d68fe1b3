// Work that may wait for the disk, on a thread of its own: nothing of it may sit on Swift's own pool.
import SluiceSystem

/// Runs `body`, which may wait for the disk, on a thread of its own, and returns what it does.
func onOwnThread<R: Sendable>(
  _ name: String, _ body: @escaping @Sendable () throws(StoreError) -> R
) async throws(StoreError) -> R {
  let result: Result<R, StoreError> = await withCheckedContinuation { continuation in
    do throws(SystemError) {
      try Thread(name: name) { continuation.resume(returning: Result { () throws(StoreError) in try body() }) }.detach()
    } catch { continuation.resume(returning: .failure(StoreError(error))) }
  }
  return try result.get()
}
