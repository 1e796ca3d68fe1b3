// What inspections say, of sound files and of damaged ones; that they change nothing; that they and opening agree on
// what is damage.
import SluiceLSM
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct InspectionTests {
  @Test(arguments: goldenFiles("Golden/Inspect")) func golden(_ file: GoldenFile) throws {
    let bench = InspectionBench()
    try file.run { try bench.run($0) }
    try bench.close()
  }

  /// A store with all that its files can hold: several levels, an adopted segment and one that grows, and the place of
  /// a group.
  private func smallStore(_ compression: Compression = .none) throws -> InspectionBench {
    let bench = InspectionBench()
    try bench.open(shards: 2, budget: 1 << 10, compression: compression)
    _ = try bench.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)\nCREATE TABLE u(id INTEGER PRIMARY KEY, v TEXT)")
    try bench.rows("t", 1...40, size: 80)
    try bench.rows("u", 1...5, size: 80)
    _ = try bench.sql("BEGIN")
    for id in 100...120 { _ = try bench.sql("INSERT INTO t VALUES(\(id), '\(String(repeating: "x", count: 80))')") }
    _ = try bench.sql("COMMIT\nDROP TABLE u\nINSERT OR IGNORE INTO t VALUES(1, 'again')")
    _ = try bench.sql("CREATE TABLE w(n INTEGER, v TEXT, k TEXT, PRIMARY KEY(k, n))\nINSERT INTO w VALUES(1, 'v', 'k')")
    try bench.rows("t", 41...60, size: 80)
    try bench.close()
    try bench.follow(group: "mail")
    return bench
  }

  /// All kinds of look at the file that was damaged and at what it belongs to; then the check of the store.
  private func lookAtAll(
    _ bench: InspectionBench, _ path: String, part: Bool = false
  ) throws -> StoreInspection.Outcome {
    if path != "store" { _ = try bench.look(bench.subject(of: path), path) }
    if part { return try bench.look(.store(check: true), "") }
    _ = try bench.look(.store(check: false), "")
    if path.hasPrefix("log/") { _ = try bench.look(.log(commands: true), "log") }
    if path.hasPrefix("shards/") { _ = try bench.look(.manifest, String(path.prefix(10))) }
    return try bench.look(.store(check: true), "")
  }

  /// Flips and cuts anywhere: each look ends with a verdict, and that is `damaged` wherever a byte was flipped that a
  /// checksum covers. The end of the last segment is the one place where damage may pass for a torn tail.
  @Test(arguments: [Compression.none, .lz4]) func everyFlippedByteIsFound(_ compression: Compression) throws {
    let bench = try smallStore(compression)
    let names = try bench.damageable()
    #expect(names.contains("groups/mail"))
    #expect(names.count { $0.hasSuffix(".log") } == 3 && names.count { $0.hasSuffix(".table") } > 3)
    let last = try #require(names.last { $0.hasSuffix(".log") })
    let padding = try Dictionary(uniqueKeysWithValues: names.map { ($0, try paddingOf($0, bench)) })
    let seed = testSeed()
    var random = SeededRandom(seed: seed)
    for round in 0..<1_000 {
      let name = names[random.below(names.count)]
      var content = try #require(bench.disk.content("shop/" + name))
      let isCut = round % 8 == 0
      let place = random.below(name == last ? min(content.count, 4096) : content.count)
      if isCut { content.removeSubrange(place...) } else { content[place] ^= 1 << UInt8(random.below(8)) }
      try bench.replace(name, content)
      let outcome = try lookAtAll(bench, name, part: round % 4 != 0)
      let mayPass = name == last || (isCut ? name.contains("MANIFEST-") : padding[name]?.contains(place) == true)
      #expect(
        outcome == .damaged || mayPass && outcome == .sound,
        "\(name) \(isCut ? "cut at" : "flipped at") \(place): \(repeatCommand(seed, "everyFlippedByteIsFound"))")
      try bench.repair()
    }
    #expect(try bench.look(.store(check: true), "") == .sound)
  }

  /// The zeros of a segment that no checksum covers: behind the header, and up to seven behind a record's body.
  private func paddingOf(_ name: String, _ bench: InspectionBench) throws -> Set<Int> {
    guard name.hasSuffix(".log"), let content = bench.disk.content("shop/" + name) else { return [] }
    var padding = Set(44..<512)
    _ = try bench.look(.log(commands: false), name) { line in
      guard !line.hasPrefix("zeros"), let offset = number("offset", line), let size = number("bytes", line) else {
        return
      }
      padding.formUnion(((offset + size - 7)..<(offset + size)).filter { content[$0] == 0 })
    }
    return padding
  }

  /// What opening refuses, a check finds without opening; and a look without `check` finds it too, but for blocks of
  /// tables and records in the middle of the log. What is refused is named; what is not refused holds what it held.
  @Test func inspectionAndOpeningAgree() throws {
    let bench = try smallStore()
    let sound = try open(bench) { try $0.liveContents() }
    let names = try bench.damageable()
    let seed = testSeed()
    var random = SeededRandom(seed: seed)
    let last = names.last { $0.hasSuffix(".log") }
    var refused = 0
    for round in 0..<400 {
      let name = names[random.below(names.count)]
      var content = try #require(bench.disk.content("shop/" + name))
      let place = random.below(min(content.count, 4096))
      if round % 4 == 0 { content.removeSubrange(place...) } else { content[place] ^= 1 << UInt8(random.below(8)) }
      try bench.replace(name, content)
      let comment: Comment = "\(name) at \(place), round \(round): \(repeatCommand(seed, "inspectionAndOpeningAgree"))"
      let quick = try bench.look(.store(check: false), "")
      let whole = try bench.look(.store(check: true), "")
      let error = storeError {
        let contents = try convertingErrors { try open(bench) { try $0.liveContents(comment) } }
        #expect(contents == sound, comment)
      }
      if let error {
        refused += 1
        let folder = name.contains("MANIFEST-") ? String(name.prefix { $0 != "M" }) : name
        #expect(error.message.contains("shop/" + folder), "\(error) \(comment)")
        #expect(error.kind == .corrupt || error.kind == .unsupported || error.kind == .invalid, comment)
        #expect(whole == .damaged, "\(error) \(comment)")
        let isStructure = name == "store" || name == last || name.contains("MANIFEST-")
        if isStructure { #expect(quick == .damaged, "\(error) \(comment)") }
      }
      if quick != .sound { #expect(whole != .sound, comment) }
      if name.hasPrefix("groups/") {
        // Opening has nothing to do with it; who follows for the group is told.
        #expect(error == nil && quick == .damaged && whole == .damaged, comment)
        let refusal = storeError { try bench.follow(group: "mail") }
        #expect(refusal?.message.contains("shop/\(name)") == true && refusal?.kind == .corrupt, comment)
      }
      try bench.repair()
    }
    #expect(refused > 50)
  }

  /// Opens a copy of the store.
  private func open<R>(_ bench: InspectionBench, _ body: (Store) throws -> R) throws -> R {
    let scratch = Scratch()
    copyDatabase(bench.projections, to: scratch.file("projections.db"))
    var options = simulatedOptions(bench.disk.crashImage(.keepAll), projections: scratch.file("projections.db"))
    options.createIfMissing = false
    let store = try Store.open(path: "shop", options: options)
    let result = try body(store)
    try store.close()
    return result
  }

  /// Files that were never one of a store's.
  @Test func garbageIsLookedAt() throws {
    let bench = try smallStore()
    var random = SeededRandom(seed: testSeed())
    let names = try bench.damageable()
    let beginnings = ["SLUICETB", "SLUICEMF", "SLUICELG", "SLUICEST", "SLUICEGR", ""]
    for round in 0..<300 {
      let name = names[round % names.count]
      try bench.replace(name, Array(beginnings[round % 6].utf8) + random.bytes(random.below(700)))
      do { _ = try lookAtAll(bench, name) } catch let error as StoreError {
        #expect(error.kind == .invalid, "\(error)")
      }
      try bench.repair()
    }
  }

  @Test func nothingIsChanged() throws {
    let bench = try smallStore()
    let recorder = RecordingFileSystem(bench.disk)
    for (subject, path) in [
      (StoreInspection.Subject.store(check: false), ""), (.store(check: true), ""), (.log(commands: true), "/log"),
      (.manifest, "/shards/000"),
    ] {
      _ = try StoreInspection.run(
        subject, path: "shop" + path, fileSystem: recorder, projectionsPath: bench.projections, output: { _ in })
    }
    #expect(recorder.lines == [])
  }

  /// What may not be read says nothing about its bytes, nor about what else it should agree with.
  @Test func whatMayNotBeReadIsNoDamage() throws {
    let bench = try smallStore()
    let table = try #require(try bench.files("shards/000").first { $0.hasSuffix(".table") })
    let segment = try #require(try bench.files("log").last)
    for path in [table, "shards/001/MANIFEST-000001", segment, "log", "shards", "shards/000", "store", "LOCK"] {
      let refuse: HookedFileSystem.Looking = { (call) throws(SystemError) in
        if call.hasSuffix(" shop/" + path) { throw SystemError(call: "open", path: "shop/" + path, code: 13) }
      }
      let files = HookedFileSystem(bench.disk, looking: refuse) { _ in }
      for check in [true, false] {
        var lines: [String] = []
        let outcome = try StoreInspection.run(
          .store(check: check), path: "shop", fileSystem: files, projectionsPath: bench.projections
        ) { lines.append($0) }
        #expect(outcome == .unread, "\(lines)")
        #expect(lines.contains { $0.hasPrefix("unread file=shop/\(path) what=") }, "\(lines)")
        #expect(lines.last?.hasPrefix("verdict state=unread damages=0 unread=1 ") == true, "\(lines)")
      }
    }
  }

  /// A store of a newer program, and one whose creation was cut short.
  @Test func unusualStores() throws {
    let bench = try smallStore()
    var bytes = try #require(bench.disk.content("shop/store"))
    bytes[10] = 9
    bytes.append(0)
    try bench.replace("store", bytes)
    #expect(try bench.look(.store(check: false), "") == .unread)
    try bench.repair()
    try bench.disk.remove("shop/store")
    #expect(try bench.look(.store(check: false), "") == .damaged)
    let disk = SimulatedFileSystem()
    for name in ["new", "new/log", "new/shards"] { try disk.createDirectory(name) }
    let outcome = try StoreInspection.run(
      .store(check: true), path: "new", fileSystem: disk, projectionsPath: bench.projections, output: { _ in })
    #expect(outcome == .sound)
  }
}
