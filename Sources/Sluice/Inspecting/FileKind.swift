// Tells a store's files apart, so that `inspect` can say what a file is instead of calling it damaged.
//
//   SLUICETB  table      (TableFormat.swift)        directory with MANIFEST-… or ….table   shard
//   SLUICEMF  manifest   (ManifestFormat.swift)     directory with ….log or ….stage        log
//   SLUICELG  segment    (Segment.swift)            directory with `store`, or `log` and `shards`   store
//   SLUICEST  identity   (StoreFile.swift)
//   SLUICEGR  group      (GroupFile.swift)
import SluiceSystem

/// What stands at a path, by its first bytes or by the names in it.
enum FileKind: Equatable {
  case table, manifest, segment, identity, group, database
  case shard, log, store
  /// A file that begins as none of Sluice's; a directory of other names, or of none.
  case otherFile, otherDirectory, emptyDirectory

  private static let beginnings: [(String, FileKind)] = [
    ("SLUICETB", .table), ("SLUICEMF", .manifest), ("SLUICELG", .segment), ("SLUICEST", .identity),
    ("SLUICEGR", .group), ("SQLite f", .database),
  ]

  init(_ path: String, fileSystem: any FileSystem) throws(StoreError) {
    do {
      guard try fileSystem.exists(path) else { throw StoreError(.invalid, "there is no file or directory \(path)") }
      let names: [String]
      do { names = try fileSystem.list(path) } catch {
        guard error.reason == .notDirectory else { throw error }
        do {
          let start = String(decoding: try fileSystem.beginning(path, 8), as: UTF8.self)
          self = Self.beginnings.first { $0.0 == start }?.1 ?? .otherFile
        } catch {
          guard error.reason == .notFile else { throw error }
          self = .otherFile
        }
        return
      }
      self = Self.directory(names)
    } catch { throw StoreError(converting: error) }
  }

  private static func directory(_ names: [String]) -> FileKind {
    if names.isEmpty { return .emptyDirectory }
    if names.contains("store") || Set(names).isSuperset(of: ["log", "shards"]) { return .store }
    if names.contains(where: { $0.hasPrefix("MANIFEST-") || $0.hasSuffix(".table") }) { return .shard }
    return names.contains { isSegment($0) } ? .log : .otherDirectory
  }

  private static func isSegment(_ name: String) -> Bool {
    name.hasSuffix(".log") || name.hasSuffix(".log.new") || name.hasSuffix(".stage")
  }

  /// Throws `invalid` with the command that fits when `path` is not what `subject` is about. A file whose first bytes
  /// are damaged passes by its name.
  static func check(
    _ path: String, isFor subject: StoreInspection.Subject, fileSystem: any FileSystem
  ) throws(StoreError) {
    let kind = try FileKind(path, fileSystem: fileSystem)
    let name = path.split(separator: "/").last.map(String.init) ?? path
    let fits =
      switch subject {
      case .table: kind == .table || kind == .otherFile && name.hasSuffix(".table")
      case .manifest:
        kind == .manifest || kind == .shard || kind == .emptyDirectory
          || kind == .otherFile && name.hasPrefix("MANIFEST-")
      case .log:
        kind == .segment || kind == .log || kind == .emptyDirectory || kind == .otherFile && isSegment(name)
      case .store: kind == .store
      case .group: kind == .group || kind == .otherFile && path.split(separator: "/").dropLast().last == "groups"
      }
    if !fits { throw StoreError(.invalid, "\(path) is \(kind.sentence(path, for: subject))") }
  }

  private func sentence(_ path: String, for subject: StoreInspection.Subject) -> String {
    switch self {
    case .table: "a table: sluice inspect table \(path)"
    case .manifest: "a manifest: sluice inspect manifest \(path)"
    case .segment: "a segment of a log: sluice inspect log \(path)"
    case .shard: "the directory of a shard: sluice inspect manifest \(path)"
    case .log: "the directory of a log: sluice inspect log \(path)"
    case .store: "a store: sluice inspect store \(path)"
    case .identity: "the identity of a store: sluice inspect store \(parent(path))"
    case .group: "the place of a group: sluice inspect group \(path)"
    case .database: "an SQLite database: sqlite3 \(path)"
    case .otherFile, .otherDirectory, .emptyDirectory: "no \(subject.noun)"
    }
  }
}

extension StoreInspection.Subject {
  fileprivate var noun: String {
    switch self {
    case .table: "table: it does not begin with SLUICETB"
    case .manifest: "manifest (a file that begins with SLUICEMF) and no directory of a shard"
    case .log: "segment (a file that begins with SLUICELG) and no directory of a log"
    case .group: "place of a group: it does not begin with SLUICEGR"
    case .store: "store (a directory with a file `store`)"
    }
  }
}
