// Threads and the monitor. Time is used only where it cannot decide the result: a wait that must end, and one that
// must give up.
import SluiceTesting
import Testing

@testable import SluiceSystem

@Suite struct ThreadConcurrencyTests {
  @Test func oneAtATime() throws {
    let counter = Monitor(0)
    let threads = try (0..<4).map { number in
      try Thread(name: "count \(number)") { for _ in 0..<10_000 { counter.withLock { $0 += 1 } } }
    }
    for thread in threads { thread.join() }
    #expect(counter.withLock { $0 } == 40_000)
  }

  @Test func updateWakesThoseWhoWait() throws {
    let queue = Monitor<[Int]>([])
    let sum = Monitor(0)
    let consumer = try Thread(name: "consumer") {
      while true {
        let items = queue.wait { items -> [Int]? in
          if items.isEmpty { return nil }
          defer { items = [] }
          return items
        }
        for item in items {
          if item < 0 { return }
          sum.withLock { $0 += item }
        }
      }
    }
    for item in 1...1_000 { queue.update { $0.append(item) } }
    queue.update { $0.append(-1) }
    consumer.join()
    #expect(sum.withLock { $0 } == 500_500)
  }

  /// Mail wakes who sleeps, and leaves alone who lingers, until it is delivered or the lingering ends.
  @Test(.timeLimit(.minutes(2))) func mailIsFound() throws {
    let bell = Bell()
    bell.leaveMail()
    bell.wait()
    #expect(!bell.isRung)
    let hour: Int64 = 3_600_000_000
    let isBack = Monitor(false)
    let thread = try Thread(name: "lingers") {
      bell.linger(hour, timeoutMicroseconds: nil)
      isBack.update { $0 = true }
    }
    while !bell.isLingering { Thread.sleep(nanoseconds: 1_000_000) }
    bell.deliverMail()
    bell.leaveMail()
    Thread.sleep(nanoseconds: 20_000_000)
    #expect(!isBack.withLock { $0 }, "it was woken for mail")
    bell.deliverMail()
    thread.join()
    #expect(isBack.withLock { $0 } && !bell.isRung)
    // Left while it lingers: it does not go to sleep.
    let other = try Thread(name: "lingers") { bell.linger(200_000, timeoutMicroseconds: nil) }
    while !bell.isLingering { Thread.sleep(nanoseconds: 1_000_000) }
    bell.leaveMail()
    other.join()
    #expect(!bell.isRung)
  }

  @Test func aBellIsHeardByWhoComesLater() throws {
    let bell = Bell()
    let work = Monitor(0)
    let done = Monitor(0)
    bell.ring()
    #expect(bell.isRung)
    bell.wait()
    #expect(!bell.isRung)
    let thread = try Thread(name: "worker") {
      while true {
        bell.wait()
        let count = work.withLock { count in
          defer { count = 0 }
          return count
        }
        if done.update({
          $0 += count
          return $0
        }) >= 5_000 {
          return
        }
      }
    }
    for _ in 0..<5_000 {
      work.withLock { $0 += 1 }
      bell.ring()
    }
    done.wait { $0 == 5_000 ? () : nil }
    thread.join()
  }

  @Test func waitingGivesUp() {
    let monitor = Monitor(false)
    let clock = SystemClock()
    let start = clock.monotonicNanoseconds()
    let result: Bool? = monitor.wait(timeoutMicroseconds: 20_000) { $0 ? true : nil }
    #expect(result == nil)
    #expect(clock.monotonicNanoseconds() - start >= 20_000_000)
  }

  @Test func waitingWithTimeSeesWhatIsThere() throws {
    let monitor = Monitor(0)
    let setter = try Thread(name: "setter") { monitor.update { $0 = 7 } }
    #expect(monitor.wait(timeoutMicroseconds: 60_000_000) { $0 > 0 ? $0 : nil } == 7)
    setter.join()
    #expect(monitor.wait(timeoutMicroseconds: 0) { $0 } == 7)
  }

  @Test func errorsPassThroughTheMonitor() {
    let monitor = Monitor(1)
    let thrown = SystemError(call: "x", path: "", code: 5)
    #expect(throws: thrown) { try monitor.withLock { (_) throws(SystemError) in throw thrown } }
    #expect(throws: thrown) { try monitor.update { (_) throws(SystemError) in throw thrown } }
    #expect(monitor.withLock { $0 } == 1, "it is not held any more")
  }

  @Test func theMachinesClock() {
    let clock = SystemClock()
    let first = clock.monotonicNanoseconds()
    #expect(clock.monotonicNanoseconds() >= first)
    #expect(clock.wallMicroseconds() > 1_700_000_000_000_000)
    #expect(clock.random() != clock.random())
  }

  @Test func invariantsTrap() async {
    invariant(true, "never built")
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      invariant(1 > 2, "one is not above two")
    }
    let words = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(words.contains("invariant: one is not above two"))
  }
}
