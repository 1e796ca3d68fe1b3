// Runs a command to its end and reports what the kernel says it cost. Unsafe by nature: named in the tidy test.
import Glibc

/// What one run of a command took.
struct RunCost {
  /// From start to exit.
  var wallSeconds: Double
  /// User and system time of the process, all threads.
  var cpuSeconds: Double
  /// Largest resident set, in KiB.
  var peakKiB: Int
  var status: Int32
}

/// A command that could not be run, or failed.
struct BenchError: Error, CustomStringConvertible {
  let description: String
}

/// Runs `program` (a path, or a name on PATH) with standard input from `input`; its output goes to the file `output`,
/// errors are shown.
func runProcess(
  _ program: String, _ arguments: [String], input: String = "/dev/null", output: String = "/dev/null"
) throws -> RunCost {
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
  posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
  var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
  words.append(nil)
  defer { for word in words { free(word) } }
  var process = pid_t()
  let begin = monotonicSeconds()
  let code = posix_spawnp(&process, program, &actions, nil, &words, environ)
  guard code == 0 else {
    throw BenchError(description: "cannot run \(program): \(String(cString: strerror(code)))")
  }
  var status: Int32 = 0
  var usage = rusage()
  while wait4(process, &status, 0, &usage) < 0, errno == EINTR {}
  let wall = monotonicSeconds() - begin
  func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
  return RunCost(
    wallSeconds: wall, cpuSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime), peakKiB: usage.ru_maxrss,
    status: status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f))
}

private func monotonicSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// The load average of the last minute.
func loadAverage() -> Double {
  var loads = [0.0]
  return getloadavg(&loads, 1) == 1 ? loads[0] : 0
}
