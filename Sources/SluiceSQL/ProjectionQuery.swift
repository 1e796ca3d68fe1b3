public struct ProjectionQuery: Equatable, Sendable {
  public struct Column: Equatable, Sendable {
    public let name: String
    public let expression: Expression
  }
  public let table: String
  public let alias: String
  public let columns: [Column]
  public let filter: String?
  public let groups: [String]
  public let hasGroupBy: Bool
  public let aggregates: [Aggregate]
  public let having: Expression?
  public var isGrouped: Bool { hasGroupBy || !aggregates.isEmpty }
  public struct Expression: Equatable, Sendable {
    public enum Piece: Equatable, Sendable {
      case text(String), group(Int), aggregate(Int)
    }
    public let pieces: [Piece]
    public func rendered(_ hole: (Piece) -> String) -> String {
      pieces.map { if case .text(let text) = $0 { text } else { hole($0) } }.joined()
    }
  }
  public struct Aggregate: Equatable, Sendable {
    public enum Function: Equatable, Sendable { case count, sum, total, avg, min, max }
    public let function: Function
    public let argument: String?
    public let isDistinct: Bool
    public let filter: String?
  }
}
public func parseProjectionQuery(_ select: String, columnsOf: (String) -> [String]?) throws(SQLError) -> ProjectionQuery {
  throw SQLError(.unsupported, "not yet")
}
public func nondeterminism(in text: String) -> String? { nil }
public struct CreateProjection: Equatable, Sendable {
  public let name: String
  public let ifNotExists: Bool
  public let isPaused: Bool
  public let primaryKey: [String]?
  public let select: String
  public let refreshMicroseconds: Int64?
}
public struct WaitFor: Equatable, Sendable {
  public enum Target: Equatable, Sendable { case own, last, position(UInt64) }
  public let projection: String
  public let target: Target
  public let timeoutMicroseconds: Int64?
}
public func print(_ p: CreateProjection) -> String { "" }
