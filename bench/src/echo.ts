/**
 * The yardstick of everything that crosses a link: what `ws` and msgpackr do at best for the same bytes, in the hands of
 * one who wants nothing but speed. A number and a text go there, are unpacked, packed again and come back, are unpacked
 * and compared; what is sent in one turn of the event loop leaves as one write. No promises, no names, no deadlines, no
 * bounds, no checks of what comes; masks of zeros, no compression.
 */
import type { AddressInfo, Socket } from 'node:net'
import { serve } from '@skep/example-counter/processes'
import { Packr, Unpackr } from 'msgpackr'
import { WebSocket, WebSocketServer } from 'ws'
import { cpuUs, type Slice, Times, textOf } from './slice.js'

const packr = new Packr({ useRecords: false })
const unpackr = new Unpackr({ useRecords: false })

const wire = { perMessageDeflate: false, skipUTF8Validation: true } as const
const options = { binary: true, compress: false } as const

/** Sends so that what leaves in one turn is one write. */
function corked(ws: WebSocket, socket: Socket): (bytes: Buffer) => void {
  let open = false
  const uncork = (): void => {
    open = false
    socket.uncork()
  }
  return (bytes) => {
    if (!open) {
      open = true
      socket.cork()
      process.nextTick(uncork)
    }
    ws.send(bytes, options)
  }
}

let server: WebSocketServer | undefined
let client: { readonly ws: WebSocket; readonly send: (bytes: Buffer) => void } | undefined

/** Bytes of a piece of a transfer, as Skep cuts what is large. */
const pieceBytes = 64 * 1024

function listen(): Promise<number> {
  const listening = new WebSocketServer({ host: '127.0.0.1', port: 0, ...wire })
  server = listening
  listening.on('connection', (ws, request) => {
    request.socket.setNoDelay(true)
    const send = corked(ws, request.socket)
    ws.on('message', (data: Buffer) => {
      const [number, what] = unpackr.unpack(data) as [number, unknown]
      if (typeof what === 'number') transfer(ws, what)
      else send(packr.pack([number, what]))
    })
  })
  return new Promise((resolve) => {
    listening.once('listening', () => resolve((listening.address() as AddressInfo).port))
  })
}

function transfer(ws: WebSocket, bytes: number): void {
  const piece = Buffer.alloc(pieceBytes, 7)
  for (let left = bytes; left > 0; left -= pieceBytes) {
    ws.send(packr.pack([1, left > pieceBytes ? piece : piece.subarray(0, left)]), options)
  }
}

function connect(port: number): Promise<void> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}/`, { ...wire, generateMask: (mask) => void mask.fill(0) })
  return new Promise((resolve, reject) => {
    ws.once('error', reject)
    ws.once('upgrade', ({ socket }) => {
      socket.setNoDelay(true)
      ws.once('open', () => {
        client = { ws, send: corked(ws, socket) }
        resolve()
      })
    })
  })
}

function connected(): NonNullable<typeof client> {
  if (client === undefined) throw new Error('not connected')
  return client
}

/** So many on their way at once, each answer the reason for the next. */
function slice(inFlight: number, ms: number): Promise<Slice> {
  const { ws, send } = connected()
  const times = new Times()
  const sentAt = new Float64Array(inFlight)
  const texts = new Array<string>(inFlight)
  let ops = 0
  let wrong = 0
  let fault: string | undefined
  let open = 0
  const begun = performance.now()
  const ask = (slot: number, now: number): void => {
    open++
    sentAt[slot] = now
    const text = textOf(ops++)
    texts[slot] = text
    send(packr.pack([slot, text]))
  }
  return new Promise((resolve) => {
    const answered = (data: Buffer): void => {
      const [slot, text] = unpackr.unpack(data) as [number, string]
      const now = performance.now()
      times.add(now - (sentAt[slot] as number))
      open--
      if (text !== texts[slot]) {
        wrong++
        fault ??= `${texts[slot]} was answered with ${text}`
      }
      if (now < begun + ms) return ask(slot, now)
      if (open > 0) return
      ws.off('message', answered)
      resolve({ ops, ms: now - begun, wrong, fault, ...times.quantiles() })
    }
    ws.on('message', answered)
    for (let slot = 0; slot < inFlight; slot++) ask(slot, begun)
  })
}

/** So many bytes from there to here: milliseconds. */
function receive(bytes: number): Promise<number> {
  const { ws, send } = connected()
  const begun = performance.now()
  let got = 0
  return new Promise((resolve) => {
    const piece = (data: Buffer): void => {
      const [, part] = unpackr.unpack(data) as [number, Uint8Array]
      got += part.length
      if (got < bytes) return
      ws.off('message', piece)
      resolve(performance.now() - begun)
    }
    ws.on('message', piece)
    send(packr.pack([0, bytes]))
  })
}

const steps = {
  cpu: cpuUs,
  listen,
  connect,
  slice,
  receive,
  close: () => {
    client?.ws.terminate()
    server?.close()
  },
}

export type EchoSteps = typeof steps

serve(steps)
