// An axis of a plot: numbers to pixels, and round numbers to mark.
import Glibc

struct Scale {
  let isLogarithmic: Bool
  let low: Double
  let high: Double
  /// Pixels of `low` and `high`.
  let from: Double
  let to: Double

  /// An axis that holds `values`, from a round number to a round number: by powers from the least positive one, or from
  /// 0 on.
  init(_ values: [Double], logarithmic: Bool, from: Double, to: Double) {
    self.from = from
    self.to = to
    isLogarithmic = logarithmic
    let known = values.filter { $0.isFinite && (!logarithmic || $0 > 0) }
    let (least, most) = (known.min() ?? 1, max(known.max() ?? 1, logarithmic ? 0 : 1e-9))
    if logarithmic {
      low = Self.round(below: least)
      let above = Self.round(above: most)
      high = above > low ? above : low * 10
    } else {
      low = 0
      let step = Self.step(most / 4)
      high = (most / step).rounded(.up) * step
    }
  }

  func place(_ value: Double) -> Double {
    let share =
      isLogarithmic ? log(max(value, low) / low) / log(high / low) : (value - low) / (high - low)
    return from + share * (to - from)
  }

  /// Round numbers that are at least `distance` pixels apart.
  func marks(distance: Double) -> [Double] {
    var all: [Double] = []
    if isLogarithmic {
      var power = pow(10, floor(log10(low) + 1e-9))
      while power <= high * 1.0001 {
        all += [1, 2, 5].map { $0 * power }.filter { $0 >= low * 0.9999 && $0 <= high * 1.0001 }
        power *= 10
      }
      // Powers of ten first: they stay when there is no room for others.
      let tens = all.filter { abs(log10($0) - log10($0).rounded()) < 1e-6 }
      return sparse(tens + all.filter { !tens.contains($0) }, distance)
    }
    let step = Self.step((high - low) / 4)
    var value = low
    while value <= high * 1.0001 {
      all.append(value)
      value += step
    }
    return sparse(all, distance)
  }

  /// Those that keep the distance from the ones before them in the list, rising.
  private func sparse(_ values: [Double], _ distance: Double) -> [Double] {
    var kept: [Double] = []
    for value in values where !kept.contains(where: { abs(place($0) - place(value)) < distance }) { kept.append(value) }
    return kept.sorted()
  }

  /// 1, 2 or 5 times a power of ten, at least `value`.
  private static func step(_ value: Double) -> Double { round(above: value) }

  private static func round(above value: Double) -> Double {
    let power = pow(10, floor(log10(value)))
    return [1, 2, 5, 10].map { $0 * power }.first { $0 >= value * 0.9999 } ?? value
  }

  private static func round(below value: Double) -> Double {
    let power = pow(10, floor(log10(value) + 1e-9))
    return [5, 2, 1].map { $0 * power }.first { $0 <= value * 1.0001 } ?? value
  }
}
