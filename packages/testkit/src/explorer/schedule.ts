/**
 * Which actions a world offers, and what each costs: delay-bounded scheduling (Emmi, Qadeer, Rakamarić 2011).
 *
 * The ordinary course costs nothing. It is that of a network in which every frame takes equally long: deliveries come
 * in rounds, those of one round in the order of their lanes; time passes only when nothing is under way. A schedule
 * departs from it by delays, each of which costs one:
 *
 * - *hold*: the lane whose turn it is waits, with all that comes into it, until nothing else is under way;
 * - *wait*: before a round, or before what was put off goes on, time passes to the next timer, unless a frame would get
 *   too old;
 * - a *stroke* (the last node's start, the fault, its end) that is not free.
 *
 * One stroke is free: it may come at any moment at no cost. It is the fault, or the last node's start where there is
 * no fault. A cut may end at no cost whenever nothing is under way. At rest comes what has not come before. As the
 * number of delays grows, every order of deliveries becomes possible.
 */
import { type Action, type Item, nextTimer, type Stroke, type Tiny } from './tiny.js'

export interface Choice {
  readonly action: Action
  readonly cost: 0 | 1
}

/** The lane whose turn it is, of those that are not `held`; -1 when all are empty. `others`: how many more wait. */
function turn(world: Tiny, held: number): { lane: number; others: number; isNewRound: boolean } {
  let lane = -1
  let round = Number.POSITIVE_INFINITY
  let others = -1
  for (let at = 0; at < world.lanes.length; at++) {
    const first = (world.lanes[at] as readonly Item[])[0]
    if (first === undefined || (held & (1 << at)) !== 0) continue
    others++
    // What is overdue is of this round.
    const due = Math.max(first.round, world.round)
    if (due >= round) continue
    round = due
    lane = at
  }
  return { lane, others, isNewRound: round > world.round }
}

/** What the ordinary course does next; undefined where nothing is under way and only time can pass. */
export function ordinary(world: Tiny): Action | undefined {
  const { lane } = turn(world, world.held)
  if (lane >= 0) return { type: 'deliver', lane }
  return world.held === 0 ? undefined : { type: 'release' }
}

/** The departures from the ordinary course that cost a delay. */
export function delays(world: Tiny): Action[] {
  const { lane, others, isNewRound } = turn(world, world.held)
  const actions: Action[] = []
  if (others > 0) actions.push({ type: 'hold', lane })
  if (isNewRound && (lane >= 0 || world.held !== 0) && mayWait(world)) actions.push({ type: 'wake' })
  return actions
}

function mayWait(world: Tiny): boolean {
  const { at } = nextTimer(world)
  for (const lane of world.lanes) {
    for (const item of lane) if (at > item.sentAt + world.scenario.frameMs) return false
  }
  return true
}

export function isFree(world: Tiny, stroke: Stroke): boolean {
  if (stroke.type === 'start') return world.scenario.fault === 'none'
  return stroke.type !== 'heal' || ordinary(world) === undefined
}

/** The strokes that may come now. */
export function strokes(world: Tiny): Stroke[] {
  const found: Stroke[] = []
  const { nodes, fault } = world.scenario
  if (world.joinsLeft > 0) found.push({ type: 'start', node: nodes - 1 })
  if (world.cut !== undefined) found.push({ type: 'heal' })
  if (!world.faultLeft) return found
  const alive: number[] = []
  for (const node of world.nodes) if (node?.alive === true) alive.push(node.index)
  if (fault === 'cut') {
    for (const a of alive) for (const b of alive) if (a < b) found.push({ type: 'cut', pair: [a, b] })
    return found
  }
  for (const node of alive) {
    if (fault === 'leave') found.push({ type: 'leave', node })
    else found.push({ type: 'crash', node, lastWords: true }, { type: 'crash', node, lastWords: false })
  }
  return found
}
