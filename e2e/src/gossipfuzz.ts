/**
 * Datagrams of somebody without the secret, a million of them, to nodes that gossip: random ones, recorded ones bent,
 * cut, mixed and sent again, good ones of another key and in the clear. Nothing comes of any.
 *
 * They go by multicast over the loopback interface, so that each node gets each. Between two handfuls the attacker waits
 * until the nodes have read them: what the kernel drops tests nothing.
 */

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { maxPacketBytes, sealPacket } from '@skep/cluster/internal'
import { mustHold } from './faults.js'
import { allReady, askAll, clock, type Node, startOne, uniqueCluster, withOutputs } from './nodes.js'
import { randomFrom } from './random.js'
import { Checks, eventually, type Report, type Say } from './scenario.js'
import { answered, everybodyKnown } from './whole.js'

export interface GossipFuzzOptions {
  readonly datagrams: number
  readonly seed: number
}

const GROUP = '239.255.115.107'
const VIA = '127.0.0.1'
const NODES = 3
/** Sent before the attacker waits: a socket's buffer holds so many of the longest (212,992 bytes by default). */
const HANDFUL = 64
/** Longer than this nobody waits for a handful: some of it was lost. */
const HANDFUL_MS = 200
/** Recorded beats that are bent and sent again: the latest ones, since old ones are dropped for that alone. */
const RECORDED = 64
/** Addresses that only forged beats name. */
const FORGED = Array.from({ length: 1000 }, (_, i) => `10.66.${i >> 8}.${i & 255}:4370`)
/** The first measure: what the code of a young process still takes is taken by then. */
const WARM = 0.2
/** A leak of three bytes a datagram is more than that, in a run of a million. */
const HEAP_BYTES = 3e6
const RSS_BYTES = 64e6

export async function gossipfuzz({ datagrams, seed }: GossipFuzzOptions, say: Say): Promise<Report> {
  const checks = new Checks(say)
  const figures: Record<string, unknown> = { datagrams, seed }
  say(`gossipfuzz: ${datagrams} datagrams to ${NODES} nodes, --seed ${seed}`)
  await checks.part('gossipfuzz', async () => {
    const cluster = uniqueCluster()
    const attacker = await openAttacker(cluster, seed)
    try {
      await attack(checks, cluster, attacker, datagrams, figures, say)
    } finally {
      await attacker.close()
    }
  })
  return { scenario: 'gossipfuzz', checks: checks.all, figures }
}

async function attack(
  checks: Checks,
  cluster: string,
  attacker: Attacker,
  datagrams: number,
  figures: Record<string, unknown>,
  say: Say,
): Promise<void> {
  const gossip = { port: attacker.port, interface: VIA, intervalMs: 500 }
  const shared = { cluster, secret: 'not known to the attacker', gossip }
  const options = { flags: ['--expose-gc'] }
  const nodes = Array.from({ length: NODES }, (_, i) => startOne({ ...shared, name: `node-${i + 1}` }, options))
  const goes = startOne({ ...shared, name: 'goes' })
  await withOutputs([...nodes, goes], async () => {
    await allReady([...nodes, goes], clock())
    await mustHold(everybodyKnown([...nodes, goes]))
    await nodes[0]?.ask('spawnAll', ['witness'])
    const gone = await goes.ask('address')
    await replayed(checks, attacker, nodes, goes, gone)

    await flood(attacker, nodes, Math.round(datagrams * WARM))
    const early = await held(nodes)
    const began = clock()
    const rest = datagrams - Math.round(datagrams * WARM)
    const lost = await flood(attacker, nodes, rest)
    const perS = Math.round(rest / ((clock() - began) / 1000))
    const late = await held(nodes)
    const counts = await askAll(nodes, 'gossipCounts')
    Object.assign(figures, { sent: attacker.sent, perS, lost, counts, early, late })
    say(`  sent ${JSON.stringify(attacker.sent)}, ${perS} a second; the kernel lost ${lost} of ${rest} or more`)
    for (const [i, count] of counts.entries()) say(`  ${nodes[i]?.name}: ${JSON.stringify(count)}`)
    say(`  held, early and late: ${JSON.stringify([early, late])}`)

    const read = counts.map((one) => taken(one) / datagrams)
    checks.check('each node read 9 of 10 datagrams and more', Math.min(...read) > 0.9, read.join(' '))
    const named = (await askAll(nodes, 'named', FORGED)).flat()
    checks.check('no address of a forged beat was ever named or dialled', named.length === 0, JSON.stringify(named))
    checks.check(
      'no log has one',
      nodes.every((node) => !node.output().includes('10.66.')),
    )
    checks.check('the node that went was not named anew', !(await namedNow(nodes, gone)), gone)
    const heap = Math.max(...late.map(({ heapBytes }, i) => heapBytes - (early[i]?.heapBytes ?? 0)))
    const rss = Math.max(...late.map(({ rssBytes }, i) => rssBytes - (early[i]?.rssBytes ?? 0)))
    checks.check(`the heap grew by less than ${HEAP_BYTES / 1e6} MB`, heap < HEAP_BYTES, `${heap}`)
    checks.check(`all memory grew by less than ${RSS_BYTES / 1e6} MB`, rss < RSS_BYTES, `${rss}`)
    await mustHold(everybodyKnown(nodes))
    const silent = await answered(nodes, ['witness'])()
    checks.check('the nodes go on: each knows each, and calls are answered', silent === undefined, silent)
    const downs = (await askAll(nodes, 'downs')).flat().filter(({ name }) => name !== goes.name)
    checks.check('none of them was ever declared down', downs.length === 0, JSON.stringify(downs))
  })
}

/** One node goes; all that was heard of it is sent again while it is fresh. */
async function replayed(
  checks: Checks,
  attacker: Attacker,
  nodes: readonly Node[],
  goes: Node,
  address: string,
): Promise<void> {
  await eventually(
    10_000,
    () => attacker.recorded.length,
    (count) => count >= RECORDED / 2,
  )
  const recorded = [...attacker.recorded]
  checks.check('there are beats to be sent again', recorded.length >= RECORDED / 2, `${recorded.length}`)
  await goes.kill('SIGKILL')
  const still = await eventually(
    20_000,
    () => namedNow(nodes, address),
    (now) => !now,
  )
  checks.check('a node that was killed is no longer named', !still, address)
  const before = await askAll(nodes, 'gossipCounts')
  for (const packet of recorded) await attacker.send(packet)
  const after = await eventually(
    5000,
    () => askAll(nodes, 'gossipCounts'),
    (counts) => counts.every((count, i) => replays(count) - replays(before[i]) >= recorded.length / 2),
  )
  checks.check(
    'its beats are known again by each node, as are those of the others',
    after.every((count, i) => replays(count) - replays(before[i]) >= recorded.length / 2),
    JSON.stringify([before, after]),
  )
  checks.check('and name nobody anew', !(await namedNow(nodes, address)), address)
}

type Counts = Awaited<ReturnType<typeof askAll<'gossipCounts'>>>[number]

async function namedNow(nodes: readonly Node[], address: string): Promise<boolean> {
  const named = await askAll(nodes, 'named', [address])
  return named.flat().some(({ now }) => now)
}

function replays(counts: Counts): number {
  return counts?.dropped.replayed ?? 0
}

/** Datagrams of others that came to nothing: of what came back to it, its own beats are not. */
function taken(counts: Counts): number {
  const dropped = Object.values(counts?.dropped ?? {}).reduce((sum, count) => sum + count, 0)
  return dropped - (counts?.sent ?? 0)
}

async function held(nodes: readonly Node[]): Promise<{ heapBytes: number; rssBytes: number }[]> {
  const all = await askAll(nodes, 'held')
  const rss = await askAll(nodes, 'rss')
  return all.map(({ heapBytes }, i) => ({ heapBytes, rssBytes: rss[i] ?? 0 }))
}

/** Sends so many, as fast as the nodes read; gives how many at least one of them did not get. */
async function flood(attacker: Attacker, nodes: readonly Node[], datagrams: number): Promise<number> {
  const read = async (): Promise<number[]> => (await askAll(nodes, 'gossipCounts')).map(taken)
  let lost = 0
  let before = await read()
  for (let sent = 0; sent < datagrams; sent += HANDFUL) {
    const count = Math.min(HANDFUL, datagrams - sent)
    await Promise.all(Array.from({ length: count }, () => attacker.send(attacker.invent())))
    const end = clock() + HANDFUL_MS
    const missing = (now: readonly number[]): number =>
      Math.max(...now.map((total, i) => count - (total - (before[i] ?? 0))))
    let now = await read()
    while (missing(now) > 0 && clock() < end) now = await read()
    lost += Math.max(0, missing(now))
    before = now
  }
  return lost
}

interface Attacker {
  readonly port: number
  /** The latest beats of the nodes. */
  readonly recorded: Buffer[]
  /** What it sent, by kind. */
  readonly sent: Record<string, number>
  send(packet: Uint8Array): Promise<void>
  invent(): Buffer
  close(): Promise<void>
}

async function openAttacker(cluster: string, seed: number): Promise<Attacker> {
  const [ear, mouth] = [await bound(), await bound()]
  const { port } = ear.address()
  ear.addMembership(GROUP, VIA)
  mouth.setMulticastInterface(VIA)
  const recorded: Buffer[] = []
  ear.on('message', (packet, from) => {
    // Its own come back too.
    if (from.port !== port) return
    recorded.push(packet)
    if (recorded.length > RECORDED) recorded.shift()
  })
  const random = randomFrom(seed)
  const sent: Record<string, number> = {}
  return {
    port,
    recorded,
    sent,
    send: (packet) =>
      new Promise((resolve, reject) => mouth.send(packet, port, GROUP, (error) => (error ? reject(error) : resolve()))),
    invent: () => {
      const [kind, packet] = invent(cluster, recorded, (below) => Math.floor(random() * below))
      sent[kind] = (sent[kind] ?? 0) + 1
      return packet
    },
    close: async () => {
      for (const socket of [ear, mouth]) await new Promise<void>((resolve) => socket.close(resolve))
    },
  }
}

/** On a port that is free; the nodes share it. */
async function bound(): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  socket.bind(0)
  await once(socket, 'listening')
  return socket
}

const OTHER_KEY = new Uint8Array(32).fill(7)

function invent(
  cluster: string,
  recorded: readonly Buffer[],
  random: (below: number) => number,
): [kind: string, packet: Buffer] {
  const one = Buffer.from(recorded[random(recorded.length)] ?? Buffer.alloc(64))
  const other = recorded[random(recorded.length)] ?? one
  const some = (length: number): Buffer => Buffer.from(Array.from({ length }, () => random(256)))
  switch (random(9)) {
    case 0:
      return ['random', some(random(300))]
    case 1:
      return ['randomBody', Buffer.concat([one.subarray(0, 6), some(random(300))])]
    case 2:
      return ['cut', one.subarray(0, random(one.length))]
    case 3:
      return ['longer', Buffer.concat([one, some(1 + random(8))])]
    case 4:
      return ['mixed', Buffer.concat([one.subarray(0, 1 + random(60)), other.subarray(1 + random(60))])]
    case 5:
      return ['replayed', one]
    case 6:
      return ['otherKey', sealPacket(forged(cluster, random), OTHER_KEY)]
    case 7:
      return random(50) === 0
        ? ['oversized', some(maxPacketBytes + 1)]
        : ['plain', sealPacket(forged(cluster, random), undefined)]
    default:
      for (let i = 0; i <= random(4); i++) one[random(one.length)] = random(256)
      return ['bent', one]
  }
}

/** As right as it can be without the secret. */
function forged(cluster: string, random: (below: number) => number): Parameters<typeof sealPacket>[0] {
  return {
    cluster,
    name: `forged-${random(1000)}`,
    boot: `forged-${random(1_000_000)}`,
    address: FORGED[random(FORGED.length)] ?? '',
    sentAt: Date.now(),
    sequence: 1 + random(2 ** 31),
  }
}
