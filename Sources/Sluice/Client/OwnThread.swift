// Work that may wait for the disk, on a thread of its own: nothing of it may sit on Swift's own pool.
import SluiceSystem

/// Runs `body`, which may wait for the disk, on a thread of its own, and returns what it does.
func onOwnThread<R: Sendable>(
  _ name: String, _ body: @escaping @Sendable () throws(StoreError) -> R
) async throws(StoreError) -> R {
  do {
    return try await answered { asking in
      do throws(SystemError) { try Thread(name: name) { asking.answer(Result { try body() }) }.detach() } catch {
        asking.answer(.failure(StoreError(error)))
      }
    }
  } catch { throw StoreError(converting: error) }
}
