/** Draws a scene on three canvases: the lanes, the time axis above them, and the whole run in small. */
import { type Family, type Frame, families, type Lane, type Mark, type MarkKind } from './recording.js'
import type { Scene, Thing } from './scene.js'
import { clock, ticks } from './timeline.js'

type Ink = CanvasRenderingContext2D

/** The colours of the page's style sheet, by their names there. */
export type Colours = (name: string) => string

/** A column of bars where there are too many arrows. */
const BAR_PX = 4

/** Labels nearer to each other than this are left out. */
const LABEL_GAP_PX = 4

const FONT = '11px system-ui, sans-serif'

/** Sizes the canvas for the screen; what is drawn is measured in CSS pixels. Undefined where it has no size yet. */
export function inkOf(canvas: HTMLCanvasElement): Ink | undefined {
  const { clientWidth, clientHeight } = canvas
  const ink = canvas.getContext('2d')
  if (ink === null || clientWidth === 0 || clientHeight === 0) return undefined
  const scale = window.devicePixelRatio || 1
  canvas.width = Math.round(clientWidth * scale)
  canvas.height = Math.round(clientHeight * scale)
  ink.scale(scale, scale)
  ink.font = FONT
  return ink
}

export function paintLanes(ink: Ink, scene: Scene, colours: Colours): void {
  paintRows(ink, scene, colours)
  paintFaults(ink, scene, colours)
  const { arrows, bars } = scene.drawn()
  paintLives(ink, scene, colours)
  if (bars.length > 0) paintBars(ink, scene, bars, colours)
  paintHolds(ink, scene, colours)
  paintArrows(ink, scene, arrows, colours)
  paintViolations(ink, scene, colours, scene.height)
  paintMarks(ink, scene, colours)
  paintSelected(ink, scene, colours)
}

function line(ink: Ink, x1: number, y1: number, x2: number, y2: number): void {
  ink.beginPath()
  ink.moveTo(x1, y1)
  ink.lineTo(x2, y2)
  ink.stroke()
}

function paintRows(ink: Ink, scene: Scene, colours: Colours): void {
  const { row, scroll, width, height } = scene
  ink.fillStyle = colours('stripe')
  for (let i = 0; i < scene.order.length; i += 2) ink.fillRect(0, i * row - scroll, width, row)
  ink.strokeStyle = colours('grid')
  ink.lineWidth = 1
  for (const at of axisTicks(scene)) line(ink, scene.x(at), 0, scene.x(at), height)
}

function axisTicks(scene: Scene): number[] {
  return ticks(scene.span, ((scene.span.to - scene.span.from) / Math.max(1, scene.width)) * 110)
}

/** Thin until the node is ready, full while it serves, amber while it leaves, with a cross where it ends. */
function paintLives(ink: Ink, scene: Scene, colours: Colours): void {
  scene.recording.lanes.forEach((lane, index) => {
    if (!scene.isInSight(index)) return
    const y = scene.y(index)
    const end = lane.until ?? scene.recording.endedAt
    const readyAt = Math.min(lane.readyAt ?? end, lane.leavingAt ?? end)
    const part = (from: number, to: number, width: number, colour: string): void => {
      if (to <= scene.span.from || from >= scene.span.to || to <= from) return
      ink.strokeStyle = colours(colour)
      ink.lineWidth = width
      line(ink, Math.max(-2, scene.x(from)), y, Math.min(scene.width + 2, scene.x(to)), y)
    }
    ink.setLineDash([4, 3])
    part(lane.from, readyAt, 2, 'life')
    ink.setLineDash([])
    part(readyAt, lane.leavingAt ?? end, 4, 'life')
    if (lane.leavingAt !== undefined) part(lane.leavingAt, end, 4, 'fault')
    paintEnds(ink, scene, lane, y, colours)
  })
}

function paintEnds(ink: Ink, scene: Scene, lane: Lane, y: number, colours: Colours): void {
  ink.strokeStyle = colours('life')
  ink.lineWidth = 2
  const start = scene.x(lane.from)
  line(ink, start, y - 7, start, y + 7)
  if (lane.until === undefined) return
  const end = scene.x(lane.until)
  ink.strokeStyle = colours(lane.end === 'left' ? 'fault' : 'violation')
  line(ink, end - 5, y - 5, end + 5, y + 5)
  line(ink, end - 5, y + 5, end + 5, y - 5)
  ink.fillStyle = ink.strokeStyle
  ink.fillText(lane.end ?? '', end + 9, y + 4)
}

function paintFaults(ink: Ink, scene: Scene, colours: Colours): void {
  for (const fault of scene.faults()) {
    const x = scene.x(fault.at)
    const width = Math.max(2, scene.x(fault.until ?? fault.at) - x)
    ink.fillStyle = colours('fault')
    const dim = scene.isLit(fault) ? 1 : 0.4
    const rows = fault.lanes.length === 0 ? undefined : fault.lanes.map((lane) => scene.y(lane) - scene.row * 0.6)
    ink.globalAlpha = (fault.until === undefined ? 0.7 : 0.22) * dim
    if (rows === undefined) ink.fillRect(x, 0, width, scene.height)
    for (const top of rows ?? []) ink.fillRect(x, top, width, scene.row)
    ink.globalAlpha = 1
  }
}

/** How many frames each lane sends in each column, the families on top of each other. */
function paintBars(ink: Ink, scene: Scene, frames: readonly Frame[], colours: Colours): void {
  const columns = Math.ceil(scene.width / BAR_PX)
  const counts = new Map<number, Uint32Array>()
  let most = 1
  for (const frame of frames) {
    const column = Math.floor(scene.x(frame.sent) / BAR_PX)
    if (column < 0 || column >= columns) continue
    let lane = counts.get(frame.from)
    if (lane === undefined) {
      lane = new Uint32Array(columns * (families.length + 1))
      counts.set(frame.from, lane)
    }
    const base = column * (families.length + 1)
    const place = base + families.indexOf(frame.family)
    lane[place] = (lane[place] ?? 0) + 1
    const total = (lane[base + families.length] ?? 0) + 1
    lane[base + families.length] = total
    most = Math.max(most, total)
  }
  // Roots, so that a quiet column can be seen beside a busy one.
  const unit = (scene.row * 0.55) / Math.sqrt(most)
  ink.globalAlpha = scene.searching ? 0.25 : 0.85
  for (const [lane, counted] of counts) {
    if (!scene.isInSight(lane)) continue
    for (let column = 0; column < columns; column++) paintColumn(ink, scene, lane, counted, column, unit, colours)
  }
  ink.globalAlpha = 1
}

function paintColumn(
  ink: Ink,
  scene: Scene,
  lane: number,
  counted: Uint32Array,
  column: number,
  unit: number,
  colours: Colours,
): void {
  const base = column * (families.length + 1)
  const total = counted[base + families.length] ?? 0
  if (total === 0) return
  const height = Math.sqrt(total) * unit
  let y = scene.y(lane) - 3
  families.forEach((family, place) => {
    const part = ((counted[base + place] ?? 0) / total) * height
    if (part === 0) return
    ink.fillStyle = colours(family)
    ink.fillRect(column * BAR_PX, y - part, BAR_PX - 1, part)
    y -= part
  })
}

/** Frames of one colour at a time: the dim ones first, what is searched for on top. */
function paintArrows(ink: Ink, scene: Scene, frames: readonly Frame[], colours: Colours): void {
  const groups = new Map<string, Frame[]>()
  for (const frame of frames) {
    if (!scene.isInSight(frame.from) && !scene.isInSight(frame.to)) continue
    const dim = !scene.isLit(frame)
    const key = `${dim ? 'dim' : 'lit'} ${frame.family}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [frame])
    else group.push(frame)
  }
  const crowded = frames.length > 600
  for (const [key, group] of [...groups].sort()) {
    const [light = '', family = ''] = key.split(' ')
    ink.globalAlpha = light === 'dim' ? 0.18 : crowded && !scene.searching ? 0.55 : 0.9
    ink.strokeStyle = colours(family)
    ink.fillStyle = ink.strokeStyle
    ink.lineWidth = light === 'lit' && scene.searching ? 1.8 : 1.1
    for (const frame of group) paintArrow(ink, scene, frame)
  }
  ink.globalAlpha = 1
}

function paintArrow(ink: Ink, scene: Scene, frame: Frame): void {
  const [x1, y1, x2, y2] = scene.arrow(frame)
  if (frame.arrived === undefined) ink.setLineDash([3, 2])
  line(ink, x1, y1, x2, y2)
  ink.setLineDash([])
  if (frame.arrived === undefined) {
    line(ink, x2 - 3, y2 - 3, x2 + 3, y2 + 3)
    line(ink, x2 - 3, y2 + 3, x2 + 3, y2 - 3)
    return
  }
  const turn = Math.atan2(y2 - y1, x2 - x1)
  const corner = (side: number): [number, number] => [x2 - 7 * Math.cos(turn + side), y2 - 7 * Math.sin(turn + side)]
  ink.beginPath()
  ink.moveTo(x2, y2)
  ink.lineTo(...corner(0.35))
  ink.lineTo(...corner(-0.35))
  ink.fill()
}

/** Bars below the line; several of one lane below each other. */
function paintHolds(ink: Ink, scene: Scene, colours: Colours): void {
  const ends = new Map<number, number>()
  for (const hold of scene.holds()) {
    if (!scene.isInSight(hold.lane)) continue
    const from = Math.max(-2, scene.x(hold.from))
    const to = Math.min(scene.width + 2, scene.x(hold.until ?? scene.recording.endedAt))
    const y = scene.y(hold.lane) + 5
    ink.fillStyle = colours('hold')
    ink.fillRect(from, y, Math.max(2, to - from), 12)
    if (from < (ends.get(hold.lane) ?? Number.NEGATIVE_INFINITY)) continue
    ends.set(hold.lane, from + paintInside(ink, hold.text, from, to, y + 10, colours))
  }
}

/** The text where it fits into its bar; returns its width. */
function paintInside(ink: Ink, text: string, from: number, to: number, y: number, colours: Colours): number {
  const x = Math.max(4, from + 4)
  const short = text.replace(/, pid .*/, '')
  const width = ink.measureText(short).width
  if (x + width + 4 > to) return 0
  ink.fillStyle = colours('ground')
  ink.fillText(short, x, y)
  return width + 8
}

const markShape: Record<MarkKind, 'bar' | 'up' | 'diamond' | 'ring' | 'dot' | 'square'> = {
  life: 'square',
  view: 'bar',
  name: 'up',
  slots: 'diamond',
  ask: 'ring',
  outcome: 'dot',
  link: 'bar',
  note: 'square',
}

function paintMarks(ink: Ink, scene: Scene, colours: Colours): void {
  const marks = scene.marks()
  // One pixel column of a lane shows one mark of a kind, or a whole run takes seconds to draw.
  const taken = new Set<string>()
  const labelEnds = new Map<number, number>()
  const lit = marks.filter((mark) => scene.isLit(mark))
  const dim = scene.searching ? marks.filter((mark) => !scene.isLit(mark)) : []
  ink.globalAlpha = 0.15
  for (const mark of dim) if (isFirst(taken, scene, mark)) paintMark(ink, scene, mark, colours)
  ink.globalAlpha = 1
  taken.clear()
  for (const mark of lit) {
    if (!isFirst(taken, scene, mark)) continue
    paintMark(ink, scene, mark, colours)
    paintLabel(ink, scene, mark, labelEnds, colours)
  }
}

function isFirst(taken: Set<string>, scene: Scene, mark: Mark): boolean {
  const key = `${mark.lane} ${mark.kind} ${mark.bad} ${Math.round(scene.x(mark.at) / 3)}`
  if (taken.has(key)) return false
  taken.add(key)
  return true
}

function paintMark(ink: Ink, scene: Scene, mark: Mark, colours: Colours): void {
  const [x, y] = [scene.x(mark.at), scene.y(mark.lane)]
  ink.fillStyle = colours(mark.bad ? 'violation' : `mark-${mark.kind}`)
  ink.strokeStyle = colours('ground')
  ink.lineWidth = 1
  ink.beginPath()
  switch (markShape[mark.kind]) {
    case 'bar':
      ink.rect(x - 1.5, y - 8, 3, 16)
      break
    case 'up':
      // Downwards where a name goes.
      polygon(ink, x, y, mark.label.startsWith('+') ? [-5, 4, 5, 4, 0, -6] : [-5, -4, 5, -4, 0, 6])
      break
    case 'diamond':
      polygon(ink, x, y, [-5, 0, 0, -6, 5, 0, 0, 6])
      break
    case 'square':
      ink.rect(x - 4, y - 4, 8, 8)
      break
    case 'ring':
      ink.arc(x, y, 4, 0, 2 * Math.PI)
      ink.lineWidth = 2
      ink.strokeStyle = ink.fillStyle
      ink.fillStyle = colours('ground')
      break
    case 'dot':
      ink.arc(x, y, 4.5, 0, 2 * Math.PI)
      break
  }
  ink.fill()
  ink.stroke()
}

function polygon(ink: Ink, x: number, y: number, corners: readonly number[]): void {
  for (let i = 0; i < corners.length; i += 2) ink.lineTo(x + (corners[i] ?? 0), y + (corners[i + 1] ?? 0))
  ink.closePath()
}

function paintLabel(ink: Ink, scene: Scene, mark: Mark, ends: Map<number, number>, colours: Colours): void {
  const x = scene.x(mark.at) - 4
  if (x < (ends.get(mark.lane) ?? 0) + LABEL_GAP_PX) return
  const y = scene.y(mark.lane) - 10
  const width = ink.measureText(mark.label).width
  ends.set(mark.lane, x + width)
  // Arrows pass behind: a letter must not be crossed out by one.
  ink.lineWidth = 3
  ink.strokeStyle = colours('ground')
  ink.strokeText(mark.label, x, y)
  ink.fillStyle = colours(mark.bad ? 'violation' : 'ink')
  ink.fillText(mark.label, x, y)
}

function paintViolations(ink: Ink, scene: Scene, colours: Colours, height: number): void {
  ink.strokeStyle = colours('violation')
  for (const violation of scene.recording.violations) {
    const x = scene.x(violation.at)
    const { selected } = scene
    ink.lineWidth = selected?.type === 'violation' && selected.violation === violation ? 3 : 1.5
    line(ink, x, 0, x, height)
  }
}

function paintSelected(ink: Ink, scene: Scene, colours: Colours): void {
  const thing: Thing | undefined = scene.selected
  ink.strokeStyle = colours('accent')
  ink.lineWidth = 3
  if (thing?.type === 'frame') {
    ink.fillStyle = colours('accent')
    paintArrow(ink, scene, thing.frame)
  }
  if (thing?.type === 'mark') {
    ink.beginPath()
    ink.arc(scene.x(thing.mark.at), scene.y(thing.mark.lane), 10, 0, 2 * Math.PI)
    ink.stroke()
  }
}

/** The times, and the names of faults and violations above the lanes. */
export function paintAxis(ink: Ink, scene: Scene, colours: Colours): void {
  const height = ink.canvas.clientHeight
  const marks = axisTicks(scene)
  const step = (marks[1] ?? 0) - (marks[0] ?? 0)
  const decimals = step >= 1 || step === 0 ? 0 : step >= 0.1 ? 1 : 2
  ink.strokeStyle = colours('grid')
  ink.fillStyle = colours('quiet')
  for (const at of marks) {
    line(ink, scene.x(at), height - 5, scene.x(at), height)
    ink.fillText(clock(at, decimals), scene.x(at) + 3, height - 6)
  }
  paintViolations(ink, scene, colours, height)
  let end = 0
  const flag = (at: number, text: string, colour: string): void => {
    const x = Math.max(0, scene.x(at))
    const width = ink.measureText(text).width + 8
    if (x < end || x > scene.width) return
    ink.fillStyle = colours(colour)
    ink.fillRect(x, 2, width, 15)
    ink.fillStyle = colours('ground')
    ink.fillText(text, x + 4, 13)
    end = x + width + 3
  }
  const { violations } = scene.recording
  const inView = violations.filter((one) => one.at >= scene.span.from && one.at <= scene.span.to)
  const flags = [
    ...inView.map((one) => ({ at: one.at, text: one.rule, colour: 'violation' })),
    ...scene.faults().map((one) => ({ at: one.at, text: one.kind, colour: 'fault' })),
  ]
  for (const one of flags.sort((a, b) => a.at - b.at)) flag(one.at, one.text, one.colour)
}

/** The whole run: how much was sent when, the faults and violations, and which part is in view. */
export function paintOverview(ink: Ink, scene: Scene, colours: Colours): void {
  const { clientWidth: width, clientHeight: height } = ink.canvas
  const { whole, recording, span } = scene
  const x = (at: number): number => ((at - whole.from) / (whole.to - whole.from)) * width
  const counts = new Uint32Array(Math.ceil(width / 3) + 1)
  for (const at of scene.sent) {
    const column = Math.floor(x(at) / 3)
    counts[column] = (counts[column] ?? 0) + 1
  }
  const unit = (height - 6) / Math.sqrt(counts.reduce((most, count) => Math.max(most, count), 1))
  ink.fillStyle = colours('life')
  counts.forEach((count, column) => {
    ink.fillRect(column * 3, height - Math.sqrt(count) * unit, 2, Math.sqrt(count) * unit)
  })
  ink.fillStyle = colours('fault')
  for (const fault of recording.faults) ink.fillRect(x(fault.at), 0, Math.max(2, x(fault.until ?? 0) - x(fault.at)), 5)
  ink.fillStyle = colours('violation')
  for (const one of recording.violations) ink.fillRect(x(one.at) - 1, 0, 2, height)
  ink.fillStyle = colours('accent')
  ink.globalAlpha = 0.18
  ink.fillRect(x(span.from), 0, Math.max(3, x(span.to) - x(span.from)), height)
  ink.globalAlpha = 1
  ink.strokeStyle = colours('accent')
  ink.lineWidth = 2
  ink.strokeRect(x(span.from) + 1, 1, Math.max(3, x(span.to) - x(span.from) - 2), height - 2)
}

/** For the legend. */
export function colourOf(what: Family | MarkKind): string {
  return families.some((family) => family === what) ? what : `mark-${what}`
}
