/** What a node is asked that registers, looks up and ends names. */
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'
import { anonymous, type Pid, type SkepNode, via } from 'skep'
import { layersOf } from 'skep/internal'
import { Bench } from './actors.js'
import { compare, type Ratio } from './measure.js'
import { clock, drive, type End, type Slice } from './slice.js'

/** Registrations on their way at once where nothing is measured. */
const FILLING = 256

/** Names are looked for so often while they are to come or to go. */
const LOOK_MS = 2

/** Events read in one turn. */
const READ_AT_ONCE = 500

export interface Registered extends Slice {
  readonly last: string
  /** On the clock of the host: when that name was agreed to. */
  readonly lastAt: number
}

export function naming(node: SkepNode) {
  const { tracker } = layersOf(node)
  /** Who holds the names that are registered by hand, by their prefix. */
  const holders = new Map<string, Pid>()

  const holderOf = async (prefix: string): Promise<Pid> => {
    const known = holders.get(prefix)
    if (known !== undefined) return known
    const made = await node.start(Bench, anonymous)
    holders.set(prefix, made)
    return made
  }

  const until = async (enough: (names: number) => boolean, limitMs: number): Promise<number> => {
    const end = clock() + limitMs
    while (!enough(tracker.stats().names)) {
      if (clock() > end) throw new Error(`${node.name} has ${tracker.stats().names} names after ${limitMs} ms`)
      await pause(LOOK_MS)
    }
    return clock()
  }

  const register = async (prefix: string, callers: number, end: End, mode: 'owner' | 'local'): Promise<Registered> => {
    const holder = await holderOf(prefix)
    let last = 0
    let lastAt = 0
    const slice = await drive({
      callers,
      end,
      ask: async (i) => {
        const claim = await tracker.register(`${prefix}-${i}`, holder, { mode })
        if (i >= last) [last, lastAt] = [i, clock()]
        // Agreed to without anybody's word, it would be agreed to for ever before the loop has a turn.
        if (mode === 'local') await turn()
        return claim
      },
      right: (claim, i) => {
        const { name, pid } = claim as { name?: unknown; pid?: Pid }
        return name === `${prefix}-${i}` && pid?.equals(holder) === true
      },
      timed: true,
    })
    return { ...slice, last: `${prefix}-${slice.ops - 1}`, lastAt }
  }

  return {
    register,
    fill: (prefix: string, count: number): Promise<Registered> => register(prefix, FILLING, { ops: count }, 'local'),
    /** Ends the actor that holds all names of the prefix. */
    release: async (prefix: string): Promise<void> => {
      const holder = holders.get(prefix)
      if (holder === undefined) return
      holders.delete(prefix)
      await node.ref(Bench, holder).$.stop('released')
    },
    missing: (prefix: string, count: number, holder: string): number => missingOf(node, prefix, count, holder),
    /** When the name was seen here, at the earliest when this was asked. */
    seen: async (name: string, limitMs: number): Promise<number> => {
      const end = clock() + limitMs
      while (node.whereis(name) === undefined) {
        if (clock() > end) throw new Error(`${node.name} has no ${name} after ${limitMs} ms`)
        await turn()
      }
      return clock()
    },
    names: (): number => tracker.stats().names,
    /** How many names a stream of events begins with. */
    readAll: async (): Promise<number> => {
      const end = new AbortController()
      let read = 0
      for await (const event of tracker.events({ signal: end.signal })) {
        if (event.type === 'missed' || event.reason !== 'present') throw new Error(`there was ${JSON.stringify(event)}`)
        read++
        if (read >= tracker.stats().names) end.abort()
        // The stream is not what keeps the loop from its other work: it has what was there already.
        if (read % READ_AT_ONCE === 0) await turn()
      }
      return read
    },
    /** When so many names at least, or at most, were in the index. */
    full: (names: number, limitMs: number): Promise<number> => until((now) => now >= names, limitMs),
    clean: (names: number, limitMs: number): Promise<number> => until((now) => now <= names, limitMs),
    spawnSlice: (prefix: string, callers: number, end: End): Promise<Slice> =>
      drive({
        callers,
        end,
        ask: (i) => node.spawn(Bench, via(`${prefix}-${i}`)),
        right: (pid, i) => (pid as Pid).equals(node.whereis(`${prefix}-${i}`)),
        timed: true,
      }),
    /** How many of them do not answer from where the registry says that they are; and stops them. */
    endSpawned: async (prefix: string, count: number): Promise<number> => {
      let wrong = 0
      const one = async (i: number): Promise<void> => {
        const actor = node.via(Bench, `${prefix}-${i}`)
        if ((await actor.node()) !== node.whereis(`${prefix}-${i}`)?.node) wrong++
        await actor.$.stop('released')
      }
      await inTurns(count, one)
      return wrong
    },
    /** Actors of this node, a name each. */
    startNamed: (prefix: string, count: number): Promise<void> =>
      inTurns(count, async (i) => {
        await node.start(Bench, via(`${prefix}-${i}`, { claim: 'local' }))
      }),
    stopNamed: async (prefix: string, count: number): Promise<number> => {
      const begun = clock()
      await inTurns(count, (i) => node.via(Bench, `${prefix}-${i}`).$.stop('done'))
      return begun
    },
    /** Look-ups of all names of these prefixes, in an order of chance, beside those of a Map with the same keys and values. */
    lookups: (prefixes: readonly string[], count: number, rounds: number): Lookups => {
      const names = shuffled(prefixes.flatMap((prefix) => Array.from({ length: count }, (_, i) => `${prefix}-${i}`)))
      const pids = names.map((name) => node.whereis(name))
      const wrong = pids.filter((pid, i) => pid === undefined || pid.node !== (names[i] as string).split('-', 1)[0])
      // Keys of its own: a Map finds the very same string faster than an equal one, and the registry has others than ours.
      const map = new Map(names.map((name, i) => [Buffer.from(name).toString('latin1'), pids[i]] as const))
      const all = (look: (name: string) => Pid | undefined) => (): number => {
        let right = 0
        for (let i = 0; i < names.length; i++) if (look(names[i] as string) === pids[i]) right++
        if (right !== names.length) throw new Error(`${names.length - right} look-ups were answered wrongly`)
        return right
      }
      const ratio = compare(
        all((name) => node.whereis(name)),
        all((name) => map.get(name)),
        rounds,
      )
      return { ratio, wrong: wrong.length }
    },
  }
}

/** How many of `PREFIX-0` to `PREFIX-(count - 1)` are not seen on `node` with that one as their holder. */
export function missingOf(node: SkepNode, prefix: string, count: number, holder: string): number {
  let missing = 0
  for (let i = 0; i < count; i++) if (node.whereis(`${prefix}-${i}`)?.node !== holder) missing++
  return missing
}

export interface Lookups {
  readonly ratio: Ratio
  /** Names whose holder was not the one that registered them. */
  readonly wrong: number
}

async function inTurns(count: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0
  const one = async (): Promise<void> => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: FILLING }, one))
}

/** Fisher and Yates, with a generator that is the same each time. */
function shuffled(names: string[]): string[] {
  let state = 1
  for (let i = names.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    const j = state % (i + 1)
    const kept = names[i] as string
    names[i] = names[j] as string
    names[j] = kept
  }
  return names
}
