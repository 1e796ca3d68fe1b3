// What the kernel counts for this process and for others: processor time, bytes handed to calls, largest resident set.
import Glibc

/// Counters at one moment; a workload's cost is the difference of two.
struct ProcessUsage {
  var userSeconds: Double
  var systemSeconds: Double
  /// `wchar` of /proc/self/io: bytes given to write(2) and its kin, whether or not they reached the disk.
  var writtenBytes: UInt64
  /// `VmHWM`: the peak since the process began or `resetPeak` was called.
  var peakKiB: UInt64

  static func now() -> ProcessUsage {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return ProcessUsage(
      userSeconds: seconds(usage.ru_utime), systemSeconds: seconds(usage.ru_stime),
      writtenBytes: number("/proc/self/io", "wchar:"), peakKiB: number("/proc/self/status", "VmHWM:"))
  }

  var processorSeconds: Double { userSeconds + systemSeconds }

  /// Lets the peak begin anew at what is resident now.
  static func resetPeak() {
    guard let file = fopen("/proc/self/clear_refs", "we") else { return }
    fputs("5", file)
    fclose(file)
  }
}

/// The number on the line of `path` that begins with `label`; 0 when there is none.
private func number(_ path: String, _ label: String) -> UInt64 {
  guard let file = fopen(path, "re") else { return 0 }
  defer { fclose(file) }
  var line = [CChar](repeating: 0, count: 256)
  while fgets(&line, Int32(line.count), file) != nil {
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    if text.hasPrefix(label) { return UInt64(text.filter(\.isNumber)) ?? 0 }
  }
  return 0
}

/// The peak resident set of a process, in KiB; 0 when it is gone.
func residentPeakKiB(of process: pid_t) -> Int { Int(number("/proc/\(process)/status", "VmHWM:")) }

/// User and system seconds of a process, of its children, and of those that it has waited for.
func processorSeconds(of process: pid_t) -> Double {
  guard let own = processTimes(process) else { return 0 }
  let children = names(in: "/proc").compactMap(pid_t.init).compactMap(processTimes).filter { $0.parent == process }
  return children.reduce(own.seconds) { $0 + $1.seconds }
}

/// Parent and time of a process by /proc/PID/stat (proc(5)); nil when it is gone.
private func processTimes(_ process: pid_t) -> (parent: pid_t, seconds: Double)? {
  guard let file = fopen("/proc/\(process)/stat", "re") else { return nil }
  defer { fclose(file) }
  var line = [CChar](repeating: 0, count: 1024)
  guard fgets(&line, Int32(line.count), file) != nil else { return nil }
  let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  // The name, in parentheses, may hold spaces. Behind it: state, parent, …; utime is the 14th field of the whole.
  guard let end = text.lastIndex(of: ")") else { return nil }
  let fields = text[text.index(after: end)...].split(separator: " ")
  guard fields.count > 14, let parent = pid_t(fields[1]) else { return nil }
  let ticks = fields[11...14].compactMap { Double($0) }.reduce(0, +)
  return (parent, ticks / Double(sysconf(Int32(_SC_CLK_TCK))))
}

/// Nanoseconds of a clock that never goes back. About 20 ns a call.
@inline(__always)
func nowNanoseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: time.tv_nsec)
}

/// Returns at `nanoseconds`, within a microsecond when the machine allows: sleeps while there is time to, because the
/// store's own threads need the processors, and turns over the last bit, because the kernel wakes a sleeper about
/// 50 µs late. Without `turns` it only sleeps: many threads at once have no processor to turn on.
func waitUntil(nanoseconds: UInt64, turns: Bool = true) {
  let turning: UInt64 = turns ? 100_000 : 0
  let now = nowNanoseconds()
  if now &+ turning < nanoseconds {
    let wake = nanoseconds - turning
    var time = timespec(tv_sec: Int(wake / 1_000_000_000), tv_nsec: Int(wake % 1_000_000_000))
    while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
  }
  while nowNanoseconds() < nanoseconds {}
}
