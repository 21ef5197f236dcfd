/** What the compiler says of classes: everything is inferred from them, and what could never work is refused. */
import { describe, expectTypeOf, test } from 'vitest'
import {
  type ActorNode,
  anonymous,
  type ClassOptions,
  type Down,
  fromClass,
  type InitArgs,
  type RefOf,
  type Self,
  type StateOf,
  selfOf,
  via,
} from '../src/index.js'

class Base {
  protected log: string[] = []
  lines(): string[] {
    return this.log
  }
}

class Account extends Base {
  static readonly options = {
    kind: 'account',
    restart: 'permanent',
    handoff: { in: (saved: { balance: number }) => Object.assign(new Account('x'), saved) },
  } satisfies ClassOptions<Account>

  readonly owner: string
  balance = 0
  private secret = 1

  constructor(owner: string, balance = 0) {
    super()
    this.owner = owner
    this.balance = balance
  }

  get rich(): boolean {
    return this.balance > 1e6
  }

  deposit(amount: number, note?: string): number {
    this.log.push(note ?? '')
    expectTypeOf(selfOf(this)).toEqualTypeOf<Self<this>>()
    return this.add(amount)
  }

  async later(text: string): Promise<{ text: string }> {
    return { text: text + this.secret }
  }

  async *history(from: number): AsyncGenerator<string> {
    yield* this.log.slice(from)
  }

  onStart(): void {}

  onStop(reason: string): void {
    this.log.push(reason)
  }

  onExit(down: Down): void {
    this.log.push(down.reason)
  }

  onConflict(theirs: Account): void {
    this.balance += theirs.balance
  }

  _audit(): number {
    return this.balance
  }

  private add(amount: number): number {
    this.balance += amount
    return this.balance
  }
}

class Box<T> {
  item: T
  constructor(item: T) {
    this.item = item
  }
  take(): T {
    return this.item
  }
}

declare const node: ActorNode

/** Checked by the compiler alone: nothing in it runs. */
function compiled(_check: () => void): void {}

describe('the compiler', () => {
  test('infers state, arguments, methods and streams from a class without one annotation', () => {
    const Accounts = fromClass(Account)
    type A = RefOf<typeof Accounts>
    expectTypeOf<InitArgs<typeof Accounts>>().toEqualTypeOf<[owner: string, balance?: number | undefined]>()
    expectTypeOf<StateOf<typeof Accounts>>().toEqualTypeOf<Account>()
    expectTypeOf<A['deposit']>().toEqualTypeOf<(amount: number, note?: string) => Promise<number>>()
    expectTypeOf<A['later']>().toEqualTypeOf<(text: string) => Promise<{ text: string }>>()
    expectTypeOf<A['history']>().toEqualTypeOf<(from: number) => AsyncIterable<string>>()
    expectTypeOf<A['lines']>().toEqualTypeOf<() => Promise<string[]>>()
  })

  test('hides fields, accessors, hooks, and what is private or begins with _', () => {
    type A = RefOf<ReturnType<typeof fromClass<typeof Account>>>
    expectTypeOf<keyof A>().toEqualTypeOf<'deposit' | 'later' | 'history' | 'lines' | '$'>()
    expectTypeOf<keyof A['$']['cast']>().toEqualTypeOf<'deposit' | 'later' | 'lines'>()
  })

  test('refuses wrong calls of an actor of a class', () => {
    compiled(() => {
      const Accounts = fromClass(Account)
      node.start(Accounts, via('a'), 'ann')
      node.start(Accounts, anonymous, 'ann', 3)
      // @ts-expect-error the constructor wants a string
      node.start(Accounts, via('a'))
      // @ts-expect-error the constructor wants a string
      node.spawn(Accounts, via('a'), 7)
      const a = node.via(Accounts, 'a')
      // @ts-expect-error a wrong argument
      a.deposit('2')
      // @ts-expect-error no such method
      a.withdraw(2)
      // @ts-expect-error not callable
      a._audit()
      // @ts-expect-error private
      a.add(1)
      // @ts-expect-error a field
      a.balance
      // @ts-expect-error a stream is no promise
      a.history(0).then
    })
  })

  test('takes a generic class with its argument', () => {
    const Texts = fromClass(Box<string>)
    expectTypeOf<RefOf<typeof Texts>['take']>().toEqualTypeOf<() => Promise<string>>()
    expectTypeOf<InitArgs<typeof Texts>>().toEqualTypeOf<[item: string]>()
  })

  test('refuses classes that could never work', () => {
    class Thenable {
      then(): void {}
    }
    class SyncGenerator {
      *items(): Generator<number> {
        yield 1
      }
    }
    class WrongOption {
      static options = { restart: 'always' }
      n = 1
    }
    class WrongHook {
      onStop(count: number): number {
        return count
      }
    }
    class WrongExit {
      onExit(reason: string): string {
        return reason
      }
    }
    abstract class Unfinished {
      abstract value(): number
    }
    compiled(() => {
      // @ts-expect-error a reserved name
      fromClass(Thenable)
      // @ts-expect-error a generator that is not async
      fromClass(SyncGenerator)
      // @ts-expect-error no such policy
      fromClass(WrongOption)
      // @ts-expect-error onStop gets a reason
      fromClass(WrongHook)
      // @ts-expect-error onExit gets the end
      fromClass(WrongExit)
      // @ts-expect-error it cannot be made
      fromClass(Unfinished)
      // @ts-expect-error no class
      fromClass({ init: () => 1 })
      // @ts-expect-error an object that is nobody's
      selfOf(3)
    })
  })
})
