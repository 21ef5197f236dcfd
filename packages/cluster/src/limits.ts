/**
 * What a link takes and how much of it. Apart from the link itself, so that those who only name a limit or a lane see
 * nothing of the sockets: public types lead here, and must not lead to the types of `ws`.
 */

/**
 * How a full link treats a frame. `control`: never dropped, overtakes what waits. `droppable`: dropped above the high
 * mark, and the layers hear `drained` afterwards. `call`: refused above the high mark. `bulk`: waits behind all others.
 * Within `droppable`, `call` and `bulk` the order of sending is kept, whatever the sizes.
 */
export type Lane = 'control' | 'droppable' | 'call' | 'bulk'

/** Bounds of links; sizes in bytes, times in milliseconds. */
export interface LinkLimits {
  /** Waiting bytes above which a peer is overloaded. */
  readonly highWaterBytes: number
  /** Waiting bytes below which it no longer is. */
  readonly lowWaterBytes: number
  /** Waiting bytes above which the link is closed: even what is never dropped has an end. */
  readonly maxQueueBytes: number
  /** The largest frame, sent or received in chunks. */
  readonly maxFrameBytes: number
  /** From the dial to the open socket. */
  readonly dialTimeoutMs: number
  /** From the open socket to the end of the handshake. */
  readonly handshakeTimeoutMs: number
  /** Connections at once that have not proved the secret. */
  readonly maxStrangers: number
  /** Received calls that wait after a stall until the peers have answered. */
  readonly maxHeldFrames: number
}

export const linkLimits: LinkLimits = {
  highWaterBytes: 4 * 1024 * 1024,
  lowWaterBytes: 1024 * 1024,
  maxQueueBytes: 64 * 1024 * 1024,
  maxFrameBytes: 16 * 1024 * 1024,
  dialTimeoutMs: 2000,
  handshakeTimeoutMs: 2000,
  maxStrangers: 256,
  maxHeldFrames: 10_000,
}
