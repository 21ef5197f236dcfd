/** Actors of plain classes live as those of `defineActor` do, and take their fields with them to other nodes. */
import type { Pid } from '@skep/tracker'
import { describe, expect, test } from 'vitest'
import { type ActorDefinition, anonymous, type ClassOptions, type Down, fromClass, selfOf, via } from '../src/index.js'
import { errorOf, rest, type TestNode, World } from './world.js'

let story: string[] = []

class Ledger {
  protected readonly lines: string[] = []

  read(): string[] {
    return this.lines
  }

  where(): string {
    return 'of the base class'
  }
}

class Account extends Ledger {
  static readonly options = { kind: 'account', mailbox: 3 } satisfies ClassOptions<Account>
  readonly owner: string
  readonly seen = new Map<string, number>()
  balance: number

  constructor(owner: string, balance: number = 0) {
    super()
    if (balance < 0) throw new RangeError('a debt')
    story.push('constructed')
    this.owner = owner
    this.balance = balance
  }

  get rich(): boolean {
    return this.balance > 100
  }

  deposit(amount: number): number {
    this._note(amount)
    this.seen.set(this.owner, amount)
    this.balance += amount
    return this.balance
  }

  override where(): string {
    const { kind, name, node } = selfOf(this)
    return `${kind} ${name} at ${node.name}, rich: ${this.rich}`
  }

  async *upTo(end: number): AsyncGenerator<string> {
    try {
      for (let i = this.balance; i < end; i++) {
        await undefined
        yield String(i)
      }
    } finally {
      story.push(`stream ended, given up: ${selfOf(this).signal.aborted}`)
    }
  }

  async wait(): Promise<boolean> {
    const { signal } = selfOf(this)
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    return signal.aborted
  }

  itself(): this {
    return this
  }

  _note(amount: number): void {
    this.lines.push(`+${amount}`)
  }

  onStart(): void {
    story.push(`start of ${selfOf(this).name} at ${selfOf(this).node.name}`)
  }

  onStop(reason: string): void {
    story.push(`stop of ${selfOf(this).name}: ${reason}`)
  }

  async open(owner: string): Promise<Pid> {
    return await selfOf(this).start(Accounts as ActorDefinition<[string], Account, object>, anonymous, owner)
  }

  onExit({ reason }: Down): void {
    story.push(`a child of ${selfOf(this).name} ends: ${reason}`)
  }

  onConflict(theirs: Account): void {
    this.balance += theirs instanceof Account ? theirs.balance : Number.NaN
  }
}

const Accounts = fromClass(Account)

function two(): { world: World; a: TestNode; b: TestNode } {
  story = []
  const world = new World()
  const [a, b] = ['a', 'b'].map((name) => world.add(name, { actors: [Accounts] })) as [TestNode, TestNode]
  return { world, a, b }
}

describe('an actor of a class', () => {
  test('is made by its constructor, called by its methods and its base class, and streamed by its generators', async () => {
    const { a, b } = two()
    await a.system.start(Accounts, via('x'), 'ann', 5)
    for (const { system } of [a, b]) {
      const x = system.via(Accounts, 'x')
      expect(await x.deposit(2)).toBe(system === a.system ? 7 : 9)
      expect(await x.where()).toBe('account x at a, rich: false')
    }
    const x = b.system.via(Accounts, 'x')
    expect(await x.read()).toEqual(['+2', '+2'])
    const got: string[] = []
    for await (const item of x.upTo(100)) if (got.push(item) === 2) break
    expect(got).toEqual(['9', '10'])
    await x.$.stop('done')
    expect(story).toEqual(['constructed', 'start of x at a', 'stream ended, given up: true', 'stop of x: done'])
  })

  test('has children, and is told of their ends', async () => {
    const { a } = two()
    await a.system.start(Accounts, via('x'), 'ann', 5)
    const pid = await a.system.via(Accounts, 'x').open('bob')
    await a.system.ref(Accounts, pid).$.stop('closed')
    await rest()
    expect(story.at(-1)).toBe('a child of x ends: stopped')
  })

  test('is refused to start where the constructor throws', async () => {
    const { a } = two()
    const error = await errorOf(a.system.start(Accounts, anonymous, 'ann', -1))
    expect([error.code, (error.cause as Error).message]).toEqual(['ERR_INIT_FAILED', 'a debt'])
  })

  test('answers to its public methods alone: no hooks, accessors, fields, names with _', async () => {
    const { a } = two()
    const x = a.system.via(Accounts, 'x') as unknown as Record<string, unknown>
    for (const no of ['onStart', 'onStop', 'onExit', 'onConflict', 'rich', 'balance', '_note', 'constructor'])
      expect(typeof x[no], no).toBe('undefined')
  })

  test('has the signal of the call that runs, and a stream its own, whatever runs between its items', async () => {
    const { a, b } = two()
    await a.system.start(Accounts, via('x'), 'ann')
    const x = b.system.via(Accounts, 'x')
    const ticks = x.upTo(100)[Symbol.asyncIterator]()
    expect((await ticks.next()).value).toBe('0')
    const caller = new AbortController()
    const waited = errorOf(x.$.with({ signal: caller.signal }).wait())
    await rest()
    caller.abort()
    expect((await waited).code).toBe('ERR_ABORTED')
    await x.deposit(1)
    await ticks.return?.()
    await rest()
    expect(story.at(-1)).toBe('stream ended, given up: true')
  })

  test('cannot give itself away', async () => {
    const { a } = two()
    await a.system.start(Accounts, via('x'), 'ann')
    expect((await errorOf(a.system.via(Accounts, 'x').itself())).message).toContain('an instance of Account')
  })

  test('goes to another node with its fields, without its constructor, as an instance of its class', async () => {
    const { world, a, b } = two()
    await b.system.spawn(Accounts, via('x'), 'ann', 100)
    const x = b.system.via(Accounts, 'x')
    await x.deposit(1)
    const { passed } = await world.handOver('x', b)
    passed()
    await rest()
    expect(await x.where()).toBe('account x at b, rich: true')
    expect(await x.deposit(1)).toBe(102)
    expect(await a.system.via(Accounts, 'x').read()).toEqual(['+1', '+1'])
    expect(story).toEqual(['constructed', 'start of x at a', 'start of x at b', 'stop of x: moved'])
  })

  test('stays the same object under new code: what its streams and timers do to it is not lost', async () => {
    const make = (step: number) => {
      class Meter {
        static options = { kind: 'meter' }
        n = 0
        later(): void {
          selfOf<object>(this).after(100, () => {
            this.n += 1000
          })
        }
        async *ticks() {
          for (;;) yield this.tick()
        }
        tick(): number {
          this.n += step
          return this.n
        }
        value(): number {
          return this.n
        }
      }
      return fromClass(Meter)
    }
    const world = new World()
    const Meter = make(1)
    const a = world.add('a', { actors: [Meter] })
    const ref = a.system.ref(Meter, await a.system.start(Meter, anonymous))
    await ref.later()
    const ticks = ref.ticks()[Symbol.asyncIterator]()
    await ticks.next()
    await rest()
    const before = await ref.value()
    expect(await a.system.reload(make(100))).toEqual({ reloaded: 1, failed: [] })
    expect(await ref.tick()).toBe(before + 100)
    await world.time.pass(100)
    expect(await ref.value()).toBe(before + 1100)
    for (let i = 0; i < 16; i++) await ticks.next()
    await rest()
    expect(await ref.value()).toBeGreaterThan(before + 1100)
  })

  test('keeps its old code where the new one has private members that nobody could give it', async () => {
    const make = () => {
      class Safe {
        static options = { kind: 'safe', handoff: false as const }
        #n = 0
        add(): number {
          this.#n += 1
          return this.#n
        }
      }
      return fromClass(Safe)
    }
    const Safe = make()
    const a = new World().add('a', { actors: [Safe] })
    const ref = a.system.ref(Safe, await a.system.start(Safe, anonymous))
    const { failed } = await a.system.reload(make())
    expect(failed.map(({ error }) => String(error))).toEqual([expect.stringMatching(/#private in class Safe/)])
    expect(await ref.add()).toBe(1)
  })

  test('merges another copy, which comes as an instance', async () => {
    const { world, a, b } = two()
    await a.system.start(Accounts, via('x'), 'ann', 1)
    const lost = world.claims.get('x')
    world.claims.delete('x')
    await b.system.start(Accounts, via('x'), 'bob', 10)
    const winner = world.claims.get('x')
    a.deactivate?.({ pid: lost?.pid as never, name: 'x', reason: 'conflict', winner: winner as never })
    await rest()
    expect(await b.system.via(Accounts, 'x').deposit(0)).toBe(11)
  })

  test('takes a state of an older version where its options say how', async () => {
    class Old {
      total = 7
      sum(): number {
        return this.total
      }
    }
    class New {
      static readonly options: ClassOptions<New> = {
        kind: 'Old',
        handoff: { in: (saved: { total: number }) => new New(saved.total) },
      }
      readonly parts: number[]
      constructor(total: number) {
        this.parts = [total]
      }
      sum(): number {
        return this.parts.reduce((all, part) => all + part, 1000)
      }
    }
    const world = new World()
    world.add('a', { actors: [fromClass(Old)] })
    const b = world.add('b', { actors: [fromClass(New)] })
    await b.system.spawn(fromClass(New), via('x'), 1)
    const { passed } = await world.handOver('x', b)
    passed()
    await rest()
    expect(await b.system.via(fromClass(New), 'x').sum()).toBe(1007)
  })
})

describe('fromClass', () => {
  /** As plain JavaScript would call it. */
  const make = fromClass as unknown as (actorClass: unknown) => { kind: string }

  class Hidden {
    #n = 1
    n(): number {
      return this.#n
    }
  }

  test('calls the kind as the class where its options do not', () => {
    expect(make(class Room {}).kind).toBe('Room')
    expect(Accounts.kind).toBe('account')
  })

  test('refuses what is private for the language, unless it is said how that travels', () => {
    expect(() => make(Hidden)).toThrow("fromClass('Hidden'): what is #private in class Hidden cannot be handed over")
    expect(() => make(class Heir extends Hidden {})).toThrow('in class Hidden')
    const half = { handoff: { out: () => 1 } }
    expect(() => make(Object.assign(class extends Hidden {}, { options: { kind: 'h', ...half } }))).toThrow(TypeError)
    for (const handoff of [false, { out: () => 1, in: () => new Hidden() }]) {
      const own = Object.assign(class extends Hidden {}, { options: { kind: 'h', handoff } })
      expect(make(own).kind).toBe('h')
    }
  })

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['a function', () => 1],
    ['an object', { on: {} }],
    ['a class without a name', class {}],
    [
      'a method named then',
      class A {
        then(): void {}
      },
    ],
    [
      'a generator that is not async',
      class A {
        *items(): Generator<number> {
          yield 1
        }
      },
    ],
    [
      'an unknown option',
      class A {
        readonly n = 1
        static options = { mailbx: 3 }
      },
    ],
    [
      'a wrong option',
      class A {
        readonly n = 1
        static options = { mailbox: 0 }
      },
    ],
  ])('refuses %s', (_, actorClass) => {
    expect(() => make(actorClass)).toThrow(TypeError)
  })

  test('gives no self for what is no actor, nor in a constructor', async () => {
    expect(() => selfOf({})).toThrow(TypeError)
    class Early {
      readonly name = selfOf(this).name
    }
    const { a } = two()
    const error = await errorOf(a.system.start(fromClass(Early), anonymous))
    expect(error.message).toContain('use onStart()')
  })
})
