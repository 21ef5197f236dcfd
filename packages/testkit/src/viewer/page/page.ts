/** The page's wiring: its data, its controls, pointer and keyboard, and the panel that tells what was clicked. */
import { type Packed, unpack } from './packed.js'
import { type Colours, colourOf, inkOf, paintAxis, paintLanes, paintOverview } from './paint.js'
import { subjectOf } from './query.js'
import { families, markKinds } from './recording.js'
import { maxArrows, Scene, type Thing, timeOf } from './scene.js'
import { around, clock, fit, pan, type Span, zoom } from './timeline.js'

/** The element of this id: all of them are in the page that this program is made for. */
function part<E extends HTMLElement>(id: string): E {
  return document.getElementById(id) as E
}

function make(tag: string, className: string, text: string): HTMLElement {
  const element = document.createElement(tag)
  element.className = className
  // Text only: a recording may say anything.
  element.textContent = text
  return element
}

const packed: Packed = JSON.parse(part('recording').textContent ?? '')
const scene = new Scene(unpack(packed))
const { recording } = scene

const [plot, axis, overview] = [
  part<HTMLCanvasElement>('plot'),
  part<HTMLCanvasElement>('axis'),
  part<HTMLCanvasElement>('overview'),
]
const [stage, spacer, labels] = [part('stage'), part('spacer'), part('labels')]
const searchBox = part<HTMLInputElement>('search')
let found: Thing[] = []
let foundAt = -1
let colours = readColours()
let scheduled = false

// -- drawing

function readColours(): Colours {
  const style = getComputedStyle(document.documentElement)
  const known = new Map<string, string>()
  return (name) => {
    let colour = known.get(name)
    if (colour === undefined) {
      colour = style.getPropertyValue(`--${name}`).trim()
      known.set(name, colour)
    }
    return colour
  }
}

/** At the next frame of the screen, once. */
function redraw(): void {
  if (scheduled) return
  scheduled = true
  requestAnimationFrame(() => {
    scheduled = false
    draw()
  })
}

function draw(): void {
  scene.width = plot.clientWidth
  scene.height = stage.clientHeight
  scene.scroll = stage.scrollTop
  // As high as what is seen of the lanes, which may be more than one can see: it stays while they scroll behind it.
  plot.style.height = `${scene.height}px`
  placeLanes()
  const lanesInk = inkOf(plot)
  if (lanesInk !== undefined) paintLanes(lanesInk, scene, colours)
  const axisInk = inkOf(axis)
  if (axisInk !== undefined) paintAxis(axisInk, scene, colours)
  const overviewInk = inkOf(overview)
  if (overviewInk !== undefined) paintOverview(overviewInk, scene, colours)
  const { from, to } = scene.span
  const count = scene.frames().length
  const bars = count > maxArrows ? ', as bars: zoom in for arrows' : ''
  part('range').textContent = `${clock(from, 1)} – ${clock(to, 1)} · ${count} frames${bars}`
  plot.dataset.from = String(from)
  plot.dataset.to = String(to)
}

// -- what stands around the lanes

function fillHead(): void {
  document.title = `Skep run, seed ${recording.seed}`
  part('seed').textContent = `Seed ${recording.seed}`
  const { lanes, frames, marks, faults, endedAt, leftOut } = recording
  const lost = frames.filter((frame) => frame.arrived === undefined).length
  const facts = [
    `${lanes.length} boots`,
    `${frames.length} frames (${lost} lost)`,
    `${marks.length} marks`,
    `${faults.length} faults`,
    clock(endedAt, 0),
    ...(leftOut > 0 ? [`too large: ${leftOut} frames and marks left out`] : []),
  ]
  part('facts').textContent = facts.join(' · ')
  part('command').textContent = recording.command
}

function fillViolations(): void {
  const list = part('violations')
  if (recording.violations.length === 0) list.append(make('li', 'none', 'No rule was broken.'))
  recording.violations.forEach((violation, index) => {
    const button = make('button', 'violation', '')
    button.append(make('b', '', violation.rule), make('span', 'when', clock(violation.at, 1)), ` ${violation.text}`)
    button.addEventListener('click', () => showViolation(index))
    const item = document.createElement('li')
    item.append(button)
    list.append(item)
  })
}

/** Looks at what it is about, from shortly before. */
function showViolation(index: number): void {
  const violation = recording.violations[index]
  if (violation === undefined) return
  scene.look(around(violation.at, scene.whole))
  searchBox.value = subjectOf(violation.text)
  search()
  select({ type: 'violation', violation })
}

function fillLegend(): void {
  const counts = new Map<string, number>()
  for (const { family } of recording.frames) counts.set(family, (counts.get(family) ?? 0) + 1)
  for (const { kind } of recording.marks) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  for (const [id, all] of [
    ['families', families],
    ['kinds', markKinds],
  ] as const) {
    for (const what of all) {
      const label = make('label', '', '')
      const box = document.createElement('input')
      box.type = 'checkbox'
      box.name = what
      box.checked = !scene.isHidden(what)
      box.addEventListener('change', () => {
        scene.hide(what, !box.checked)
        search()
      })
      const swatch = make('i', '', '')
      swatch.style.background = `var(--${colourOf(what)})`
      label.append(box, swatch, what, make('small', '', String(counts.get(what) ?? 0)))
      part(id).append(label)
    }
  }
}

/** One label a lane, beside its row; made once, moved when the rows change their height. */
function placeLanes(): void {
  const { row, order } = scene
  spacer.style.height = `${row * order.length}px`
  order.forEach((index, place) => {
    const lane = recording.lanes[index]
    if (lane === undefined) return
    let label = labels.children[place] as HTMLElement | undefined
    if (label === undefined) {
      label = make('li', 'lane', '')
      label.append(make('b', '', lane.name), make('small', '', lane.boot))
      label.title = `${lane.boot} at ${lane.address}`
      label.addEventListener('click', () => selectLane(index))
      labels.append(label)
    }
    label.style.height = `${row}px`
  })
}

// -- search

function search(): void {
  scene.search(searchBox.value)
  found = scene.found()
  foundAt = -1
  tellFound()
  redraw()
}

function tellFound(): void {
  const place = foundAt < 0 ? '' : `${foundAt + 1} of `
  part('found').textContent = scene.searching ? `${place}${found.length} found` : ''
}

/** The next one found, from the middle of what is in view when none is selected yet. */
function step(by: 1 | -1): void {
  if (found.length === 0) return
  if (foundAt < 0) {
    const middle = (scene.span.from + scene.span.to) / 2
    const after = found.findIndex((thing) => timeOf(thing) >= middle)
    foundAt = by > 0 ? after - 1 : after
    if (after < 0) foundAt = by > 0 ? -1 : 0
  }
  foundAt = (foundAt + by + found.length) % found.length
  const thing = found[foundAt]
  if (thing === undefined) return
  bringIntoView(timeOf(thing))
  select(thing)
  tellFound()
}

function bringIntoView(at: number): void {
  const { from, to } = scene.span
  if (at < from || at > to) scene.look(fit(at - (to - from) / 2, to - from, scene.whole))
}

// -- selection

function select(thing: Thing | undefined): void {
  scene.selected = thing
  part('details').replaceChildren(...(thing === undefined ? [part('help-text').cloneNode(true)] : describe(thing)))
  redraw()
}

function laneName(lane: number): string {
  return recording.lanes[lane]?.boot ?? '?'
}

function describe(thing: Thing): Node[] {
  switch (thing.type) {
    case 'frame': {
      const { from, to, sent, arrived, type, family, text } = thing.frame
      const took = arrived === undefined ? 'lost' : `${clock(arrived)} (${(arrived - sent).toFixed(3)} ms later)`
      const facts = { from: laneName(from), to: laneName(to), sent: clock(sent), arrived: took, about: family }
      return panel(type, facts, text)
    }
    case 'mark': {
      const { lane, at, kind, label, text } = thing.mark
      return panel(label, { on: laneName(lane), at: clock(at), about: kind }, text)
    }
    case 'hold': {
      const { lane, what, from, until, text } = thing.hold
      const end = until === undefined ? 'the end of the run' : clock(until)
      return panel(what, { 'held by': laneName(lane), from: clock(from), until: end }, text)
    }
    case 'fault': {
      const { at, until, kind, text, lanes } = thing.fault
      const strikes = lanes.length === 0 ? 'all' : lanes.map(laneName).join(', ')
      return panel(kind, { fault: strikes, at: clock(at), until: until === undefined ? '' : clock(until) }, text)
    }
    case 'violation': {
      const { at, rule, text } = thing.violation
      return panel(rule, { 'rule broken at': clock(at) }, text)
    }
  }
}

function selectLane(index: number): void {
  const lane = recording.lanes[index]
  if (lane === undefined) return
  const when = (at: number | undefined): string => (at === undefined ? '' : clock(at))
  const facts = {
    address: lane.address,
    started: clock(lane.from),
    ready: when(lane.readyAt),
    leaving: when(lane.leavingAt),
    [lane.end ?? 'ended']: when(lane.until),
  }
  scene.selected = undefined
  part('details').replaceChildren(...panel(lane.boot, facts, ''))
  redraw()
}

function panel(title: string, facts: Readonly<Record<string, string>>, text: string): Node[] {
  const list = make('dl', '', '')
  for (const [term, value] of Object.entries(facts)) {
    if (value !== '') list.append(make('dt', '', term), make('dd', '', value))
  }
  return [make('h2', '', title), list, make('pre', '', pretty(text))]
}

/** A line for each part of a value: `{type:ack,slots:0x00}` is hard to read in one. */
function pretty(text: string): string {
  let depth = 0
  return text.replace(/[{[]|[}\]]|,/g, (sign) => {
    if (sign === ',') return depth === 0 || depth > 2 ? sign : `,\n${'  '.repeat(depth)}`
    const opens = sign === '{' || sign === '['
    if (!opens) depth = Math.max(0, depth - 1)
    const line = depth < 2 ? `\n${'  '.repeat(opens ? depth + 1 : depth)}` : ''
    if (opens) depth++
    return opens ? sign + line : line + sign
  })
}

// -- pointer and keyboard

function move(span: Span): void {
  scene.look(span)
  redraw()
}

function zoomBy(factor: number, anchor = (scene.span.from + scene.span.to) / 2): void {
  move(zoom(scene.span, factor, anchor, scene.whole))
}

function panBy(share: number): void {
  move(pan(scene.span, (scene.span.to - scene.span.from) * share, scene.whole))
}

function listen(): void {
  searchBox.addEventListener('input', search)
  searchBox.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') step(event.shiftKey ? -1 : 1)
    if (event.key === 'Escape') plot.focus()
  })
  for (const [id, action] of Object.entries(actions)) part(id).addEventListener('click', action)
  stage.addEventListener('scroll', redraw)
  new ResizeObserver(redraw).observe(stage)
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    colours = readColours()
    redraw()
  })
  plot.addEventListener('wheel', onWheel, { passive: false })
  listenToDrag()
  overview.addEventListener('pointerdown', (event) => {
    overview.setPointerCapture(event.pointerId)
    lookAt(event)
  })
  overview.addEventListener('pointermove', (event) => {
    if (event.buttons === 1) lookAt(event)
  })
  document.addEventListener('keydown', onKey)
}

/** The middle of the view goes to where the overview is touched. */
function lookAt(event: PointerEvent): void {
  const { from, to } = scene.whole
  const at = from + (event.offsetX / overview.clientWidth) * (to - from)
  const length = scene.span.to - scene.span.from
  move(fit(at - length / 2, length, scene.whole))
}

function onWheel(event: WheelEvent): void {
  event.preventDefault()
  const sideways = event.shiftKey ? event.deltaY : event.deltaX
  if (Math.abs(sideways) > Math.abs(event.deltaY) || event.shiftKey) panBy(sideways / scene.width)
  else zoomBy(1.0015 ** event.deltaY, scene.time(event.offsetX))
}

function listenToDrag(): void {
  let began: { x: number; y: number; span: Span; scroll: number } | undefined
  let dragged = false
  plot.addEventListener('pointerdown', (event) => {
    plot.setPointerCapture(event.pointerId)
    began = { x: event.offsetX, y: event.clientY, span: scene.span, scroll: stage.scrollTop }
    dragged = false
  })
  plot.addEventListener('pointermove', (event) => {
    if (began === undefined) return hover(event)
    const [dx, dy] = [event.offsetX - began.x, event.clientY - began.y]
    if (!dragged && Math.hypot(dx, dy) < 4) return
    dragged = true
    stage.scrollTop = began.scroll - dy
    move(pan(began.span, (-dx / scene.width) * (began.span.to - began.span.from), scene.whole))
  })
  plot.addEventListener('pointerup', (event) => {
    if (began !== undefined && !dragged) select(scene.at(event.offsetX, event.offsetY))
    began = undefined
  })
  plot.addEventListener('dblclick', (event) => zoomBy(0.25, scene.time(event.offsetX)))
  plot.addEventListener('pointerleave', () => {
    part('tip').hidden = true
  })
}

function hover(event: PointerEvent): void {
  const thing = scene.at(event.offsetX, event.offsetY)
  const tip = part('tip')
  plot.style.cursor = thing === undefined ? 'grab' : 'pointer'
  tip.hidden = thing === undefined
  if (thing === undefined) return
  tip.textContent = tipOf(thing)
  tip.style.left = `${Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8)}px`
  tip.style.top = `${event.clientY + 16}px`
}

function tipOf(thing: Thing): string {
  switch (thing.type) {
    case 'frame': {
      const { type, from, to, sent, arrived } = thing.frame
      const took = arrived === undefined ? 'lost' : `${(arrived - sent).toFixed(1)} ms`
      return `${type}  ${laneName(from)} → ${laneName(to)}  ${took}`
    }
    case 'mark':
      return `${thing.mark.label}  ${clock(thing.mark.at)}`
    case 'hold':
      return thing.hold.text
    case 'fault':
      return thing.fault.text
    case 'violation':
      return thing.violation.text
  }
}

/** What the buttons of these ids do. */
const actions: Readonly<Record<string, () => void>> = {
  'zoom-in': () => zoomBy(0.5),
  'zoom-out': () => zoomBy(2),
  'show-all': () => move(scene.whole),
  next: () => step(1),
  previous: () => step(-1),
  help: () => select(undefined),
}

const keys: Readonly<Record<string, () => void>> = {
  ArrowLeft: () => panBy(-0.2),
  ArrowRight: () => panBy(0.2),
  ArrowUp: () => stage.scrollBy(0, -scene.row),
  ArrowDown: () => stage.scrollBy(0, scene.row),
  '+': () => zoomBy(0.5),
  '=': () => zoomBy(0.5),
  '-': () => zoomBy(2),
  0: () => move(scene.whole),
  n: () => step(1),
  p: () => step(-1),
  v: nextViolation,
  '/': () => searchBox.focus(),
  '?': () => select(undefined),
  Escape: () => select(undefined),
}

function nextViolation(): void {
  const { selected } = scene
  const at = selected?.type === 'violation' ? recording.violations.indexOf(selected.violation) : -1
  showViolation((at + 1) % Math.max(1, recording.violations.length))
}

function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target === searchBox) return
  const action = keys[event.key]
  if (action === undefined) return
  event.preventDefault()
  action()
}

// Last, when all that it needs is there.
fillHead()
fillViolations()
fillLegend()
placeLanes()
listen()
select(undefined)
if (recording.violations.length > 0) showViolation(0)
