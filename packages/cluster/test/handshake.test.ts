import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { Handshake, type HandshakeRules, type Hello, type Refusal, type Step } from '../src/handshake.js'
import { packFrame, unpackFrame } from '../src/wire.js'

function hello(name: string, change: Partial<Hello> = {}): Hello {
  const info = {
    boot: `boot-${name}`,
    name,
    address: `${name}:1`,
    roles: [],
    weight: 1,
    cordoned: false,
    startedAt: 0,
    kinds: [],
    version: '',
  }
  return {
    min: 1,
    max: 1,
    cluster: 'c',
    info,
    capabilities: [],
    nonce: randomBytes(32),
    phase: 'joining',
    incarnation: 0,
    ...change,
  }
}

function rules(change: Partial<HandshakeRules> = {}): HandshakeRules {
  return { secrets: ['s'], admit: () => undefined, rival: () => 'none', ...change }
}

interface Outcome {
  readonly dialler: Step['end']
  readonly acceptor: Step['end']
}

/** Carries frames between the two until neither has more to say. `tap` sees (and may change) each on its way. */
function run(dialler: Handshake, acceptor: Handshake, tap: (bytes: Buffer) => Buffer = (bytes) => bytes): Outcome {
  const wire: [Handshake, Buffer][] = [
    [acceptor, dialler.opening],
    [dialler, acceptor.opening],
  ]
  const ends = new Map<Handshake, Step['end']>()
  for (let next = wire.shift(); next; next = wire.shift()) {
    const [to, bytes] = next
    if (ends.has(to)) continue
    const step = to.receive(tap(bytes))
    if (step.send) wire.push([to === dialler ? acceptor : dialler, step.send])
    if (step.end) ends.set(to, step.end)
  }
  return { dialler: ends.get(dialler), acceptor: ends.get(acceptor) }
}

function pair(
  d: { hello?: Hello; rules?: HandshakeRules },
  a: { hello?: Hello; rules?: HandshakeRules },
): [Handshake, Handshake] {
  return [
    new Handshake('dialler', d.hello ?? hello('d'), d.rules ?? rules()),
    new Handshake('acceptor', a.hello ?? hello('a'), a.rules ?? rules()),
  ]
}

const denied: Refusal = { code: 'denied', text: 'not you' }
const withSecrets = (...secrets: string[]): { rules: HandshakeRules } => ({ rules: rules({ secrets }) })

describe('a handshake', () => {
  it('brings two nodes of one cluster and secret up on both sides', () => {
    expect(run(...pair({}, {}))).toEqual({ dialler: { type: 'up' }, acceptor: { type: 'up' } })
  })

  it('tells whether a side is halted', () => {
    const plain = hello('d')
    const [dialler, acceptor] = pair({ hello: { ...plain, info: { ...plain.info, halted: true } } }, {})
    run(dialler, acceptor)
    expect(acceptor.peer?.info.halted).toBe(true)
    expect(dialler.peer?.info.halted).toBeUndefined()
  })

  it.each([
    ['another cluster', 'cluster', { hello: hello('d', { cluster: 'other' }) }, {}],
    ['another secret', 'secret', withSecrets('wrong'), {}],
    ['no secret against one', 'secret', withSecrets(''), {}],
    ['a version too new', 'version', { hello: hello('d', { min: 2, max: 3 }) }, {}],
    ['a name that the acceptor denies', 'denied', {}, { rules: rules({ admit: () => denied }) }],
    ['a name that the dialler denies', 'denied', { rules: rules({ admit: () => denied }) }, {}],
    ['itself', 'self', { hello: hello('x') }, { hello: hello('x') }],
    ['a rival that the dialler has', 'duplicate', { rules: rules({ rival: () => 'duplicate' }) }, {}],
  ])('with %s is refused, and both sides know why', (_what, code, d, a) => {
    const outcome = run(...pair(d, a))
    for (const end of [outcome.dialler, outcome.acceptor]) {
      expect(end).toMatchObject({ type: 'refused', refusal: { code } })
    }
  })

  it.each([
    [['new', 'old'], ['old']],
    [['old'], ['new', 'old']],
    [['new', 'old'], ['new']],
    [
      ['new', 'old'],
      ['newer', 'new'],
    ],
  ])('with secrets %j and %j in rotation goes well', (ours, theirs) => {
    expect(run(...pair(withSecrets(...ours), withSecrets(...theirs))).dialler).toEqual({ type: 'up' })
  })

  it('with no secret in common is refused without a word about which', () => {
    const { dialler } = run(...pair(withSecrets('new', 'old'), withSecrets('other')))
    expect(JSON.stringify(dialler)).not.toMatch(/new|old|other/)
  })

  it('is up at nobody when anything in a HELLO was changed on the way', () => {
    let changed = false
    const outcome = run(...pair({}, {}), (bytes) => {
      const frame = unpackFrame(bytes) as unknown[]
      if (frame[0] !== 1 || changed) return bytes
      changed = true
      frame[9] = 'mallory'
      return packFrame(frame)
    })
    expect(outcome).toMatchObject({
      dialler: { type: 'refused' },
      acceptor: { type: 'refused', refusal: { code: 'secret' } },
    })
  })

  it('does not take its own proof back from a mirror', () => {
    const dialler = new Handshake('dialler', hello('d'), rules())
    const mirrored = unpackFrame(dialler.opening) as unknown[]
    mirrored[8] = 'boot-mirror'
    const step = dialler.receive(packFrame(mirrored))
    expect(step.send).toBeDefined()
    expect(dialler.receive(step.send as Buffer).end).toMatchObject({ refusal: { code: 'secret' } })
  })

  it('tells a stranger nothing that depends on the secret: the acceptor proves nothing first', () => {
    const acceptor = new Handshake('acceptor', hello('a'), rules())
    expect(acceptor.receive(new Handshake('dialler', hello('d'), rules()).opening)).toEqual({})
  })

  it('ignores fields that a newer minor version appends to HELLO', () => {
    const acceptor = new Handshake('acceptor', hello('a'), rules())
    const frame = unpackFrame(new Handshake('dialler', hello('d', { max: 2 }), rules()).opening) as unknown[]
    expect(acceptor.receive(packFrame([...frame, { more: 1 }]))).toEqual({})
    expect(acceptor.peer?.info.name).toBe('d')
  })

  it('holds an answer until the rival is decided', () => {
    for (const [rivalIsUp, state] of [
      [true, 'over'],
      [false, 'committed'],
    ] as const) {
      const [dialler, acceptor] = pair({}, { rules: rules({ rival: () => 'wait' }) })
      acceptor.receive(dialler.opening)
      expect(acceptor.receive(dialler.receive(acceptor.opening).send as Buffer)).toEqual({})
      expect(acceptor.state).toBe('held')
      acceptor.resume(rivalIsUp)
      expect(acceptor.state).toBe(state)
    }
  })

  it.each([
    ['proof before HELLO', packFrame([2, [randomBytes(32)]])],
    ['UP before HELLO', packFrame([4])],
    ['a ping before HELLO', packFrame([16, 1])],
    ['garbage', Buffer.from([0xc1, 0xff, 0x00])],
    ['a truncated HELLO', new Handshake('dialler', hello('d'), rules()).opening.subarray(0, 40)],
    ['no array', packFrame([1]).subarray(1)],
    ['a HELLO without anything', packFrame([1])],
    ['a HELLO with a short nonce', new Handshake('dialler', hello('d', { nonce: randomBytes(3) }), rules()).opening],
    ['nothing', Buffer.alloc(0)],
  ])('is over at %s', (_what, bytes) => {
    const acceptor = new Handshake('acceptor', hello('a'), rules())
    expect(acceptor.receive(bytes).end).toMatchObject({ type: 'refused', by: 'us', refusal: { code: 'malformed' } })
    expect(acceptor.state).toBe('over')
  })

  it('takes UP from a dialler only after both proofs', () => {
    const [dialler, acceptor] = pair({}, {})
    acceptor.receive(dialler.opening)
    expect(acceptor.receive(packFrame([4])).end).toMatchObject({ type: 'refused' })
  })
})
