/** A headless Chromium without network, driven over the two pipes of its DevTools protocol: no port, no package. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: Readonly<Record<string, unknown>>
  readonly result?: Readonly<Record<string, unknown>>
  readonly error?: { readonly message: string }
}

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--host-resolver-rules=MAP * ~NOTFOUND',
  '--window-size=1400,900',
  '--remote-debugging-pipe',
]

export class Browser {
  private readonly child: ChildProcess
  private readonly folder = mkdtempSync(join(tmpdir(), 'skep-browser-'))
  private readonly waiting = new Map<number, (message: Message) => void>()
  private calls = 0
  private session: string | undefined
  /** What the page complained of, and what it asked the network for. */
  readonly faults: string[] = []

  constructor(command: string) {
    const args = [...flags, `--user-data-dir=${this.folder}`, 'about:blank']
    this.child = spawn(command, args, { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] })
    let rest = ''
    ;(this.child.stdio[4] as Readable).setEncoding('utf8').on('data', (text: string) => {
      const messages = (rest + text).split('\0')
      rest = messages.pop() ?? ''
      for (const message of messages) this.receive(JSON.parse(message) as Message)
    })
    this.child.on('exit', () => {
      for (const answer of this.waiting.values()) answer({ error: { message: 'the browser ended' } })
    })
  }

  private receive({ id, method, params, ...rest }: Message): void {
    if (id !== undefined) this.waiting.get(id)?.(rest)
    const url = (params?.request as { url?: string } | undefined)?.url ?? ''
    const asks = method === 'Network.requestWillBeSent' && !/^(?:file|data):/.test(url)
    if (method === 'Runtime.exceptionThrown' || method === 'Log.entryAdded' || asks) {
      this.faults.push(JSON.stringify(params))
    }
  }

  private async call(method: string, params: Record<string, unknown> = {}): Promise<Readonly<Record<string, unknown>>> {
    const id = ++this.calls
    const answer = new Promise<Message>((resolve) => void this.waiting.set(id, resolve))
    const session = this.session === undefined ? {} : { sessionId: this.session }
    ;(this.child.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, ...session })}\0`)
    const { result, error } = await answer
    this.waiting.delete(id)
    if (error !== undefined) throw new Error(`${method}: ${error.message}`)
    return result ?? {}
  }

  /** Opens the page and waits until `ready`, an expression in the page, is true. */
  async open(url: string, ready: string): Promise<void> {
    const { targetId } = await this.call('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await this.call('Target.attachToTarget', { targetId, flatten: true })
    this.session = sessionId as string
    for (const domain of ['Runtime', 'Log', 'Network', 'Page']) await this.call(`${domain}.enable`)
    await this.call('Page.navigate', { url })
    await this.evaluate(
      `new Promise((done) => { const look = () => ${ready} ? done(true) : requestAnimationFrame(look); look() })`,
    )
  }

  /** The value of an expression in the page, once what was done before is drawn. */
  async evaluate(expression: string): Promise<unknown> {
    const drawn = 'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))'
    const text = `(async () => { await ${drawn}; return await (${expression}) })()`
    const answer = await this.call('Runtime.evaluate', { expression: text, awaitPromise: true, returnByValue: true })
    if (answer.exceptionDetails !== undefined) throw new Error(JSON.stringify(answer.exceptionDetails))
    return (answer.result as { value?: unknown }).value
  }

  async click(x: number, y: number): Promise<void> {
    const at = { x, y, button: 'left', clickCount: 1 }
    await this.call('Input.dispatchMouseEvent', { ...at, type: 'mousePressed' })
    await this.call('Input.dispatchMouseEvent', { ...at, type: 'mouseReleased' })
  }

  async type(text: string): Promise<void> {
    await this.call('Input.insertText', { text })
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.child.on('exit', resolve))
    // With its helpers, which would write into the folder for a while yet.
    if (this.child.pid !== undefined) process.kill(-this.child.pid, 'SIGKILL')
    await ended
    await rm(this.folder, { recursive: true, force: true, maxRetries: 20 })
  }
}
