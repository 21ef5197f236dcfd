/** A course of actions as lines for people: replayed from the start, with what each one delivers. */
import { show } from '../machines/trace.js'
import { type Scenario, slots } from './scenario.js'
import { ordinary } from './schedule.js'
import { type Action, endsOf, type Item, nextTimer, Stage, type Stroke, type Tiny } from './tiny.js'

/** One line an action; departures from the ordinary course are marked. */
export function story(scenario: Scenario, path: readonly Action[]): string[] {
  const stage = new Stage()
  const lines: string[] = []
  let world = stage.root(scenario)
  for (const action of path) {
    const usual = ordinary(world)
    const mark = action.type === (usual?.type ?? 'wake') ? ' ' : '*'
    lines.push(`${mark}${world.now.toFixed(0).padStart(7)} ${line(world, action)}`)
    const next = stage.apply(world, action)
    for (const text of changes(world, next)) lines.push(`           ${text}`)
    world = next
  }
  return lines
}

function line(world: Tiny, action: Action): string {
  switch (action.type) {
    case 'deliver':
      return delivery(world, action.lane)
    case 'hold':
      return `put off: ${delivery(world, action.lane)}`
    case 'release':
      return 'what was put off goes on'
    case 'stroke':
      return strokeLine(world, action.stroke)
    case 'wake': {
      const { at, node } = nextTimer(world)
      return node === undefined ? `${at.toFixed(0)}: the cut ends` : `${nameOf(world, node)} wakes at ${at.toFixed(0)}`
    }
  }
}

function strokeLine(world: Tiny, stroke: Stroke): string {
  if (stroke.type === 'heal') return 'the cut ends'
  if (stroke.type === 'cut') return `cut between ${stroke.pair.map((index) => nameOf(world, index)).join(' and ')}`
  if (stroke.type !== 'crash') return `${nameOf(world, stroke.node)}: ${stroke.type}`
  return `${nameOf(world, stroke.node)} crashes; its last frames ${stroke.lastWords ? 'arrive' : 'are lost'}`
}

function delivery(world: Tiny, lane: number): string {
  const { from, to } = endsOf(lane, world.scenario.nodes)
  const load = (world.lanes[lane] as readonly Item[])[0]?.load
  const who = from === to ? nameOf(world, to) : `${nameOf(world, from)} -> ${nameOf(world, to)}`
  switch (load?.type) {
    case 'frame':
      return `${who} ${show(load.frame)}`
    case 'input':
      return `${who} ${show(load.input)}`
    case 'act':
      return `${who}: its user asks: ${load.act.type} ${load.act.name}`
    default:
      return `${who} ${load?.type}`
  }
}

/** Who came to hold or give up what. */
function changes(before: Tiny, after: Tiny): string[] {
  const lines: string[] = []
  for (const node of after.nodes) {
    const old = node === undefined ? undefined : before.nodes[node.index]
    if (node === undefined || old === node) continue
    for (let slot = 0; slot < slots; slot++) {
      const [was, is] = [old?.replica.tracker.held[slot] ?? 0, node.replica.tracker.held[slot]]
      if (was !== is) lines.push(`${node.boot} ${is === 1 ? 'holds' : 'gives up'} slot ${slot}`)
    }
    const was = old?.replica.tracker.registry.logs.get(node.boot)?.claims
    const is = node.replica.tracker.registry.logs.get(node.boot)?.claims
    for (const [name, { fence }] of is ?? []) {
      if (was?.get(name)?.fence !== fence) lines.push(`${node.boot} takes ${name}, fence ${fence}`)
    }
    for (const name of was?.keys() ?? []) if (is?.has(name) !== true) lines.push(`${node.boot} gives up ${name}`)
  }
  return lines
}

function nameOf(world: Tiny, index: number): string {
  return world.nodes[index]?.boot ?? `node ${index + 1}`
}
