/** The part of time that is in view, and how it moves. All in virtual milliseconds; nothing here knows of pixels or pages. */

export interface Span {
  readonly from: number
  readonly to: number
}

/** Nearest look: a tenth of a millisecond. */
const MIN_LENGTH = 0.1

/** `length` long from `from` on, moved and shortened so that it lies within `whole`. */
export function fit(from: number, length: number, whole: Span): Span {
  const most = Math.max(MIN_LENGTH, whole.to - whole.from)
  const fitting = Math.min(Math.max(length, MIN_LENGTH), most)
  const start = Math.max(whole.from, Math.min(from, whole.from + most - fitting))
  return { from: start, to: start + fitting }
}

/** `factor` times as long, while `anchor` stays where it is. */
export function zoom(span: Span, factor: number, anchor: number, whole: Span): Span {
  const length = Math.min(Math.max((span.to - span.from) * factor, MIN_LENGTH), whole.to - whole.from)
  const share = (anchor - span.from) / (span.to - span.from)
  return fit(anchor - share * length, length, whole)
}

export function pan(span: Span, byMs: number, whole: Span): Span {
  return fit(span.from + byMs, span.to - span.from, whole)
}

/** What is shown first: a second before what went wrong, and half a second after. */
export function around(at: number, whole: Span): Span {
  return fit(at - 1000, 1500, whole)
}

/** Round times between which there are at least `least` milliseconds. */
export function ticks(span: Span, least: number): number[] {
  const power = 10 ** Math.floor(Math.log10(least))
  const step = [1, 2, 5, 10].map((n) => n * power).find((size) => size >= least) ?? least
  const found: number[] = []
  for (let n = Math.ceil(span.from / step); n * step <= span.to; n++) found.push(n * step)
  return found
}

/** The first place in a list ordered by `key` whose key is at least `from`. */
export function lowerBound<T>(list: readonly T[], from: number, key: (item: T) => number): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (key(list[middle] as T) < from) low = middle + 1
    else high = middle
  }
  return low
}

/** `1 234.567 ms`, with as many decimals as the look is near. */
export function clock(ms: number, decimals = 3): string {
  const [whole = '', rest] = ms.toFixed(decimals).split('.')
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, '\u202f')
  return `${rest === undefined ? spaced : `${spaced}.${rest}`} ms`
}
