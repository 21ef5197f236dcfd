/**
 * An exhaustive search through the schedules of a tiny world: depth first, with one delay more in each round, so that
 * what it finds first needs the fewest. A world that was seen with as many delays to spare is not gone into again.
 *
 * Every course is followed to its end: within `depth` actions it may depart from the ordinary one, after that it goes
 * on as that does, until all strokes have come and everything is at rest. Every action is checked on the way.
 */
import { check, restless } from './checks.js'
import { Hasher, type Words } from './fingerprint.js'
import { type Fault, names, type Scenario } from './scenario.js'
import { type Choice, delays, isFree, ordinary, strokes } from './schedule.js'
import { story } from './story.js'
import { type Action, type Complaint, Stage, type Tiny } from './tiny.js'

export interface ExploreOptions {
  readonly nodes: 2 | 3
  readonly fault: Fault
  /** Most delays of a course. */
  readonly delays: number
  /** Actions from the start within which a course may depart from the ordinary one. */
  readonly depth: number
  /** Worlds remembered before the search is given up. */
  readonly maxStates: number
}

export interface Finding extends Complaint {
  readonly delays: number
  /** The actions that lead there, a line each; `*`: not the ordinary course. */
  readonly story: readonly string[]
}

export interface Exploration {
  readonly explored: ExploreOptions & { readonly names: number }
  /** Different worlds. */
  readonly states: number
  readonly transitions: number
  /** Transitions that led to a world seen before. */
  readonly deduplicated: number
  /** Courses that came to rest. */
  readonly leaves: number
  readonly deepest: number
  readonly violations: number
  /** Nothing was left out but what the number of delays excludes. */
  readonly complete: boolean
  /** What else cut the search short. */
  readonly cutBy: 'depth' | 'states' | 'violation' | undefined
  readonly found: readonly Finding[]
}

/** Longer is a world that never comes to rest. */
const MAX_COURSE = 5000

const FRAME_MS = 200
const CUT_MS = 500

/** Searches all schedules with 0, then 1, up to `options.delays` delays; ends with the round that found something. */
export function explore(options: ExploreOptions): Exploration {
  const search = new Search(options)
  for (let delays = 0; delays <= options.delays && !search.ended; delays++) search.round(delays)
  return search.result()
}

class Search {
  private readonly options: ExploreOptions
  private readonly stage = new Stage()
  private readonly scenario: Scenario
  private readonly path: Action[] = []
  /** The most delays that were to spare in each world seen. */
  private seen = new Map<string, number>()
  private transitions = 0
  private deduplicated = 0
  private leaves = 0
  private deepest = 0
  private violations = 0
  private byDepth = false
  private full = false
  private shortest: (Complaint & { readonly path: readonly Action[] }) | undefined
  private delays = 0

  constructor(options: ExploreOptions) {
    this.options = options
    this.scenario = { nodes: options.nodes, fault: options.fault, frameMs: FRAME_MS, cutMs: CUT_MS }
  }

  get ended(): boolean {
    return this.full || this.shortest !== undefined
  }

  round(delays: number): void {
    this.delays = delays
    this.seen = new Map()
    this.transitions = 0
    this.deduplicated = 0
    this.leaves = 0
    this.byDepth = false
    this.visit(this.stage.root(this.scenario), delays)
  }

  result(): Exploration {
    const { shortest, full, byDepth } = this
    return {
      explored: { ...this.options, names: names.length },
      states: this.seen.size,
      transitions: this.transitions,
      deduplicated: this.deduplicated,
      leaves: this.leaves,
      deepest: this.deepest,
      violations: this.violations,
      complete: !full && !byDepth && shortest === undefined,
      cutBy: shortest !== undefined ? 'violation' : full ? 'states' : byDepth ? 'depth' : undefined,
      found: shortest === undefined ? [] : [this.told(shortest)],
    }
  }

  private told({ rule, text, path }: Complaint & { readonly path: readonly Action[] }): Finding {
    return { rule, text, delays: this.delays, story: story(this.scenario, path) }
  }

  /** Every course from this world with so many delays to spare. */
  private visit(world: Tiny, spare: number): void {
    const { path } = this
    if (path.length > this.deepest) this.deepest = path.length
    // Of what is found in this round only the shortest way to it is told.
    if (this.full || path.length >= (this.shortest?.path.length ?? Number.POSITIVE_INFINITY)) return
    if (this.isSeen(world, spare)) return
    const mayDepart = path.length < this.options.depth
    const choices = this.choices(world, mayDepart ? spare : 0, mayDepart)
    if (choices.length === 0) {
      this.leaves++
      return
    }
    for (const { action, cost } of choices) {
      path.push(action)
      this.transitions++
      // Its fingerprint is noted, and no other way leads on from here.
      const next = this.perform(world, action, choices.length === 1)
      if (next !== undefined) this.visit(next, spare - cost)
      path.pop()
    }
  }

  /** The next world; undefined where a rule is broken and the course ends. */
  private perform(world: Tiny, action: Action, spent: boolean): Tiny | undefined {
    let complaints: Complaint[]
    try {
      const next = this.stage.apply(world, action, spent)
      for (const index of this.stage.touched) nodeWords.delete(next.nodes[index] as object)
      complaints = check(next, this.stage.touched, this.stage.complaints)
      if (this.path.length > MAX_COURSE) complaints.push({ rule: 'stuck', text: `no rest after ${MAX_COURSE} actions` })
      if (complaints.length === 0) return next
    } catch (error) {
      complaints = [{ rule: 'thrown', text: error instanceof Error ? (error.stack ?? error.message) : String(error) }]
    }
    this.violations++
    const [first] = complaints
    if (first !== undefined && this.path.length < (this.shortest?.path.length ?? Number.POSITIVE_INFINITY)) {
      this.shortest = { ...first, path: [...this.path] }
    }
    return undefined
  }

  /** The ordinary course comes last: it is the longest, and short courses are to be found first. */
  private choices(world: Tiny, spare: number, mayDepart: boolean): Choice[] {
    const choices: Choice[] = []
    const next = ordinary(world)
    const open = strokes(world)
    if (next === undefined && restless(world) === undefined) {
      // At rest: what has not come yet comes now.
      return open.map((stroke) => ({ action: { type: 'stroke', stroke }, cost: 0 }))
    }
    if (mayDepart) {
      for (const stroke of open) {
        const cost = isFree(world, stroke) ? 0 : 1
        if (cost <= spare) choices.push({ action: { type: 'stroke', stroke }, cost })
      }
      for (const action of spare > 0 ? delays(world) : []) choices.push({ action, cost: 1 })
    } else if (open.length > 0) this.byDepth = true
    if (!mayDepart && this.delays > 0) this.byDepth = true
    choices.push({ action: next ?? { type: 'wake' }, cost: 0 })
    return choices
  }

  private isSeen(world: Tiny, spare: number): boolean {
    const key = fingerprint(world)
    const known = this.seen.get(key)
    if (known !== undefined && known >= spare) {
      this.deduplicated++
      return true
    }
    if (known === undefined && this.seen.size >= this.options.maxStates) {
      this.full = true
      return true
    }
    this.seen.set(key, spare)
    return false
  }
}

const notState: ReadonlySet<string> = new Set(['host', 'replica', 'seen', 'links', 'wires'])
const notWorld: ReadonlySet<string> = new Set(['nodes', 'lanes', 'scenario', 'round', 'idUsers', 'marks', 'owned'])
const nodeWords = new WeakMap<object, Words>()

function fingerprint(world: Tiny): string {
  const hasher = new Hasher()
  for (const node of world.nodes) {
    if (node === undefined) hasher.add(undefined)
    else for (const word of wordsOf(node)) hasher.word(word)
  }
  for (const lane of world.lanes) {
    hasher.word(lane.length)
    for (const { round, sentAt, load } of lane) {
      // What is overdue is of the present round, whenever it was sent.
      hasher.word(Math.max(round - world.round, 0))
      hasher.add(sentAt)
      hasher.add(load)
    }
  }
  hasher.record(world as unknown as Record<string, unknown>, notWorld)
  hasher.word(world.idUsers.size)
  for (const user of [...world.idUsers].sort()) hasher.add(user)
  return String.fromCharCode(...hasher.words().flatMap((word) => [word & 0xffff, word >>> 16]))
}

/** Of a node, which is shared by many worlds. */
function wordsOf(node: Tiny['nodes'][number] & object): Words {
  let words = nodeWords.get(node)
  if (words === undefined) {
    const hasher = new Hasher()
    hasher.record(node as unknown as Record<string, unknown>, notState)
    hasher.add(node.replica.membership)
    hasher.add(node.replica.tracker)
    words = hasher.words()
    nodeWords.set(node, words)
  }
  return words
}
