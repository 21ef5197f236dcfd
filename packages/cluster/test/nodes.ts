/**
 * Nodes for the tests of the shell: real sockets on loopback, all ended after each test, with logs that can be read
 * and waited for. Nothing here sleeps: a test waits for a line or an event.
 */
import { afterEach } from 'vitest'
import type { Cluster, ClusterOptions, Logger, LogMethod } from '../src/index.js'
import { startCluster, staticPeers } from '../src/index.js'

export interface Line {
  readonly level: string
  readonly text: string
  readonly fields: Record<string, unknown>
}

/** A logger that keeps its lines. */
export class Recorder {
  readonly lines: Line[] = []
  #waiting: { readonly fits: (line: Line) => boolean; readonly resolve: (line: Line) => void }[] = []
  readonly logger: Logger = this.#logger()

  /** The first line that fits, now or later. */
  line(fits: RegExp | ((line: Line) => boolean)): Promise<Line> {
    const test = fits instanceof RegExp ? (line: Line): boolean => fits.test(line.text) : fits
    const known = this.lines.find(test)
    if (known) return Promise.resolve(known)
    return new Promise((resolve) => this.#waiting.push({ fits: test, resolve }))
  }

  count(pattern: RegExp): number {
    return this.lines.filter((line) => pattern.test(line.text)).length
  }

  #logger(): Logger {
    const method =
      (level: string): LogMethod =>
      (first: object | string, text?: string) =>
        this.#add({
          level,
          text: typeof first === 'string' ? first : (text ?? ''),
          fields: typeof first === 'string' ? {} : { ...first },
        })
    const logger: Logger = {
      debug: method('debug'),
      info: method('info'),
      warn: method('warn'),
      error: method('error'),
      fatal: method('fatal'),
      child: () => logger,
    }
    return logger
  }

  #add(line: Line): void {
    this.lines.push(line)
    const fitting = this.#waiting.filter(({ fits }) => fits(line))
    this.#waiting = this.#waiting.filter((one) => !fitting.includes(one))
    for (const { resolve } of fitting) resolve(line)
  }
}

export interface TestNode {
  readonly cluster: Cluster
  readonly log: Recorder
  /** Errors that reached the edge: none in any test. */
  readonly fatal: unknown[]
}

const running: TestNode[] = []

afterEach(async () => {
  const nodes = running.splice(0)
  await Promise.all(nodes.map(({ cluster }) => cluster.close()))
  const fatal = nodes.flatMap((node) => node.fatal)
  if (fatal.length > 0) throw new Error('a node ended with a broken invariant', { cause: fatal[0] })
})

/** A node of cluster 'test' with the secret 's', unless said otherwise; `peers` are the nodes that it knows of. */
export async function startNode(
  name: string,
  options: Partial<ClusterOptions> & { readonly peers?: readonly (TestNode | string)[] } = {},
): Promise<TestNode> {
  const { peers, ...rest } = options
  const addresses = peers?.map((peer) => (typeof peer === 'string' ? peer : peer.cluster.self.address))
  return adopt(name, startCluster, { ...(addresses ? { discovery: staticPeers(addresses) } : {}), ...rest })
}

/** A node that is started otherwise; it ends with the test all the same. */
export async function adopt(
  name: string,
  start: (options: ClusterOptions) => Promise<Cluster>,
  options: Partial<ClusterOptions>,
): Promise<TestNode> {
  const log = new Recorder()
  const fatal: unknown[] = []
  const cluster = await start({
    cluster: 'test',
    name,
    secret: 's',
    logger: log.logger,
    onFatal: (error) => fatal.push(error),
    ...options,
  })
  const node = { cluster, log, fatal }
  running.push(node)
  return node
}

/** Resolves when `test` holds, which is looked at after every change of a member or the view. */
export function until(cluster: Cluster, test: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!test()) return
      for (const off of offs) off()
      resolve()
    }
    const offs = [cluster.on('member', look), cluster.on('view', look)]
    look()
  })
}

/** Resolves when the node's view has these names. */
export function viewOf(node: TestNode, names: readonly string[]): Promise<void> {
  const wanted = [...names].sort().join()
  return until(
    node.cluster,
    () =>
      node.cluster
        .view()
        .members.map((info) => info.name)
        .join() === wanted,
  )
}
