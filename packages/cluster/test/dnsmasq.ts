/** A real name server for tests: dnsmasq on a free port of loopback, which knows what it is told and asks nobody. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'

/** Set by `npm test` where there is one; without it the tests that need it are skipped. */
export const dnsmasqCommand: string = process.env.SKEP_DNSMASQ ?? ''

const tries = 5

export interface Dnsmasq {
  /** `ip:port`, as `servers` of a strategy. */
  readonly server: string
  /** Reads its files of hosts again. */
  reload(): void
  stop(): Promise<void>
}

export async function startDnsmasq(options: readonly string[]): Promise<Dnsmasq> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    const child = spawn(dnsmasqCommand, [...always(port), ...options], { stdio: ['ignore', 'ignore', 'pipe'] })
    const said = await untilStarted(child)
    if (said === undefined) {
      return { server: `127.0.0.1:${port}`, reload: () => void child.kill('SIGHUP'), stop: () => stopped(child) }
    }
    // Another process may have taken the port since.
    if (attempt === tries) throw new Error(`dnsmasq does not start: ${said}`)
  }
}

function always(port: number): string[] {
  const files = ['--conf-file=/dev/null', '--pid-file=', '--no-hosts', '--no-resolv', '--log-facility=-']
  // Root is kept where we are root: the files of hosts are this user's.
  const user = process.getuid?.() === 0 ? ['--user=root', '--group=root'] : []
  return [
    '--keep-in-foreground',
    ...files,
    ...user,
    `--port=${port}`,
    '--listen-address=127.0.0.1',
    '--bind-interfaces',
  ]
}

/** Undefined once it answers, else what it said before it ended. */
async function untilStarted(child: ChildProcess): Promise<string | undefined> {
  if (child.stderr === null) throw new Error('no standard error')
  const lines: string[] = []
  for await (const line of createInterface(child.stderr)) {
    lines.push(line)
    if (/started, version/.test(line)) {
      child.stderr.resume()
      return undefined
    }
  }
  return lines.join('; ')
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
