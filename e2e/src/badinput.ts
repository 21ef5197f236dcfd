/**
 * What must not hurt: wrong configurations, strangers at the door, and bytes that mean nothing. Each is refused in
 * words, once, and the cluster beside it goes on as if nothing had been.
 */

import { randomBytes } from 'node:crypto'
import { connect, createServer } from 'node:net'
import { Packr } from 'msgpackr'
import { WebSocket } from 'ws'
import { startAttacker } from './attacker.js'
import { allReady, clock, type Node, startAll, startOne, uniqueCluster } from './nodes.js'
import { runProgram } from './programs.js'
import { Checks, eventually, pause, type Report, type Say, within } from './scenario.js'

const USER = new URL('./user.js', import.meta.url)

/** How long a stranger goes on trying: enough for several redials, so that a line per retry would be seen. */
const KNOCKING_MS = 2500

export async function badinput(say: Say): Promise<Report> {
  const checks = new Checks(say)
  say('badinput: wrong configurations, strangers, garbage')
  await checks.part('wrong configuration', () => wrongConfiguration(checks))
  await checks.part('port in use', () => portInUse(checks))
  await checks.part('strangers', () => strangers(checks))
  await checks.part('garbage', () => garbage(checks))
  return { scenario: 'badinput', checks: checks.all, figures: {} }
}

async function wrongConfiguration(checks: Checks): Promise<void> {
  const config = { nmae: 'x', cluster: '', listen: 'nowhere', weight: -1, secret: '', discovery: 'local' }
  const { code, stderr } = await runProgram(USER, [JSON.stringify(config)], 10_000)
  checks.check('a wrong configuration: exit code 1', code === 1, `exit ${code}\n${stderr}`)
  for (const fault of [
    'name must',
    `nmae is not a key of the configuration; is 'name' meant?`,
    'cluster',
    'listen',
    'weight',
    'secret',
    'discovery',
  ]) {
    checks.check(`it lists '${fault}'`, stderr.includes(`- ${fault}`), stderr)
  }
  checks.check('no stack trace', !/^\s+at /m.test(stderr), stderr)
}

async function portInUse(checks: Checks): Promise<void> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const config = { name: 'late', cluster: uniqueCluster(), listen: `127.0.0.1:${port}`, logger: 'silent' }
  const { code, stderr } = await runProgram(USER, [JSON.stringify(config)], 10_000)
  server.close()
  const lines = stderr.split('\n').filter((line) => line.includes(String(port)))
  checks.check('a port in use: exit code 1', code === 1, `exit ${code}\n${stderr}`)
  checks.check('one line names the port', lines.length === 1 && /ERR_ADDRESS_IN_USE/.test(stderr), stderr)
  checks.check('no stack trace there', !/^\s+at /m.test(stderr), stderr)
}

/** Three nodes with a secret, and what comes to their door. */
async function strangers(checks: Checks): Promise<void> {
  const cluster = uniqueCluster()
  const secret = 'the right one'
  const nodes = startAll(3, { cluster, secret })
  await allReady(nodes, clock())
  await nodes[0]?.ask('spawn', 'witness')
  const peers = await Promise.all(nodes.map((node) => node.ask('address')))
  const guests = [
    startOne({ name: 'wrong-secret', cluster, secret: 'the wrong one', peers }),
    startOne({ name: 'no-secret', cluster, peers }),
    startOne({ name: 'other-cluster', cluster: `${cluster}-other`, secret, peers }),
  ]
  await Promise.all(peers.map(speakOtherVersion))
  await pause(KNOCKING_MS)
  for (const guest of guests) {
    const [own, theirs] = [refusals(guest, ''), nodes.map((node) => refusals(node, guest.name))]
    checks.check(
      `${guest.name}: it says why, once a peer`,
      own.length >= 1 && own.length <= nodes.length,
      guest.output(),
    )
    checks.check(
      `${guest.name}: each node says so once`,
      theirs.every((lines) => lines.length === 1),
      theirs.map((lines) => lines.join('\n') || 'nothing').join('\n'),
    )
  }
  const versions = nodes.map((node) => refusals(node, 'version'))
  checks.check(
    'another protocol version: each node says so once',
    versions.every((lines) => lines.length === 1),
    versions.map((lines) => lines.join('\n') || 'nothing').join('\n'),
  )
  await untouched(checks, 'strangers', nodes)
}

/** Log lines of a refusal that speak of `whom`. */
function refusals(node: Node, whom: string): string[] {
  return node
    .output()
    .split('\n')
    .filter((line) => /refus|reject/i.test(line) && line.includes(whom))
}

/** A peer from the future: it opens a link and offers protocol versions that nobody here knows. */
async function speakOtherVersion(address: string): Promise<void> {
  const socket = await open(address)
  socket.send(pack([1, 90, 99]))
  await closed(socket)
}

async function garbage(checks: Checks): Promise<void> {
  const cluster = uniqueCluster()
  const nodes = startAll(3, { cluster })
  await allReady(nodes, clock())
  await nodes[0]?.ask('spawn', 'witness')
  const address = (await nodes[0]?.ask('address')) ?? ''
  const shots: Record<string, () => Promise<void>> = {
    'bytes that are no HTTP': () => raw(address, randomBytes(4096)),
    'half an HTTP request': () => raw(address, Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n')),
    'a page request': () => raw(address, Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')),
    'a frame that is not msgpack': () => fire(address, Buffer.from([0xc1, 0xff, 0x00])),
    'a truncated frame': () => fire(address, pack([1, 1, 1, 'x'.repeat(300)]).subarray(0, 40)),
    'a text frame': () => fire(address, 'hello'),
    'an empty frame': () => fire(address, Buffer.alloc(0)),
    'an unknown kind': () => fire(address, pack([15, 'what', null])),
    'a frame of the wrong shape': () => fire(address, pack({ kind: 1, from: ['nobody'] })),
    'a cluster frame before the handshake': () => fire(address, pack([16, 1, 2, 3])),
    'a frame of 20 MiB': () => fire(address, Buffer.alloc(20 * 1024 * 1024)),
    'a ws header that promises too much': () => truncatedFrame(address),
  }
  for (const [name, shoot] of Object.entries(shots)) {
    await within(10_000, name, shoot())
    checks.check(`${name}: nobody ends`, await allRun(nodes), nodes.map((node) => node.output()).join('\n'))
  }
  // One that has the right to be here, and then talks nonsense over its good links.
  const attacker = await startAttacker(cluster, await Promise.all(nodes.map((node) => node.ask('address'))))
  await pause(300)
  checks.check(
    'nonsense from a member: nobody ends',
    await allRun(nodes),
    nodes.map((node) => node.output()).join('\n'),
  )
  await attacker.leave()
  await untouched(checks, 'garbage', nodes)
}

async function allRun(nodes: readonly Node[]): Promise<boolean> {
  const answers = nodes.map((node) => within(5000, node.name, node.ask('members')).catch(() => undefined))
  return (await Promise.all(answers)).every((answer) => answer !== undefined)
}

/** The cluster is the same three, answers by name on every node, and nobody wrote of an error that was not caught. */
async function untouched(checks: Checks, after: string, nodes: readonly Node[]): Promise<void> {
  const lists = () => Promise.all(nodes.map((node) => node.ask('members')))
  const three = (all: readonly (readonly string[])[]) => all.every((names) => names.length === nodes.length)
  const members = await eventually(5000, lists, three)
  checks.check(`after ${after}: the same three members everywhere`, three(members), members.join(' | '))
  const calls = await Promise.all(
    nodes.map((node) => node.ask('call', 'witness').catch((error: Error) => error.message)),
  )
  const one = nodes.some((node) => node.pid === calls[0]) && calls.every((pid) => pid === calls[0])
  checks.check(`after ${after}: a call by name is answered on each`, one, calls.join(' '))
  const noisy = nodes.filter((node) => /"level":(50|60)|uncaught|unhandled|^\s+at /im.test(node.output()))
  checks.check(`after ${after}: no error in any log`, noisy.length === 0, noisy.map((node) => node.output()).join('\n'))
}

const packr = new Packr({ moreTypes: true, useRecords: false })

function pack(value: unknown): Buffer {
  return Buffer.from(packr.pack(value))
}

function open(address: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws://${address}`, { perMessageDeflate: false })
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket))
    socket.once('error', reject)
  })
}

/** Waits until the node hangs up, at most 3 s: then it is hung up here. */
async function closed(socket: WebSocket): Promise<void> {
  socket.on('error', () => {})
  const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  await Promise.race([gone, pause(3000)])
  socket.terminate()
}

async function fire(address: string, frame: Buffer | string): Promise<void> {
  const socket = await open(address)
  socket.send(frame)
  await Promise.race([closed(socket), pause(300)])
  socket.terminate()
}

/** Bytes on the bare socket, then it is cut. */
async function raw(address: string, bytes: Buffer): Promise<void> {
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host)
  socket.on('error', () => {})
  socket.write(bytes)
  await pause(200)
  socket.destroy()
}

/** A good upgrade, then the head of a frame whose body never comes. */
async function truncatedFrame(address: string): Promise<void> {
  const key = randomBytes(16).toString('base64')
  const upgrade = `GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`
  await raw(
    address,
    Buffer.concat([Buffer.from(upgrade), Buffer.from([0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0])]),
  )
}
