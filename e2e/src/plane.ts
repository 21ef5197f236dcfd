/**
 * What a Kubernetes cluster has besides its pods, in a process of its own on a host of the network: the API, over TLS,
 * and a name server that knows the headless Service. What pods there are is said by the parent.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { serve } from '@skep/example-counter/processes'
import { KubeServer } from '@skep/kube-server'

export interface PlaneArgument {
  readonly address: string
  readonly dnsmasq: string
}

/** What a pod must know of it. */
export interface PlaneAccess {
  readonly apiServer: string
  readonly ca: string
  readonly token: string
  /** `ip:port` of the name server. */
  readonly nameServer: string
}

export const SERVICE = 'skep-peers'
const LABELS = { app: 'shop' }
const DOMAIN = `${SERVICE}.default.svc.cluster.local`

const { address, dnsmasq } = JSON.parse(process.argv[2] ?? '{}') as PlaneArgument
const folder = mkdtempSync(join(tmpdir(), 'skep-plane-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const hosts = join(folder, 'hosts')
/** The addresses of those pods that are not gone, by pod. */
const pods = new Map<string, string>()

const api = await KubeServer.start({ host: address, names: [address] })
api.addService({ name: SERVICE, selector: LABELS, ports: [{ name: 'skep', port: 4370 }] })
writeFileSync(hosts, '')
const names = await startNameServer()

async function startNameServer(): Promise<ChildProcess> {
  const files = ['--conf-file=/dev/null', '--pid-file=', '--no-hosts', '--no-resolv', '--log-facility=-']
  const ours = ['--user=root', '--group=root', `--addn-hosts=${hosts}`, '--local=/cluster.local/']
  const where = ['--keep-in-foreground', '--port=53', `--listen-address=${address}`, '--bind-interfaces']
  // It ends with this process, however that ends.
  const argv = ['--pdeathsig', 'KILL', '--', dnsmasq, ...where, ...files, ...ours]
  const child = spawn('setpriv', argv, { stdio: ['ignore', 'ignore', 'pipe'] })
  const lines: string[] = []
  for await (const line of createInterface(child.stderr)) {
    lines.push(line)
    if (!/started, version/.test(line)) continue
    child.stderr.resume()
    return child
  }
  throw new Error(`dnsmasq does not start: ${lines.join('; ')}`)
}

function tellNames(): void {
  writeFileSync(hosts, [...pods.values()].map((ip) => `${ip} ${DOMAIN}\n`).join(''))
  names.kill('SIGHUP')
}

const steps = {
  access: (): PlaneAccess => {
    const [token = ''] = api.tokens
    return { apiServer: api.url, ca: api.ca, token, nameServer: `${address}:53` }
  },
  /** The kubelet has given it an address and started it. */
  addPod: (name: string, ip: string) => {
    pods.set(name, ip)
    api.addPod({ name, ips: [ip], labels: LABELS, ready: false, ports: [{ name: 'skep', port: 4370 }] })
    tellNames()
  },
  setReady: (name: string) => api.setReady(name, true),
  /** Its deletion has begun. */
  terminatePod: (name: string) => api.terminatePod(name),
  removePod: (name: string) => {
    pods.delete(name)
    api.removePod(name)
    tellNames()
  },
  /** Every watch ends; versions that the pods know are gone. */
  disturb: () => {
    api.compact()
    api.endWatches('gone')
  },
  /** Requests so far. */
  requests: () => ({ lists: api.count('list'), watches: api.count('watch') }),
  stop: async () => {
    const gone = once(names, 'exit')
    names.kill('SIGKILL')
    await gone
    await api.close()
  },
}

export type PlaneSteps = typeof steps

serve(steps)
