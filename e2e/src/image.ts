/**
 * The image of docker/Dockerfile, built and run as an engine would: three containers on hosts of their own are one cluster;
 * they may write nowhere and are nobody; and the one that is ended hands its counter over and ends with code 0.
 */

import { spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildImage, type Image, makeBase, makeMountPoint } from './image/build.js'
import { type Container, type ContainerOptions, runContainer } from './image/container.js'
import { type Network, onNetwork } from './net/network.js'
import { clock } from './nodes.js'
import { Checks, eventually, type Report, type Say, within } from './scenario.js'

const TOOLS = fileURLToPath(new URL('../../scripts/image-tools.mjs', import.meta.url))
const NODES = 3
const READY_MS = 30_000
/** A drain takes 10 s at most. */
const EXIT_MS = 20_000
const SECRETS = '/run/secrets/skep'
const COUNTER = 'http://127.0.0.1:8080/counter/room'

export async function image(say: Say): Promise<Report> {
  const checks = new Checks(say)
  const figures: Record<string, unknown> = {}
  say('image: docker/Dockerfile is built, and three containers of it are a cluster')
  const built = await build(checks, say, figures)
  if (built !== undefined) {
    content(checks, built)
    await onNetwork(checks, 'three containers', NODES, (network) => cluster(checks, built, network, figures))
  }
  return { scenario: 'image', checks: checks.all, figures }
}

async function build(checks: Checks, say: Say, figures: Record<string, unknown>): Promise<Image | undefined> {
  const why = whyNot()
  if (why !== undefined) {
    checks.skip('the image is built', why)
    return undefined
  }
  let base: string
  try {
    say('  making a base of Debian and Node: a minute or two')
    base = await makeBase()
  } catch (error) {
    // Without mirrors there is nothing to build on, which says nothing of the image.
    checks.skip('the image is built', `no base for it can be made here: ${(error as Error).message.slice(-500)}`)
    return undefined
  }
  let built: Image | undefined
  await checks.part('the image is built', async () => {
    const began = clock()
    built = await buildImage(base)
    figures.buildSeconds = Math.round((clock() - began) / 1000)
    checks.check('the image is built', true)
  })
  return built
}

function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'images are built on Linux'
  if (process.getuid?.() !== 0) return 'only root may make a base for the image'
  const { status } = spawnSync(process.execPath, [TOOLS], { stdio: ['ignore', 'ignore', 'inherit'] })
  return status === 0 ? undefined : 'buildah, debootstrap and bubblewrap are not here and could not be installed'
}

/** The program and nothing of what it was built with. */
function content(checks: Checks, { root, config }: Image): void {
  const left = ['src', 'root/.npmrc', 'app/src', 'app/node_modules/typescript', 'usr/local/bin/pnpm']
  const there = left.filter((path) => existsSync(join(root, path)))
  checks.check('nothing of the build is left in it', there.length === 0, there.join(' '))
  checks.check('its user is a number and not root', /^[1-9]\d*:[1-9]\d*$/.test(config.User), config.User)
  checks.check('its command is node itself', config.Cmd[0] === 'node', config.Cmd.join(' '))
  const owner = statSync(join(root, 'app/dist/main.js')).uid
  checks.check('the program belongs to root', owner === 0, `${owner}`)
}

async function cluster(
  checks: Checks,
  built: Image,
  network: Network,
  figures: Record<string, unknown>,
): Promise<void> {
  makeMountPoint(built, SECRETS)
  const secrets = secretFolder(Number(built.config.User.split(':')[0]))
  const peers = network.hosts.map(({ address }) => `${address}:4370`).join()
  const shared = { CLUSTER: 'counter', DISCOVERY: 'static', PEERS: peers, SECRET_FILE: `${SECRETS}/secret` }
  const containers: Container[] = []
  const run = async (i: number, env: ContainerOptions['env']): Promise<Container> => {
    const host = network.hosts[i] as Network['hosts'][number]
    const name = `counter-${i}`
    // As Kubernetes says it; the last one, as in Compose, has to find out by itself.
    const more = i === NODES - 1 ? env : { ...env, NODE_NAME: name, POD_IP: host.address }
    const container = await runContainer(built, host, { name, env: more, mounts: { [SECRETS]: secrets } })
    containers.push(container)
    return container
  }
  try {
    const wrong = await run(0, { ...shared, SECRET_FILE: `${SECRETS}/none` })
    const code = await within(EXIT_MS, 'a container without its secret ends', wrong.exited)
    const lines = wrong.output().trim().split('\n')
    checks.check(
      'without its secret it ends with code 1 and one line',
      code === 1 && lines.length === 1,
      wrong.output(),
    )
    const began = clock()
    const nodes = await Promise.all(network.hosts.map((_, i) => run(i, shared)))
    await ready(checks, nodes)
    figures.readyMs = Math.round(clock() - began)
    await isConfined(checks, nodes[0] as Container, built)
    await counts(checks, nodes, figures)
  } finally {
    for (const container of containers) container.kill('SIGKILL')
  }
}

/** Readable by the user in the container alone. */
function secretFolder(uid: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'secret-'))
  writeFileSync(join(folder, 'secret'), 'of the end-to-end test\n', { mode: 0o400 })
  for (const path of [folder, join(folder, 'secret')]) chownSync(path, uid, uid)
  return folder
}

async function ready(checks: Checks, nodes: readonly Container[]): Promise<void> {
  for (const node of nodes) {
    const ask = (): Promise<number> =>
      node.get('http://127.0.0.1:4380/ready').then(
        ({ status }) => status,
        () => 0,
      )
    const status = await eventually(READY_MS, ask, (one) => one === 200)
    checks.check(`${node.name} answers /ready with 200`, status === 200, `${status}\n${node.output()}`)
  }
  const whole = await eventually(
    5000,
    () => nodes.filter((node) => node.output().includes('counter-0, counter-1, counter-2')).length,
    (count) => count === nodes.length,
  )
  checks.check('each of them tells of all three', whole === nodes.length, nodes.map((node) => node.output()).join('\n'))
}

async function isConfined(checks: Checks, node: Container, { config }: Image): Promise<void> {
  const status = readFileSync(`/proc/${node.pid}/status`, 'utf8')
  const line = (key: string): string => new RegExp(`^${key}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? ''
  const [uid] = config.User.split(':')
  const runs = readlinkSync(`/proc/${node.pid}/exe`)
  checks.check('node is process 1', /\s1$/.test(line('NSpid')) && runs.endsWith('/node'), `${runs} ${line('NSpid')}`)
  checks.check(
    `its user is ${uid}`,
    line('Uid')
      .split(/\s+/)
      .every((one) => one === uid),
    line('Uid'),
  )
  checks.check(
    'it has no capability and can get none',
    /^0+$/.test(line('CapBnd')) && line('NoNewPrivs') === '1',
    status,
  )
  const write = `for (const path of ['/app/x', '/tmp/x', '/x']) try { require('fs').writeFileSync(path, '') } catch (e) { console.log(e.code) }`
  const codes = (await node.exec(['node', '-e', write])).trim().split('\n')
  checks.check('it can write nowhere', codes.join() === 'EROFS,EROFS,EROFS', codes.join())
  const [kind, ...test] = config.Healthcheck.Test
  const health = await node.exec(test).then(
    () => '',
    (error: Error) => error.message,
  )
  checks.check('its health check says that it is well', kind === 'CMD' && health === '', health)
}

async function counts(checks: Checks, nodes: readonly Container[], figures: Record<string, unknown>): Promise<void> {
  const answers: unknown[] = []
  let holder: unknown
  for (const node of nodes) {
    const { body } = await node.get(COUNTER)
    answers.push(body.value)
    holder = body.livesOn
  }
  checks.check('the three count with one counter', answers.join() === '1,2,3', answers.join())
  const leaver = nodes.find((node) => node.name === holder) ?? (nodes[0] as Container)
  const stay = nodes.filter((node) => node !== leaver)
  const began = clock()
  leaver.kill('SIGTERM')
  const code = await within(EXIT_MS, `${leaver.name} ends`, leaver.exited)
  figures.exitMs = Math.round(clock() - began)
  checks.check('at SIGTERM the one that has it ends with code 0', code === 0, `${code}\n${leaver.output()}`)
  const said = nodes.map((node) => node.output()).join('')
  const unsaid = promised().filter((line) => !line.test(said))
  checks.check('the logs say what docs/kubernetes.md says that they do', unsaid.length === 0, unsaid.join('\n'))
  checks.check('and says that it handed it over', /"moved":1\b/.test(leaver.output()), leaver.output())
  const next = await stay[0]?.get(COUNTER)
  const goesOn = next?.body.value === 4 && next.body.livesOn !== leaver.name
  checks.check('the counter goes on elsewhere where it was', goesOn, JSON.stringify(next))
  for (const node of stay) node.kill('SIGTERM')
  const codes = await within(EXIT_MS, 'the others end', Promise.all(stay.map((node) => node.exited)))
  checks.check('the others end with code 0 as well, at once', codes.join() === '0,0', codes.join())
}

/** The lines of the log that the page shows, whatever their names, numbers and addresses. */
function promised(): RegExp[] {
  const page = readFileSync(new URL('../../docs/kubernetes.md', import.meta.url), 'utf8')
  const section = page.split('## What the logs say')[1]?.split('\n## ')[0] ?? ''
  const quoted = [...section.matchAll(/^\| `([^`]+)`|`((?:SIGTERM|drain)[^`]+)`/gm)].map(
    (match) => match[1] ?? match[2],
  )
  const lines = quoted.filter((text) => text !== undefined && text !== 'msg') as string[]
  if (lines.length < 10) throw new Error(`docs/kubernetes.md shows ${lines.length} lines of a log`)
  return lines.map((text) => {
    const literal = text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('…', '\\S*')
    return new RegExp(literal.replace(/\d+/g, '\\d+'))
  })
}
