// The C library, in one place.
import CSystem
import Glibc

/// The operating system's sentence for an `errno`.
public func systemMessage(_ code: Int32) -> String {
  var buffer = [CChar](repeating: 0, count: 256)
  return strerror_r(code, &buffer, buffer.count) == 0
    ? String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) : "error \(code)"
}

/// This process's id.
public func processIdentifier() -> Int32 { getpid() }

/// Descriptors that this process may have open at the same time.
public func descriptorLimit() -> Int {
  var limit = rlimit()
  guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1_024 }
  return Int(clamping: limit.rlim_cur)
}

/// An environment variable's value, or nil.
public func environmentVariable(_ name: String) -> String? {
  guard let value = getenv(name) else { return nil }
  return String(cString: value)
}

/// Writing to a closed pipe becomes an error instead of ending the process.
public func ignoreBrokenPipes() { csystem_ignore_sigpipe() }

/// Whether the process may have `size` more bytes of address space now: a limit of its own or the system's rules may
/// forbid it. Nothing is kept.
public func canReserve(_ size: Int) -> Bool {
  guard let memory = malloc(size) else { return false }
  free(memory)
  return true
}

/// Asks for the cache line at an address that is read soon; never faults.
@inlinable @inline(__always)
public func prefetch(_ address: UnsafeRawPointer) { csystem_prefetch(address) }

/// Has the system give memory that was allocated and will be filled, in one call instead of a fault a page, which takes
/// half as long again. Does nothing for less than 128 KiB, or where the system cannot.
public func prefault(_ memory: UnsafeMutableRawBufferPointer) {
  guard memory.count >= 128 << 10, let base = memory.baseAddress else { return }
  csystem_populate(base, memory.count)
}
