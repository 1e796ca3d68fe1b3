// `.parameter`: values for the parameters of statements, which the session keeps.
import Sluice

extension Shell {
  static let parameterHelp = """
       clear                   Erase all bindings
       init                    Initialize the TEMP table that holds bindings
       list                    List the current parameter bindings
       set PARAMETER VALUE     Given SQL parameter PARAMETER a value of VALUE
                               PARAMETER should start with one of: $ : @ ?
       unset PARAMETER         Remove PARAMETER from the binding table

    """

  func setParameter(_ arguments: [String]) -> DotCommand.Outcome {
    switch (arguments.first, arguments.count) {
    case ("clear", 1): session.parameters = [:]
    // sqlite3 makes the table here that `set` makes too; a session has no such table.
    case ("init", 1): break
    case ("list", 1): listParameters()
    case ("set", 3): session.setParameter(arguments[1], to: arguments[2])
    case ("unset", 2): session.parameters[arguments[1]] = nil
    default: return showHelp(["parameter"])
    }
    return .done
  }

  private func listParameters() {
    let parameters = session.parameterLiterals()
    let width = min(40, parameters.map(\.name.unicodeScalars.count).max() ?? 0)
    let output = console.printing()
    for (name, literal) in parameters {
      output.write(name)
      output.write(repeating: UInt8(ascii: " "), count: width - name.utf8.count + 1)
      output.write(literal + "\n")
    }
  }
}
