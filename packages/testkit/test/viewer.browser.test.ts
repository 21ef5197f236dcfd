/** The page of a failing run as a person has it: opened from a file in a browser without network, clicked, searched. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Browser } from './browser.js'

/** Set by `npm test` where there is one; without it these tests are skipped. */
const chromium = process.env.SKEP_CHROMIUM ?? ''
const cli = fileURLToPath(new URL('../dist/cli/cli.js', import.meta.url))

describe.skipIf(chromium === '')('the page of a run that broke a rule', () => {
  let folder: string
  let browser: Browser

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'skep-viewer-'))
    const file = join(folder, 'run.html')
    expect(existsSync(cli), 'run `npm run build` first').toBe(true)
    const args = [cli, '--html', file, '--seed', '4', '--nodes', '3-12', '--mutant', 'no-take']
    expect(spawnSync(process.execPath, args).status, 'the mutant is caught').toBe(1)
    browser = new Browser(chromium)
    await browser.open(pathToFileURL(file).href, "document.querySelector('#plot')?.dataset.to !== undefined")
  }, 60_000)

  afterAll(async () => {
    await browser?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const count = (selector: string): Promise<unknown> =>
    browser.evaluate(`document.querySelectorAll(${JSON.stringify(selector)}).length`)
  const textOf = async (id: string): Promise<string> =>
    String(await browser.evaluate(`document.getElementById('${id}').textContent`))
  const from = async (): Promise<number> => Number(await browser.evaluate('Number(plot.dataset.from)'))
  const clickOn = async (expression: string): Promise<void> => {
    await browser.evaluate(`(${expression}).scrollIntoView({ block: 'nearest' })`)
    const box = `(({ x, y, width, height }) => [x + width / 2, y + height / 2])((${expression}).getBoundingClientRect())`
    const [x, y] = (await browser.evaluate(box)) as [number, number]
    await browser.click(x, y)
  }

  test('shows each node and each violation, at the time of the first', async () => {
    expect(await count('.lane')).toBeGreaterThanOrEqual(3)
    expect(await count('.violation')).toBeGreaterThanOrEqual(1)
    expect(await textOf('details')).toContain('doubleSlot')
    expect(await browser.evaluate('plot.clientHeight === stage.clientHeight && plot.clientHeight > 100')).toBe(true)
    const shades =
      'new Set(new Uint32Array(plot.getContext("2d").getImageData(0, 0, plot.width, plot.height).data.buffer))'
    expect(await browser.evaluate(`${shades}.size`)).toBeGreaterThan(10)
  })

  test('goes to a violation that is clicked', async () => {
    await clickOn("document.getElementById('show-all')")
    expect(await from()).toBe(0)
    const length = 'Number(plot.dataset.to) - Number(plot.dataset.from)'
    expect(await browser.evaluate(length)).toBeGreaterThan(15_000)
    await clickOn("[...document.querySelectorAll('.violation')].at(-1)")
    expect(await browser.evaluate(length)).toBe(1500)
  })

  test('finds what is searched for, steps through it and tells about it', async () => {
    await browser.evaluate("(search.value = '', search.focus())")
    await browser.type('take')
    const found = Number.parseInt(await textOf('found'), 10)
    expect(found).toBeGreaterThan(0)
    await clickOn("document.getElementById('next')")
    expect(await textOf('found')).toMatch(new RegExp(`^\\d+ of ${found} found$`))
    expect(await textOf('details')).toMatch(/take/i)
  })

  test('leaves out the frames of a family whose box is cleared', async () => {
    await browser.evaluate("(search.value = '', search.dispatchEvent(new Event('input')))")
    await clickOn("document.getElementById('show-all')")
    const shown = async (): Promise<number> => Number(/(\d+) frames/.exec(await textOf('range'))?.[1])
    const all = await shown()
    await clickOn("document.querySelector('input[name=sync]')")
    expect(await shown()).toBeLessThan(all)
    await clickOn("document.querySelector('input[name=sync]')")
    expect(await shown()).toBe(all)
  })

  test('complained of nothing and asked the network for nothing', () => {
    expect(browser.faults).toEqual([])
  })
})
