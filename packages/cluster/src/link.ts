/**
 * One link to one peer after its handshake: frames out in order of urgency and within bounds, frames in as arrays.
 *
 * Out: all that is sent in one turn of the event loop leaves as one write (the connection is corked at the first frame
 * and released after the turn), and small frames of a turn as one message. What is urgent or small goes straight to the connection; large frames are cut and wait
 * in a queue of their own, which is drained only while the connection holds little, so that a big state never delays a
 * probe. In: what is not msgpack, or not an array with a kind, is dropped and counted.
 */
import type { BootId } from './core/member.js'
import type { Lane, LinkLimits } from './limits.js'
import type { Timers } from './time.js'
import type { Connection, ConnectionEnd } from './transport.js'
import {
  bytesTogether,
  chunkBytes,
  joinFrames,
  linkKinds,
  maxTogetherBytes,
  packFrame,
  splitFrames,
  unpackFrame,
} from './wire.js'

/** What a link tells its owner. `closed` comes once, and not after `close` or `replace`. */
export interface LinkEvents {
  /** A message has come: `read` gives its frames. */
  message(read: () => void): void
  frame(link: Link, frame: readonly unknown[]): void
  dropped(link: Link, reason: string): void
  drained(link: Link): void
  /** Of a relayed link: its far end sends nothing more on it; or has read the last that we sent on it. */
  last(link: Link): void
  lastRead(link: Link): void
  closed(link: Link, byPeer: boolean, reason: string): void
}

/** Bytes in the connection up to which waiting bulk is added: enough to keep it busy, little for a probe to wait behind. */
const bulkWindowBytes = 2 * chunkBytes

export class Link {
  readonly boot: BootId
  /** The neighbour through which it goes; undefined for a direct one. */
  readonly via: BootId | undefined
  /** The far end has sent its last frame here: it goes on on another link. */
  peerIsDone = false
  /** When the machine is to be told next that it is used. */
  tellUsedAt = 0
  /** What was sent since the turn began has been noted as its use. */
  notedUse = false
  /** Counters for `stats`. */
  readonly counts: { framesIn: number; framesOut: number; bytesIn: number; bytesOut: number } = {
    framesIn: 0,
    framesOut: 0,
    bytesIn: 0,
    bytesOut: 0,
  }
  readonly #connection: Connection
  readonly #time: Timers
  readonly #limits: LinkLimits
  readonly #events: LinkEvents
  readonly #bulk: BulkQueue = new BulkQueue()
  /** The far end takes several frames in one message. */
  readonly #joins: boolean
  /** Small frames of this turn that are still to become a message. */
  #together: Buffer[] = []
  #togetherBytes = 0
  #overloaded = false
  #hasDropped = false
  /** While another link runs dry: what is sent waits here, in order. */
  #paused: { readonly bytes: Buffer; readonly lane: Lane }[] | undefined
  #pausedBytes = 0
  #corked = false
  #over = false
  #unreadable = false
  #chunks: Uint8Array[] = []
  #chunkedBytes = 0

  constructor(
    boot: BootId,
    connection: Connection,
    time: Timers,
    limits: LinkLimits,
    events: LinkEvents,
    { via, joins = false }: { readonly via?: BootId | undefined; readonly joins?: boolean } = {},
  ) {
    this.boot = boot
    this.via = via
    this.#joins = joins
    this.#connection = connection
    this.#time = time
    this.#limits = limits
    this.#events = events
    connection.events = {
      message: (data, isBinary) => this.#receive(data, isBinary),
      drain: () => this.#drain(),
      broken: (reason) => this.#events.dropped(this, reason),
      closed: (end) => this.#closed(end),
    }
  }

  /** Bytes that wait, in the connection and in the queue. */
  get waitingBytes(): number {
    return this.#connection.bufferedAmount + this.#togetherBytes + this.#bulk.bytes + this.#pausedBytes
  }

  /** Above the high water mark, until the low one is reached again. */
  get overloaded(): boolean {
    return this.#overloaded
  }

  /** Sends a packed frame. False where it was not taken: the link is over, or overloaded and the lane may be refused. */
  send(bytes: Buffer, lane: Lane): boolean {
    if (this.#over) return false
    if (this.#overloaded && (lane === 'droppable' || lane === 'call')) {
      if (lane === 'droppable') this.#hasDropped = true
      return false
    }
    if (this.#paused) {
      this.#paused.push({ bytes, lane })
      this.#pausedBytes += bytes.length
    } else this.#put(bytes, lane)
    this.#measure()
    return !this.#over
  }

  /** From here on what is sent waits, until `resume`. */
  pause(): void {
    this.#paused ??= []
  }

  resume(): void {
    const paused = this.#paused ?? []
    this.#paused = undefined
    this.#pausedBytes = 0
    for (const { bytes, lane } of paused) if (!this.#over) this.#put(bytes, lane)
    this.#measure()
  }

  /** Behind all that was sent: the far end answers when it has handed on all of that. */
  sendLast(): void {
    this.send(packFrame([linkKinds.last]), 'bulk')
  }

  /** What it refused is worth a word when there is room again. */
  noteRefused(): void {
    this.#hasDropped = true
  }

  #put(bytes: Buffer, lane: Lane): void {
    const mustWait = lane === 'bulk' || (lane !== 'control' && this.#bulk.holds(lane))
    if (mustWait || bytes.length > chunkBytes) {
      this.#bulk.push(bytes, lane)
      this.#pump()
    } else this.#write(bytes)
  }

  /**
   * Ends the link in an orderly way: what is in the connection still arrives, and what the far end had sent is still
   * handed on as frames. The owner gets no `closed`. Resolves when the connection is closed, which is bounded.
   */
  async close(reason: string): Promise<void> {
    if (this.#over) return
    this.#over = true
    this.#clear()
    this.#uncork()
    await this.#connection.close(reason)
  }

  #clear(): void {
    this.#bulk.clear()
    this.#paused = undefined
    this.#pausedBytes = 0
  }

  #write(bytes: Buffer): void {
    if (!this.#corked) {
      this.#corked = true
      this.#connection.cork()
      this.#time.defer(() => this.#uncork())
    }
    this.counts.framesOut++
    this.counts.bytesOut += bytes.length
    const more = bytesTogether(bytes)
    if (this.#togetherBytes + more > maxTogetherBytes) this.#flush()
    if (!this.#joins || more > maxTogetherBytes) return this.#connection.send(bytes)
    this.#together.push(bytes)
    this.#togetherBytes += more
  }

  #flush(): void {
    const frames = this.#together
    const [first] = frames
    if (first === undefined) return
    const bytes = this.#togetherBytes
    this.#together = []
    this.#togetherBytes = 0
    this.#connection.send(frames.length === 1 ? first : joinFrames(frames, bytes))
  }

  #uncork(): void {
    if (!this.#corked) return
    this.#corked = false
    this.notedUse = false
    this.#flush()
    this.#connection.uncork()
    if (!this.#over) this.#pump()
  }

  #pump(): void {
    while (this.#bulk.bytes > 0 && this.#connection.bufferedAmount + this.#togetherBytes < bulkWindowBytes)
      this.#write(this.#bulk.next())
  }

  /** The connection is empty: there is room for bulk, and perhaps the peer is no longer overloaded. */
  #drain(): void {
    if (this.#over) return
    this.#pump()
    this.#measure()
  }

  #measure(): void {
    if (this.#over) return
    const waiting = this.waitingBytes
    if (waiting > this.#limits.maxQueueBytes) {
      this.#fail(`it does not read: over ${this.#limits.maxQueueBytes} bytes wait`)
    } else if (waiting > this.#limits.highWaterBytes) this.#overloaded = true
    else if (this.#overloaded && waiting < this.#limits.lowWaterBytes) {
      this.#overloaded = false
      if (!this.#hasDropped) return
      this.#hasDropped = false
      this.#events.drained(this)
    }
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (this.#unreadable) return
    if (!isBinary) {
      this.counts.framesIn++
      return this.#events.dropped(this, 'a text frame')
    }
    this.#events.message(() => {
      let isReadable = true
      const isWhole = splitFrames(data, (frame) => {
        this.counts.framesIn++
        this.counts.bytesIn += frame.length
        isReadable = this.#unpack(frame, false)
        // A peer that packs one frame badly has nothing to say behind it, and each costs as much to refuse as a good one.
        return isReadable && !this.#unreadable
      })
      if (!isWhole && isReadable && !this.#unreadable) this.#events.dropped(this, 'not frames')
    })
  }

  /** False where the bytes are no frame. */
  #unpack(bytes: Uint8Array, fromChunks: boolean): boolean {
    let frame: unknown
    try {
      frame = unpackFrame(bytes)
    } catch {
      // Each message stands by itself, so the next one can be read on.
      this.#events.dropped(this, 'not msgpack')
      return false
    }
    if (!Array.isArray(frame) || !Number.isInteger(frame[0])) {
      this.#events.dropped(this, 'not a frame')
      return false
    }
    if (frame[0] !== linkKinds.chunk) this.#read(frame)
    else if (fromChunks) this.#events.dropped(this, 'a chunk within a chunk')
    else this.#receiveChunk(frame)
    return true
  }

  #read(frame: readonly unknown[]): void {
    if (this.via !== undefined) {
      if (frame[0] === linkKinds.lastRead) return this.#events.lastRead(this)
      if (this.peerIsDone) return this.#events.dropped(this, 'a frame after the last one')
      if (frame[0] === linkKinds.last) return this.#receiveLast()
    }
    this.#events.frame(this, frame)
  }

  #receiveLast(): void {
    this.peerIsDone = true
    if (!this.#over) this.#write(packFrame([linkKinds.lastRead]))
    this.#events.last(this)
  }

  #receiveChunk(frame: readonly unknown[]): void {
    const [, more, bytes] = frame
    if (typeof more !== 'boolean' || !(bytes instanceof Uint8Array)) return this.#events.dropped(this, 'a bad chunk')
    this.#chunks.push(bytes)
    this.#chunkedBytes += bytes.length
    // Small chunks cost memory too, so their number is bounded with their bytes (a quarter of our size is allowed).
    const tooMany = this.#chunks.length > 4 + (4 * this.#limits.maxFrameBytes) / chunkBytes
    if (tooMany || this.#chunkedBytes > this.#limits.maxFrameBytes) {
      this.#events.dropped(this, 'too large')
      return this.#fail(`it sent a frame of over ${this.#limits.maxFrameBytes} bytes`)
    }
    if (more) return
    const whole = Buffer.concat(this.#chunks)
    this.#chunks = []
    this.#chunkedBytes = 0
    this.#unpack(whole, true)
  }

  /** We end it because it cannot go on; the owner hears of it in the same turn. */
  #fail(reason: string): void {
    this.#unreadable = true
    if (this.#over) return
    void this.close(reason)
    this.#events.closed(this, false, reason)
  }

  #closed({ byPeer, reason }: ConnectionEnd): void {
    if (this.#over) return
    this.#over = true
    this.#clear()
    this.#events.closed(this, byPeer, reason)
  }
}

/** What waits for the connection to have room: whole frames in order, given out in pieces of one chunk at most. */
class BulkQueue {
  bytes = 0
  readonly #waiting: Record<Lane, number> = { control: 0, droppable: 0, call: 0, bulk: 0 }
  #items: { readonly bytes: Buffer; readonly lane: Lane }[] = []
  #head = 0
  /** Bytes of the first item that have left. */
  #at = 0

  holds(lane: Lane): boolean {
    return this.#waiting[lane] > 0
  }

  push(bytes: Buffer, lane: Lane): void {
    this.#items.push({ bytes, lane })
    this.#waiting[lane]++
    this.bytes += bytes.length
  }

  /** The next piece, packed; only when there is one. */
  next(): Buffer {
    const item = this.#items[this.#head]
    if (!item) throw new Error('nothing waits')
    const { bytes } = item
    if (bytes.length <= chunkBytes) {
      this.#shift()
      this.bytes -= bytes.length
      return bytes
    }
    const piece = bytes.subarray(this.#at, this.#at + chunkBytes)
    this.#at += piece.length
    this.bytes -= piece.length
    const more = this.#at < bytes.length
    if (!more) this.#shift()
    return packFrame([linkKinds.chunk, more, piece])
  }

  clear(): void {
    this.#items = []
    this.#head = 0
    this.#at = 0
    this.bytes = 0
    for (const lane of Object.keys(this.#waiting) as Lane[]) this.#waiting[lane] = 0
  }

  #shift(): void {
    const item = this.#items[this.#head++]
    if (item) this.#waiting[item.lane]--
    this.#at = 0
    if (this.#head < 64 || this.#head * 2 < this.#items.length) return
    this.#items = this.#items.slice(this.#head)
    this.#head = 0
  }
}
