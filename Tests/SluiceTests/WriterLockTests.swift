// The right to write one store: who shares it, who waits, who is next.
import SluiceSystem
import Testing

@testable import Sluice

struct WriterLockTests {
  @Test func sharersGoTogetherAndOneAloneAlone() {
    let lock = WriterLock()
    #expect(lock.take(.shared) && lock.take(.shared) && !lock.take(.exclusive))
    lock.give(.shared)
    #expect(!lock.take(.exclusive))
    lock.give(.shared)
    #expect(lock.take(.exclusive) && !lock.take(.shared) && !lock.take(.exclusive))
    lock.give(.exclusive)
    #expect(lock.take(.shared))
  }

  @Test func whoHasWaitedInVainStandsInNobodysWay() {
    let lock = WriterLock()
    #expect(lock.take(.shared))
    #expect(!lock.take(.exclusive, timeoutMilliseconds: 5))
    #expect(lock.take(.shared))
  }

  /// One that waits for the right alone is not overtaken by those who would share what is held.
  @Test func whoCameFirstIsServedFirst() throws {
    let lock = WriterLock()
    let order = Monitor<[Int]>([])
    #expect(lock.take(.shared))
    var threads: [Thread] = []
    for (number, mode) in [WriterLock.Mode.exclusive, .shared, .exclusive, .shared].enumerated() {
      threads.append(
        try Thread(name: "waiter") {
          guard lock.take(mode, timeoutMilliseconds: 60_000) else { return }
          order.withLock { $0.append(number) }
          lock.give(mode)
        })
      // It stands in the queue before the next one comes.
      while lock.waiterCount <= number { Thread.sleep(nanoseconds: 100_000) }
    }
    #expect(!lock.take(.shared))
    lock.give(.shared)
    for thread in threads { thread.join() }
    #expect(order.withLock { $0 } == [0, 1, 2, 3])
  }
}
