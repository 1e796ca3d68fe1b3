// A follower beside the log that it follows: what it reads piece by piece is the log, over every border, whatever the
// size of the pieces.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLog

/// The commands in a part of what the follower sees, as `words` has them.
private func commands(_ follower: LogFollower, after: UInt64) throws -> [String] {
  let reader = try follower.reader(after: after, upTo: follower.lastPosition)
  var result: [String] = []
  while let record = try reader.next() {
    if case .commands(let batch, let end) = record {
      result.append("\(label(of: batch))@\(batch.firstPosition)-\(batch.lastPosition)\(end ? "" : "+")")
    }
  }
  return result
}

private func follow(_ disk: any FileSystem) throws -> LogFollower {
  try LogFollower(fileSystem: disk, directory: "log", storeID: storeID)
}

@Test(arguments: [1, 700, UInt64.max])
func aFollowerReadsTheLogPieceByPiece(pieceBytes: UInt64) throws {
  let seed = testSeed()
  var random = SeededRandom(seed: seed)
  let disk = SimulatedFileSystem()
  #expect(try follow(disk).lastPosition == 0, "there is no log yet")
  var log = try openLog(disk)
  let follower = try follow(disk)
  var seen: [String] = []
  var pieces = 0
  for round in 0..<300 {
    switch random.below(10) {
    case 0:
      let staged = try log.stage()
      for _ in 0...random.below(3) { try staged.append(makeBatch("s\(round)", count: 1 + random.below(3))) }
      try staged.finish()
      _ = try log.adopt(staged)
    case 1:
      log.close()
      log = try openLog(disk)
    case 2 where log.lastPosition > 0:
      try log.append([], [Resolution(batchFirstPosition: log.lastPosition, rejected: [(0, 1)])])
      try log.sync()
    default:
      try log.append((0...random.below(3)).map { _ in makeBatch("b\(round)", valueSize: random.below(300)) }, [])
      try log.sync()
    }
    guard random.chance(1, of: 3) else { continue }
    let calls = disk.callCount
    while true {
      let before = follower.lastPosition
      let change = try follower.refresh(sizeBytes: pieceBytes)
      guard change == .grown else {
        #expect(change == .none && follower.lastPosition == before)
        break
      }
      pieces += 1
      let piece = try commands(follower, after: before)
      #expect(piece.last?.hasSuffix("+") == false, "a piece ends within a transaction")
      seen += piece
    }
    #expect(disk.callCount == calls, "it changed something")
    let comment: Comment = "round \(round), \(repeatCommand(seed, "aFollowerReadsTheLog"))"
    #expect(follower.lastPosition == log.lastPosition, comment)
    #expect(try words(log).filter { !$0.hasPrefix("!") } == seen, comment)
    #expect(try commands(follower, after: 0) == seen, comment)
    #expect(try commands(try follow(disk), after: 0) == seen, comment)
  }
  #expect(pieces > (pieceBytes == 1 ? 200 : 50))
}

@Test func aFollowerGoesOnBehindASealedSegment() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  let early = try follow(disk)
  try log.commit("a")
  let late = try follow(disk)
  for label in ["b", "c"] {
    try log.append([makeBatch(label, valueSize: 33 << 20)], [])
    try log.sync()
  }
  try log.commit("d")
  #expect(log.segmentCount == 2)
  for follower in [early, late] {
    let before = follower.lastPosition
    #expect(try follower.refresh() == .grown)
    #expect(follower.lastPosition == 4)
    #expect(try commands(follower, after: before).last == "d@4-4")
    try log.append([], [Resolution(batchFirstPosition: 4, rejected: [(0, 1)])])
    try log.sync()
    #expect(try follower.refresh() == .none)
  }
  try log.commit("e")
  #expect(try late.refresh() == .grown)
  #expect(try commands(late, after: 4) == ["e@5-5"])
}

@Test func aLogThatWasReplaced() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try log.commit("a", "b")
  let follower = try follow(disk)
  #expect(try follower.refresh() == .none)
  log.close()
  try disk.remove(firstSegment)
  #expect(try follower.refresh() == .replaced)
  // Another log of the same length; its serial is another one.
  let clock = CountingClock()
  _ = clock.random()
  try openLog(disk, clock).commit("c", "d")
  #expect(try follower.refresh() == .replaced)
  #expect(try commands(try follow(disk), after: 0) == ["c@1-1", "d@2-2"])
}
