// Runs programs: the shell under test, the stock sqlite3, Python. Everything is bytes; nothing blocks for ever.
// Unsafe by nature: named in the tidy test.
import Foundation
import Glibc
import SluiceSystem

/// What a program left.
public struct ProcessResult: Sendable {
  /// The exit status; 128 + the signal when a signal ended it (137 after a timeout).
  public let status: Int32
  public let output: [UInt8]
  public let errors: [UInt8]
  /// Whether it was killed because the time was over.
  public let timedOut: Bool
  /// The largest resident size in bytes. Exact when above this process's own peak (the kernel lets a child begin with
  /// its parent's); else sampled every few milliseconds.
  public let peakMemory: Int
  /// Wall time in seconds.
  public let seconds: Double

  /// The output as text.
  public var text: String { String(decoding: output, as: UTF8.self) }
  /// The errors as text, but for what a shell tells that leaves on a slow machine.
  public var errorText: String { withoutLeaving(String(decoding: errors, as: UTF8.self)) }
}

/// A text without the lines in which a shell says what it waits for before it leaves.
public func withoutLeaving(_ text: String) -> String {
  text.split(separator: "\n", omittingEmptySubsequences: false).filter { !$0.hasPrefix("leaving: ") }
    .joined(separator: "\n")
}

/// One spawn at a time: between making a pipe and marking it close-on-exec no other child may begin.
let spawning = Monitor(())

/// Runs `program` (a path, or a name on PATH) until it ends, feeding it `input` and gathering what it writes.
///
/// - Parameters:
///   - input: bytes of standard input.
///   - inputFile: a file to be standard input instead.
///   - environment: added to this process's own.
///   - timeoutSeconds: it is killed after that.
/// - Throws: `SystemError` when it cannot be started.
public func runProcess(
  _ program: String, _ arguments: [String] = [], input: [UInt8] = [], inputFile: String? = nil,
  environment: [String: String] = [:], timeoutSeconds: Double = 60
) throws(SystemError) -> ProcessResult {
  ignoreBrokenPipes()
  var child = try startChild(program, arguments, inputFile, environment)
  if inputFile == nil { child.pending = input[...] }
  let start = SystemClock().monotonicNanoseconds()
  let deadline = start + UInt64(timeoutSeconds * 1e9)
  var timedOut = false
  var sampled = 0
  var usage = rusage()
  var status: Int32 = 0
  var ended = false
  while !ended || child.isOpen {
    child.exchange(waitMilliseconds: ended ? 100 : 2)
    sampled = max(sampled, residentPeak(child.id))
    if !ended { ended = wait4(child.id, &status, WNOHANG, &usage) == child.id }
    let now = SystemClock().monotonicNanoseconds()
    if now > deadline {
      if ended { break }  // a grandchild holds the pipes
      timedOut = true
      kill(child.id, SIGKILL)
    }
  }
  child.closeAll()
  var own = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &own)
  let reported = usage.ru_maxrss > own.ru_maxrss ? usage.ru_maxrss * 1024 : sampled
  return ProcessResult(
    status: exitStatus(status), output: child.output, errors: child.errors, timedOut: timedOut, peakMemory: reported,
    seconds: Double(SystemClock().monotonicNanoseconds() - start) / 1e9)
}

/// The built executable of that name, beside the running test bundle.
public func builtProduct(_ name: String) -> String {
  let folder = (processPath() as NSString).deletingLastPathComponent
  let path = folder + "/" + name
  if !FileManager.default.isExecutableFile(atPath: path) {
    fatalError("\(path) is not built: run `swift build` with the same --scratch-path and configuration")
  }
  return path
}

/// Runs `script` through the stock sqlite3 shell: the oracle.
public func stockSQLite(
  _ script: String, database: String = ":memory:", arguments: [String] = [], timeoutSeconds: Double = 120
) throws(SystemError) -> ProcessResult {
  try runProcess(
    "sqlite3", ["-batch"] + arguments + [database], input: Array(script.utf8), environment: ["HOME": "/nonexistent"],
    timeoutSeconds: timeoutSeconds)
}

/// A folder of a test, removed with this object.
public final class TemporaryFolder: Sendable {
  public let path: String

  public init() {
    var template = Array((NSTemporaryDirectory() + "/sluice-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else { fatalError("mkdtemp: \(systemMessage(errno))") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    do { try FileManager.default.removeItem(atPath: path) } catch { print("\(path) stays: \(error)") }
  }

  /// A path in it.
  public func file(_ name: String) -> String { path + "/" + name }
}

func exitStatus(_ status: Int32) -> Int32 {
  let signal = status & 0x7f
  return signal == 0 ? (status >> 8) & 0xff : 128 + signal
}

private func processPath() -> String {
  var buffer = [CChar](repeating: 0, count: 4096)
  let size = readlink("/proc/self/exe", &buffer, buffer.count)
  return String(decoding: buffer[..<max(0, size)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// VmHWM of a living process in bytes, else 0.
private func residentPeak(_ id: pid_t) -> Int {
  guard let file = fopen("/proc/\(id)/status", "re") else { return 0 }
  defer { fclose(file) }
  var line = [CChar](repeating: 0, count: 256)
  while fgets(&line, Int32(line.count), file) != nil {
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    if text.hasPrefix("VmHWM:") { return (Int(text.filter(\.isNumber)) ?? 0) * 1024 }
  }
  return 0
}

/// A running child with its three pipes; -1 marks a closed end.
private struct Child {
  let id: pid_t
  var toInput: Int32
  var fromOutput: Int32
  var fromErrors: Int32
  var pending: ArraySlice<UInt8> = []
  var output: [UInt8] = []
  var errors: [UInt8] = []

  var isOpen: Bool { fromOutput >= 0 || fromErrors >= 0 }

  /// Moves what can be moved now, after waiting a little.
  mutating func exchange(waitMilliseconds: Int32) {
    if pending.isEmpty { shut(&toInput) }
    var polls = [
      pollfd(fd: toInput, events: Int16(POLLOUT), revents: 0),
      pollfd(fd: fromOutput, events: Int16(POLLIN), revents: 0),
      pollfd(fd: fromErrors, events: Int16(POLLIN), revents: 0),
    ]
    guard poll(&polls, 3, waitMilliseconds) > 0 else { return }
    if polls[0].revents != 0 { feed() }
    if polls[1].revents != 0, !drain(fromOutput, &output) { shut(&fromOutput) }
    if polls[2].revents != 0, !drain(fromErrors, &errors) { shut(&fromErrors) }
  }

  mutating func closeAll() {
    shut(&toInput)
    shut(&fromOutput)
    shut(&fromErrors)
  }

  private mutating func feed() {
    let count = pending.withUnsafeBytes { write(toInput, $0.baseAddress, min($0.count, 65536)) }
    if count > 0 {
      pending = pending.dropFirst(count)
    } else if errno != EAGAIN && errno != EINTR {
      pending = []
    }
  }

  private func shut(_ descriptor: inout Int32) {
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
  }
}

/// Appends what can be read; false at the end.
func drain(_ descriptor: Int32, _ target: inout [UInt8]) -> Bool {
  var buffer = [UInt8](repeating: 0, count: 65536)
  let count = read(descriptor, &buffer, buffer.count)
  if count > 0 { target += buffer[..<count] }
  return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR))
}

private func startChild(
  _ program: String, _ arguments: [String], _ inputFile: String?, _ environment: [String: String]
) throws(SystemError) -> Child {
  try spawning.withLock { (_) throws(SystemError) in
    let input = try makePipe()
    _ = fcntl(input.write, F_SETFL, O_NONBLOCK)
    let output = try makePipe()
    let errors = try makePipe()
    defer { for end in [input.read, output.write, errors.write] { close(end) } }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let inputFile {
      posix_spawn_file_actions_addopen(&actions, 0, inputFile, O_RDONLY, 0)
    } else {
      posix_spawn_file_actions_adddup2(&actions, input.read, 0)
    }
    posix_spawn_file_actions_adddup2(&actions, output.write, 1)
    posix_spawn_file_actions_adddup2(&actions, errors.write, 2)
    do throws(SystemError) {
      let id = try spawn(program, arguments, environment, &actions, flags: 0)
      return Child(id: id, toInput: input.write, fromOutput: output.read, fromErrors: errors.read)
    } catch {
      for end in [input.write, output.read, errors.read] { close(end) }
      throw error
    }
  }
}

/// A pipe whose ends no child inherits.
private func makePipe() throws(SystemError) -> (read: Int32, write: Int32) {
  var ends: [Int32] = [0, 0]
  if pipe(&ends) != 0 { throw SystemError(call: "pipe", path: "", code: errno) }
  for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
  return (ends[0], ends[1])
}

/// posix_spawnp with SIGPIPE as usual in the child.
func spawn(
  _ program: String, _ arguments: [String], _ environment: [String: String],
  _ actions: inout posix_spawn_file_actions_t, flags: Int32
) throws(SystemError) -> pid_t {
  var attributes = posix_spawnattr_t()
  posix_spawnattr_init(&attributes)
  defer { posix_spawnattr_destroy(&attributes) }
  var defaults = sigset_t()
  sigemptyset(&defaults)
  for signal in [SIGPIPE, SIGINT] { sigaddset(&defaults, signal) }
  posix_spawnattr_setsigdefault(&attributes, &defaults)
  posix_spawnattr_setflags(&attributes, Int16(flags | Int32(POSIX_SPAWN_SETSIGDEF)))
  let all = ProcessInfo.processInfo.environment.merging(environment) { $1 }
  var argv = ([program] + arguments).map { strdup($0) } + [nil]
  var envp = all.map { strdup("\($0.key)=\($0.value)") } + [nil]
  defer { for text in argv + envp { free(text) } }
  var id = pid_t()
  let code = posix_spawnp(&id, program, &actions, &attributes, &argv, &envp)
  if code != 0 { throw SystemError(call: "posix_spawn", path: program, code: code) }
  return id
}
