/**
 * A slow wire: a TCP proxy on loopback that holds every byte for a time, each way, in order. For delay alone: the
 * kernel of a test machine need not have a discipline for it.
 */

import { connect, createServer, type Server, type Socket } from 'node:net'

export interface SlowWire {
  /** Where to knock instead. */
  readonly address: string
  close(): Promise<void>
}

/** What connects to the wire reaches `to` (`host:port`), and each byte takes `delayMs` each way. */
export async function slowWire(to: string, delayMs: number): Promise<SlowWire> {
  const [host, port] = to.split(':')
  const open = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(Number(port), host)
    for (const [from, into] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(from)
      from.setNoDelay(true)
      from.on('close', () => open.delete(from))
      carry(from, into, delayMs)
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return { address: `127.0.0.1:${portOf(server)}`, close: () => closed(server, open) }
}

/** Timers of one length fire in the order in which they were set: so bytes, and the end, keep theirs. */
function carry(from: Socket, into: Socket, delayMs: number): void {
  from.on('data', (chunk) => setTimeout(() => into.writable && into.write(chunk), delayMs))
  from.on('end', () => setTimeout(() => into.end(), delayMs))
  from.on('error', () => {})
  from.on('close', () => setTimeout(() => into.destroy(), delayMs))
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

function closed(server: Server, open: ReadonlySet<Socket>): Promise<void> {
  for (const socket of open) socket.destroy()
  return new Promise((resolve) => server.close(() => resolve()))
}
