/**
 * Pods come and go as Kubernetes lets them: each has a network namespace and an address of its own, and finds the others
 * by the API and by DNS. Scaled up and down, all deleted at once time and again, updated one by one: every time they are
 * one cluster with one registry, and nobody is stuck. What Swarm hung on.
 */

import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { type Process, startProcess } from '@skep/example-counter/processes'
import { mustHold } from './faults.js'
import { type Host, type Network, onNetwork } from './net/network.js'
import { allReady, clock, type Node, startOne, uniqueCluster, withOutputs } from './nodes.js'
import type { PlaneAccess, PlaneArgument, PlaneSteps } from './plane.js'
import { Checks, type Report, type Say, within } from './scenario.js'
import { inWords, summary } from './statistics.js'
import { answered, everybodyKnown, oneHolder, sameRegistry, until } from './whole.js'

export interface KubernetesOptions {
  /** How often all pods are deleted at once. */
  readonly times: number
}

const PLANE = new URL('./plane.js', import.meta.url)
const DNSMASQ = fileURLToPath(new URL('../../scripts/dnsmasq.mjs', import.meta.url))
/** The name of the Service, as the plane has it. */
const SERVICE = 'skep-peers'
const NAMES = Array.from({ length: 60 }, (_, i) => `placed-${i + 1}`)
/** Pods that exist at one time, at most: three of old and three of new. */
const HOSTS = 6
/** From a change to the one cluster that must come of it. */
const ONE_MS = 30_000
const EXIT_MS = 20_000

type Pod = Node & { readonly host: Host }

/** The pods of a Deployment, each on a host that is free: addresses are used again. */
class Pods {
  readonly running: Pod[] = []
  readonly #free: Host[]
  readonly #plane: Process<PlaneSteps>
  readonly #shared: Omit<Node['argument'], 'name' | 'listen'>
  #born = 0

  constructor(hosts: readonly Host[], plane: Process<PlaneSteps>, access: PlaneAccess) {
    this.#free = [...hosts]
    this.#plane = plane
    const secret = randomBytes(16).toString('hex')
    this.#shared = { cluster: uniqueCluster(), secret, kubernetes: { ...access, service: SERVICE } }
  }

  /** As the kubelet does: the address is known to the API before the process has said a word. */
  async create(count: number): Promise<Pod[]> {
    const made = Array.from({ length: count }, async () => {
      const host = this.#free.shift()
      if (host === undefined) throw new Error('there is no host for one more pod')
      const name = `shop-${++this.#born}`
      await this.#plane.ask('addPod', name, host.address)
      const argument = { ...this.#shared, name, listen: `${host.address}:4370` }
      return Object.assign(startOne(argument, { under: host.under }), { host })
    })
    const pods = await Promise.all(made)
    this.running.push(...pods)
    return pods
  }

  async ready(pods: readonly Pod[]): Promise<void> {
    await allReady(pods, clock(), ONE_MS)
    await Promise.all(pods.map(({ name }) => this.#plane.ask('setReady', name)))
  }

  /** Gives the exit codes; by SIGKILL a pod is gone at once, as when its machine is lost. */
  remove(pods: readonly Pod[], signal: 'SIGTERM' | 'SIGKILL'): Promise<(number | null)[]> {
    return Promise.all(
      pods.map(async (pod) => {
        this.running.splice(this.running.indexOf(pod), 1)
        if (signal === 'SIGTERM') await this.#plane.ask('terminatePod', pod.name)
        const { code } = await within(EXIT_MS, `${pod.name} ends`, pod.kill(signal))
        await this.#plane.ask('removePod', pod.name)
        this.#free.push(pod.host)
        return code
      }),
    )
  }
}

export async function kubernetes({ times }: KubernetesOptions, say: Say): Promise<Report> {
  const checks = new Checks(say)
  const figures: Record<string, unknown> = { times }
  say(`kubernetes: pods on hosts of their own, found by the API and by DNS; all deleted at once ${times} times`)
  const server = findDnsmasq()
  if (server === undefined) checks.skip('kubernetes', 'dnsmasq (Debian: dnsmasq-base) is not here')
  else {
    await onNetwork(checks, 'kubernetes', HOSTS + 1, async (network) => {
      Object.assign(figures, await onPlane(checks, say, network, server, times))
    })
  }
  return { scenario: 'kubernetes', checks: checks.all, figures }
}

function findDnsmasq(): string | undefined {
  const { stdout } = spawnSync(process.execPath, [DNSMASQ], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  return stdout.trim() || undefined
}

async function onPlane(
  checks: Checks,
  say: Say,
  network: Network,
  server: string,
  times: number,
): Promise<Record<string, unknown>> {
  const [control, ...hosts] = network.hosts
  if (control === undefined) throw new Error('there is no host for the API')
  const argument: PlaneArgument = { address: control.address, dnsmasq: server }
  const plane = startProcess<PlaneSteps>(PLANE, argument, { under: control.under })
  const pods = new Pods(hosts, plane, await within(20_000, 'the API and the name server', plane.ask('access')))
  const figures: Record<string, unknown> = {}

  /** After a change: one cluster, and in it the names where there should be any. */
  const whole = async (what: string, since: number, names: readonly string[]): Promise<number> =>
    withOutputs(pods.running, async () => {
      await pods.ready(pods.running)
      const outcomes = [
        await until(since, ONE_MS, everybodyKnown(pods.running)),
        await until(since, ONE_MS, sameRegistry(pods.running)),
        await until(since, ONE_MS, oneHolder(pods.running, names)),
      ]
      const wrong = outcomes.map((one) => one.wrong).join('')
      checks.check(
        `${what}: one cluster, one registry${names.length > 0 ? ', each name once' : ''}`,
        wrong === '',
        wrong,
      )
      const ms = Math.max(...outcomes.map((one) => one.ms ?? ONE_MS))
      say(`  ${what}: after ${ms} ms`)
      return ms
    })

  let since = clock()
  await pods.create(3)
  figures.startMs = await whole('three pods start at once', since, [])
  await pods.running[0]?.ask('spawnAll', NAMES)

  since = clock()
  await pods.create(3)
  figures.upMs = await whole('3 -> 6', since, NAMES)
  await plane.ask('disturb')

  since = clock()
  const codes = await pods.remove(pods.running.slice(2), 'SIGTERM')
  const ended = codes.every((code) => code === 0)
  checks.check('whoever is told to end does so with code 0', ended, codes.join(' '))
  figures.downMs = await whole('6 -> 2', since, NAMES)
  await answersAll(checks, '6 -> 2', pods.running)
  await pods.ready(await pods.create(1))

  const again: number[] = []
  for (let time = 1; time <= times; time++) {
    since = clock()
    // The new ones are made while the old ones end; by turns these are told to, or are gone at once.
    const gone = pods.remove([...pods.running], time % 2 === 0 ? 'SIGTERM' : 'SIGKILL')
    await pods.create(3)
    await gone
    again.push(await whole(`all deleted, ${time}`, since, []))
  }
  const deleted = summary(again)
  say(`  one cluster again after all were deleted at once: ${inWords(deleted)}`)

  const known = (await pods.running[0]?.ask('names', 'placed-')) ?? []
  const missing = NAMES.filter((name) => !known.includes(name))
  await pods.running[0]?.ask('spawnAll', missing)
  await mustHold(oneHolder(pods.running, NAMES))
  since = clock()
  for (const old of [...pods.running]) {
    await pods.ready(await pods.create(1))
    const [code] = await pods.remove([old], 'SIGTERM')
    checks.check(`rolling update: ${old.name} ends with code 0`, code === 0, String(code))
  }
  figures.rollingMs = await whole('rolling update with one more', since, NAMES)
  await answersAll(checks, 'rolling update', pods.running)
  const requests = await plane.ask('requests')
  await plane.ask('stop')
  return { ...figures, deletedMs: deleted, requests }
}

async function answersAll(checks: Checks, what: string, pods: readonly Pod[]): Promise<void> {
  const { wrong } = await until(clock(), 5000, answered(pods, NAMES))
  checks.check(`${what}: each name answers on each pod, by whom the registry names`, wrong === '', wrong)
}
