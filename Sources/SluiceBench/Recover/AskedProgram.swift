// A shell that loads a script and answers a question, with the time until the first line of the answer.
// Unsafe by nature (bytes for a pipe): named in the tidy test.
import Glibc

/// The first line that a program printed, when, and what the whole run took.
struct Answer {
  let text: String
  /// From the start of the program to the end of that line.
  let seconds: Double
  let cost: RunCost
}

/// `sluice` or `sqlite3` with a store or a file.
struct AskedProgram {
  let program: String
  /// Before the path.
  let arguments: [String]
  let path: String
  /// For what goes wrong.
  let folder: String

  private var errors: String { "\(folder)/errors" }

  /// Asks in a process of its own.
  func ask(_ sql: String) throws -> Answer {
    let ends = try makePipe()
    defer { close(ends[0]) }
    let child: ChildProcess
    do {
      defer { close(ends[1]) }
      child = try ChildProcess(program, [path, sql], errors: errors, outputDescriptor: ends[1])
    }
    defer { unlink(errors) }
    var line: [UInt8] = []
    var answered: Double?
    var block = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = read(ends[0], &block, block.count)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { break }
      if answered != nil { continue }
      line += block[..<count]
      if line.contains(0x0a) { answered = child.age }
    }
    let cost = child.wait()
    guard let answered, cost.status == 0 else {
      let said = try lines(of: errors).last ?? "no answer"
      throw BenchError(description: "\(program) ended with status \(cost.status): \(said.prefix(300))")
    }
    return Answer(text: String(decoding: line.prefix { $0 != 0x0a }, as: UTF8.self), seconds: answered, cost: cost)
  }

  /// Loads all of a script.
  func load(_ script: String) throws {
    _ = try runChecked(program, arguments + [path], input: script, errors: errors)
  }

  /// Loads a script by a pipe and is killed when half of it has gone in: it cannot have come to the end.
  func loadHalf(_ script: String) throws {
    let ends = try makePipe()
    let child: ChildProcess
    do {
      defer { close(ends[0]) }
      child = try ChildProcess(program, arguments + [path], errors: errors, inputDescriptor: ends[0])
    }
    defer { unlink(errors) }
    // A program that ends early is an error of write, and not the end of this one.
    let before = signal(SIGPIPE, SIG_IGN)
    let isFed = feedHalf(of: script, to: ends[1])
    signal(SIGPIPE, before)
    child.signal(SIGKILL)
    let end = child.wait().status
    close(ends[1])
    guard isFed, end == 128 + SIGKILL else {
      throw BenchError(description: "\(program) ended with status \(end) before it could be killed")
    }
  }

  /// Whether half of the bytes of `script` went to `descriptor`.
  private func feedHalf(of script: String, to descriptor: Int32) -> Bool {
    let file = open(script, O_RDONLY | O_CLOEXEC)
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else { return false }
    var rest = status.st_size / 2
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while rest > 0 {
      let size = read(file, &block, min(block.count, rest))
      var at = 0
      while at < size {
        let count = block[at..<size].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        at += count
      }
      if size <= 0 { return false }
      rest -= size
    }
    return true
  }

  /// Two ends, of which a child gets only what it is given: else it would hold its own other end.
  private func makePipe() throws -> [Int32] {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw BenchError(description: "no pipe: error \(errno)") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return ends
  }

  func clear() {
    for suffix in ["", "-wal", "-shm"] { remove(path + suffix) }
  }
}
