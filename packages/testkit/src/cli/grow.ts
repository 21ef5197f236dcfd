/** Growth: each number of nodes in a child process of its own, so that its memory is its own; then table and plot. */
import { fork } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { GrowerAnswer, MeasuredGrowth } from '../growth/grower.js'
import { plotted, rewritten, tables } from '../growth/page.js'

export interface GrowthOptions {
  readonly sizes: readonly number[]
  readonly seed: number
  readonly json: boolean
  /** Where the plot goes, and the page between whose marks the tables go. */
  readonly svg: string | undefined
  readonly page: string | undefined
}

/** In MB; the acceptance of 1,000 nodes is within 8 GB. */
const HEAP_MB = 8000

/** Returns the exit code. */
export async function runGrowth({ sizes, seed, json, svg, page }: GrowthOptions): Promise<number> {
  const growths: MeasuredGrowth[] = []
  for (const nodes of sizes) {
    const growth = await growApart(nodes, seed)
    growths.push(growth)
    process.stderr.write(`${nodes} nodes: ${growth.faults[0] ?? `at rest after ${growth.wallSeconds} s`}\n`)
  }
  process.stdout.write(`${json ? JSON.stringify({ seed, growths }, undefined, 2) : tables(growths)}\n`)
  if (svg !== undefined) writeFileSync(svg, plotted(growths))
  if (page !== undefined) writeFileSync(page, rewritten(readFileSync(page, 'utf8'), growths))
  return growths.some(({ faults }) => faults.length > 0) ? 1 : 0
}

function growApart(nodes: number, seed: number): Promise<MeasuredGrowth> {
  const child = fork(fileURLToPath(new URL('../growth/grower.js', import.meta.url)), [], {
    stdio: 'inherit',
    execArgv: ['--expose-gc', `--max-old-space-size=${HEAP_MB}`],
  })
  return new Promise((resolve, reject) => {
    child.on('message', (answer: GrowerAnswer) => {
      if (answer.type === 'grown') resolve(answer.growth)
      else reject(new Error(answer.text))
      child.disconnect()
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => reject(new Error(`${nodes} nodes: the process ended early (${signal ?? code})`)))
    child.send({ nodes, seed })
  })
}
