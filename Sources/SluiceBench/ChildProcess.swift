// Runs commands and reports what the kernel says they cost. Unsafe by nature: named in the tidy test.
import Glibc

/// What one run of a command took.
struct RunCost {
  /// From start to exit.
  var wallSeconds: Double
  /// User and system time of the process, all threads, and of children that it waited for.
  var cpuSeconds: Double
  /// Largest resident set, in KiB. Of a child that stays below this program's own, `measure` knows better than `wait`.
  var peakKiB: Int
  /// Bytes that it made dirty for the disk (`ru_oublock`); what is overwritten before it gets there counts again.
  var writtenBytes: Int = 0
  var status: Int32
}

/// A command that could not be run, or failed.
struct BenchError: Error, CustomStringConvertible {
  let description: String
}

/// A command that has been started. It is waited for, or it stays a zombie.
struct ChildProcess {
  let id: pid_t
  private let begin: UInt64

  /// Starts `program` (a path, or a name on PATH) with standard input from `input`; output and errors go to files, the
  /// errors to where this program's go when `errors` is nil. Descriptors stand for the files where they are given.
  init(
    _ program: String, _ arguments: [String], input: String = "/dev/null", output: String = "/dev/null",
    errors: String? = nil, inputDescriptor: Int32? = nil, outputDescriptor: Int32? = nil
  ) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let inputDescriptor {
      posix_spawn_file_actions_adddup2(&actions, inputDescriptor, 0)
    } else {
      posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
    }
    if let outputDescriptor {
      posix_spawn_file_actions_adddup2(&actions, outputDescriptor, 1)
    } else {
      posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    }
    if let errors { posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_TRUNC, 0o644) }
    var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
    words.append(nil)
    defer { for word in words { free(word) } }
    var process = pid_t()
    begin = nowNanoseconds()
    let code = posix_spawnp(&process, program, &actions, nil, &words, environ)
    guard code == 0 else {
      throw BenchError(description: "cannot run \(program): \(String(cString: strerror(code)))")
    }
    id = process
  }

  /// Seconds since the start.
  var age: Double { Double(nowNanoseconds() - begin) / 1e9 }

  func signal(_ number: Int32) { kill(id, number) }

  /// Whether it has ended, without reaping it.
  var hasEnded: Bool {
    var info = siginfo_t()
    return waitid(P_PID, id_t(id), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_signo == SIGCHLD
  }

  /// Waits for its end.
  func wait() -> RunCost {
    var status: Int32 = 0
    var usage = rusage()
    while wait4(id, &status, 0, &usage) < 0, errno == EINTR {}
    let wall = age
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return RunCost(
      wallSeconds: wall, cpuSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime), peakKiB: usage.ru_maxrss,
      writtenBytes: usage.ru_oublock * 512,
      status: status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f))
  }

  /// Waits for its end, and looks at its peak meanwhile.
  func measure() throws -> RunCost {
    let own = Int(ProcessUsage.now().peakKiB)
    var cost: RunCost?
    let seen = try PeakSampler.peakKiB(of: id) { cost = wait() }
    guard var cost else { throw BenchError(description: "nobody has waited for process \(id)") }
    if cost.peakKiB <= own, seen > 0 { cost.peakKiB = seen }
    return cost
  }
}

/// Runs `program` to its end, as `ChildProcess` starts it.
func runProcess(
  _ program: String, _ arguments: [String], input: String = "/dev/null", output: String = "/dev/null"
) throws -> RunCost {
  try ChildProcess(program, arguments, input: input, output: output).wait()
}

/// As `runProcess`, and throws with what it wrote to standard error, which goes to the file `errors`, when its exit
/// status is not 0: the first line that speaks of an error, or the last one.
func runChecked(
  _ program: String, _ arguments: [String], input: String = "/dev/null", output: String = "/dev/null", errors: String
) throws -> RunCost {
  let cost = try ChildProcess(program, arguments, input: input, output: output, errors: errors).measure()
  defer { unlink(errors) }
  guard cost.status == 0 else {
    let said = try lines(of: errors)
    let reason = (said.first { $0.contains("rror") } ?? said.last).map { ": \($0.prefix(300))" } ?? ""
    throw BenchError(description: "\(program) ended with status \(cost.status)\(reason)")
  }
  return cost
}

/// The path of the product of that name: the one beside this program, or what is on PATH.
func productPath(_ name: String) -> String {
  let own = CommandLine.arguments[0]
  guard let slash = own.lastIndex(of: "/") else { return name }
  return own[...slash] + name
}

/// The file that `program` names: itself when it has a slash, else the first on PATH; nil when there is none that runs.
func executable(_ program: String) -> String? {
  if program.contains("/") { return access(program, X_OK) == 0 ? program : nil }
  guard let path = getenv("PATH") else { return nil }
  return String(cString: path).split(separator: ":").map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
}

/// The load average of the last minute.
func loadAverage() -> Double {
  var loads = [0.0]
  return getloadavg(&loads, 1) == 1 ? loads[0] : 0
}
