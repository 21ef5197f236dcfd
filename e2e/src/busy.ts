/** Actors that note in their process what happens to them, for the scenario that looks at promises about actors. */

import { anonymous, child, defineActor, defineSupervisor, type Self, via } from 'skep'

/** Milliseconds on the clock that all processes of a host share. */
export const clock = (): number => Number(process.hrtime.bigint()) / 1e6

/** A piece of work as the process saw it that did it. */
export interface Did {
  readonly desk: string
  /** How many the desk had done before, on whatever node. */
  readonly turn: number
  readonly id: string
  readonly begunAt: number
  endedAt: number | undefined
  aborted: boolean
}

export const did: Did[] = []

/** Works for so long, or until nobody wants it. */
function work(self: Self<{ turns: number }>, id: string, ms: number): Promise<string> {
  const desk = self.name ?? ''
  const mine: Did = { desk, turn: self.state.turns++, id, begunAt: clock(), endedAt: undefined, aborted: false }
  did.push(mine)
  return new Promise((resolve) => {
    const timer = setTimeout(() => end(), ms)
    const end = (): void => {
      clearTimeout(timer)
      mine.endedAt ??= clock()
      resolve(`${desk} did ${id}`)
    }
    self.signal.addEventListener('abort', () => {
      mine.aborted = true
      end()
    })
  })
}

export const Desk = defineActor('desk', { init: () => ({ turns: 0 }), on: { work } })

/** Passes calls on: their deadline goes along by itself. */
export const Relay = defineActor('relay', {
  init: () => 0,
  on: {
    pass: (self, desk: string, id: string, ms: number, key: string | undefined): Promise<string> => {
      const options = { signal: self.signal, ...(key === undefined ? {} : { key }) }
      return self.node.via(Desk, desk).$.with(options).work(id, ms)
    },
  },
  reentrant: true,
})

/** Whether each `init` of a Frail fails in this process. */
export const trouble: { on: boolean } = { on: false }

/** Names of the Frails whose `init` began in this process, one for each time. */
export const attempts: string[] = []

export const FRAIL_TIMES = 3

export const Frail = defineActor('frail', {
  init: (name: string) => {
    attempts.push(name)
    if (trouble.on) throw new Error(`${name} has no disk`)
    return 0
  },
  on: { fall: (self) => self.crash(new Error('the disk is gone')), process: () => process.pid },
  restart: { policy: 'transient', times: FRAIL_TIMES, withinMs: 60_000 },
})

/** Keeps the event loop, or only its caller. */
export const Hog = defineActor('hog', {
  init: () => 0,
  on: {
    block: (_self, ms: number) => {
      const end = clock() + ms
      while (clock() < end);
    },
    wait: async (_self, ms: number) => {
      await new Promise((resolve) => setTimeout(resolve, ms))
    },
  },
})

export const Till = defineActor('till', {
  init: () => 0,
  on: { process: () => process.pid, fall: (self) => self.crash(new Error('jammed')), pid: (self) => String(self.pid) },
})

/** A child with a name and one without. */
export const Shop = defineSupervisor('shop', {
  children: (name: string) => ({ front: child(Till, via(`${name}-front`)), back: child(Till, anonymous) }),
})
