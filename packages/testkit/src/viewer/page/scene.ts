/**
 * What there is to see: of a recording, the part of time in view and what is asked for, the frames, marks and holds to
 * draw, where they stand, and which of them is under the pointer. Decides; paint.ts draws.
 */
import { matcher } from './query.js'
import type { Breach, Fault, Frame, Hold, Lane, Mark, Recording } from './recording.js'
import { fit, lowerBound, type Span } from './timeline.js'

/** More arrows than this in view are a grey field: then bars are drawn that tell how many there are. */
export const maxArrows = 2500

/** How far from a thing the pointer may be. */
const NEAR_PX = 7

/** Lowest and highest row of a lane. */
const ROW_PX: readonly [number, number] = [34, 96]

/** Anything that can be pointed at. */
export type Thing =
  | { readonly type: 'frame'; readonly frame: Frame }
  | { readonly type: 'mark'; readonly mark: Mark }
  | { readonly type: 'hold'; readonly hold: Hold }
  | { readonly type: 'fault'; readonly fault: Fault }
  | { readonly type: 'violation'; readonly violation: Breach }

export class Scene {
  readonly recording: Recording
  readonly whole: Span
  /** Lanes by name, so that the lives of one node are neighbours. */
  readonly order: readonly number[]
  private readonly rows: readonly number[]
  private readonly longestFlight: number
  /** Families and kinds of marks that are not shown. */
  private readonly hidden: Set<string> = new Set(['link', 'note'])
  span: Span
  selected: Thing | undefined
  /** What is searched for; undefined: nothing is, so all is. */
  private lit: Set<object> | undefined
  /** When the frames were sent that are neither hidden nor dim: the overview's, kept since all of them are looked at. */
  private sentTimes: readonly number[] | undefined
  width = 1
  height = 1
  scroll = 0

  constructor(recording: Recording) {
    this.recording = recording
    this.whole = { from: 0, to: Math.max(1, recording.endedAt) * 1.01 }
    this.span = this.whole
    const { lanes } = recording
    this.order = [...lanes.keys()].sort((a, b) => {
      const [one, other] = [lanes[a] as Lane, lanes[b] as Lane]
      return one.name < other.name ? -1 : one.name > other.name ? 1 : one.from - other.from
    })
    const rows: number[] = []
    this.order.forEach((lane, row) => {
      rows[lane] = row
    })
    this.rows = rows
    this.longestFlight = recording.frames.reduce((most, one) => Math.max(most, (one.arrived ?? one.sent) - one.sent), 0)
  }

  search(query: string): void {
    const wanted = matcher(query)
    this.sentTimes = undefined
    this.lit = undefined
    if (wanted === undefined) return
    // The frames of one broadcast have one text, so each is tried once.
    const tried = new Map<string, boolean>()
    const fits = (text: string): boolean => {
      let answer = tried.get(text)
      if (answer === undefined) {
        answer = wanted(text)
        tried.set(text, answer)
      }
      return answer
    }
    const { frames, marks, holds, faults } = this.recording
    this.lit = new Set<object>([
      ...frames.filter((frame) => fits(frame.type) || fits(frame.text)),
      ...marks.filter((mark) => fits(mark.label) || fits(mark.text)),
      ...holds.filter((hold) => fits(hold.what)),
      ...faults.filter((fault) => fits(fault.kind) || fits(fault.text)),
    ])
  }

  get searching(): boolean {
    return this.lit !== undefined
  }

  /** A frame, mark, hold or fault that is searched for; each is when nothing is. */
  isLit(one: object): boolean {
    return this.lit === undefined || this.lit.has(one)
  }

  isHidden(what: string): boolean {
    return this.hidden.has(what)
  }

  hide(what: string, on: boolean): void {
    if (on) this.hidden.add(what)
    else this.hidden.delete(what)
    this.sentTimes = undefined
  }

  get sent(): readonly number[] {
    this.sentTimes ??= this.recording.frames
      .filter((frame) => !this.hidden.has(frame.family) && this.isLit(frame))
      .map((frame) => frame.sent)
    return this.sentTimes
  }

  look(span: Span): void {
    this.span = fit(span.from, span.to - span.from, this.whole)
  }

  // -- where things stand

  get row(): number {
    return Math.min(ROW_PX[1], Math.max(ROW_PX[0], Math.floor(this.height / Math.max(1, this.order.length))))
  }

  x(at: number): number {
    return ((at - this.span.from) / (this.span.to - this.span.from)) * this.width
  }

  time(x: number): number {
    return this.span.from + (x / this.width) * (this.span.to - this.span.from)
  }

  /** The line of a lane; names and marks stand above it, what it holds below. */
  y(lane: number): number {
    return ((this.rows[lane] ?? 0) + 0.6) * this.row - this.scroll
  }

  /** The rows in view, with some to spare. */
  isInSight(lane: number): boolean {
    const y = this.y(lane)
    return y > -this.row && y < this.height + this.row
  }

  /** Where the arrow of a frame ends; that of a lost one breaks off. */
  arrow({ from, to, sent, arrived }: Frame): readonly [number, number, number, number] {
    const [x1, y1, y2] = [this.x(sent), this.y(from), this.y(to)]
    if (arrived !== undefined) return [x1, y1, this.x(arrived), y2]
    return [x1, y1, x1 + 10, y1 + Math.sign(y2 - y1 || 1) * this.row * 0.45]
  }

  // -- what is in view

  frames(): Frame[] {
    const { frames } = this.recording
    const { from, to } = this.span
    const found: Frame[] = []
    const first = lowerBound(frames, from - this.longestFlight, (frame) => frame.sent)
    for (let i = first; i < frames.length; i++) {
      const frame = frames[i] as Frame
      if (frame.sent > to) break
      if ((frame.arrived ?? frame.sent) < from || this.hidden.has(frame.family)) continue
      found.push(frame)
    }
    return found
  }

  marks(): Mark[] {
    const { marks } = this.recording
    const found: Mark[] = []
    for (let i = lowerBound(marks, this.span.from, (mark) => mark.at); i < marks.length; i++) {
      const mark = marks[i] as Mark
      if (mark.at > this.span.to) break
      if (!this.hidden.has(mark.kind) && this.isInSight(mark.lane)) found.push(mark)
    }
    return found
  }

  /** What is searched for and held, as long as it is held. */
  holds(): Hold[] {
    const { lit } = this
    if (lit === undefined) return []
    const { from, to } = this.span
    return this.recording.holds.filter(
      (hold) => lit.has(hold) && hold.from <= to && (hold.until ?? this.whole.to) >= from,
    )
  }

  faults(): Fault[] {
    const { from, to } = this.span
    return this.recording.faults.filter((fault) => fault.at <= to && (fault.until ?? fault.at) >= from)
  }

  /** All frames and marks that are searched for and not hidden, in the order of time. */
  found(): Thing[] {
    const { lit, hidden } = this
    if (lit === undefined) return []
    const frames = this.recording.frames.filter((frame) => lit.has(frame) && !hidden.has(frame.family))
    const marks = this.recording.marks.filter((mark) => lit.has(mark) && !hidden.has(mark.kind))
    const things: Thing[] = [
      ...frames.map((frame): Thing => ({ type: 'frame', frame })),
      ...marks.map((mark): Thing => ({ type: 'mark', mark })),
    ]
    return things.sort((a, b) => timeOf(a) - timeOf(b))
  }

  // -- what is under the pointer

  /** The nearest thing within reach: marks before arrows, since they are smaller. */
  at(x: number, y: number): Thing | undefined {
    const mark = nearest(this.marks(), (one) => Math.hypot(this.x(one.at) - x, this.y(one.lane) - y))
    if (mark !== undefined) return { type: 'mark', mark }
    const hold = this.holds().find((one) => {
      const below = y - this.y(one.lane)
      return below > 2 && below < 18 && this.x(one.from) <= x && this.x(one.until ?? this.whole.to) >= x
    })
    if (hold !== undefined) return { type: 'hold', hold }
    const frame = nearest(this.drawn().arrows, (one) => distance(this.arrow(one), x, y))
    return frame === undefined ? undefined : { type: 'frame', frame }
  }

  /** Arrows while one can tell them apart; else bars, and only what is searched for as arrows. */
  drawn(): { readonly arrows: readonly Frame[]; readonly bars: readonly Frame[] } {
    const inView = this.frames()
    if (inView.length <= maxArrows) return { arrows: inView, bars: [] }
    if (this.lit === undefined) return { arrows: [], bars: inView }
    const arrows = inView.filter((frame) => this.isLit(frame))
    return { arrows: arrows.length <= maxArrows ? arrows : [], bars: inView }
  }
}

export function timeOf(thing: Thing): number {
  switch (thing.type) {
    case 'frame':
      return thing.frame.sent
    case 'mark':
      return thing.mark.at
    case 'hold':
      return thing.hold.from
    case 'fault':
      return thing.fault.at
    case 'violation':
      return thing.violation.at
  }
}

function nearest<T>(all: readonly T[], away: (one: T) => number): T | undefined {
  let best: T | undefined
  let least = NEAR_PX
  for (const one of all) {
    const far = away(one)
    if (far < least) [best, least] = [one, far]
  }
  return best
}

/** Of a point from a line between two points. */
function distance([x1, y1, x2, y2]: readonly [number, number, number, number], x: number, y: number): number {
  const [dx, dy] = [x2 - x1, y2 - y1]
  const along = ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy || 1)
  const t = Math.max(0, Math.min(1, along))
  return Math.hypot(x1 + t * dx - x, y1 + t * dy - y)
}
