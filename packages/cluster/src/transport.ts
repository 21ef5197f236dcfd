/**
 * What links need of a network: somebody who listens and dials, and connections that carry messages whole and in
 * order. Everything of sockets stands behind this (`ws.ts`); a simulation puts its own network here. Who may link, the
 * bounds and the patience are the links' own.
 */
import { type Address, formatAddress } from './address.js'
import { SkepError } from './errors.js'

/** How a connection ended. */
export interface ConnectionEnd {
  /** In words, for people. */
  readonly reason: string
  /** The far end ended it (a process that died does that), not the network or this side. */
  readonly byPeer: boolean
  /** It never opened, since the very host and port said that nobody listens there. */
  readonly refused: boolean
}

/** What happens to a connection; nothing more after `closed`, which comes once. */
export interface ConnectionEvents {
  /** Messages can be sent from here on. */
  open?(): void
  message?(data: Buffer, isBinary: boolean): void
  /** What waited has left: there is room. */
  drain?(): void
  /** What the far end sent is not of the protocol that carries messages. */
  broken?(reason: string): void
  closed?(end: ConnectionEnd): void
}

/** A way to one peer, from its first sign of life: it may close before it opens. */
export interface Connection {
  /** Where it leads to or comes from, `host:port`. */
  readonly remote: string
  /** The host alone: ports of those who dial change. */
  readonly remoteHost: string
  /** Who hears of it now; may be replaced at any time. No event comes in the turn in which the connection is made. */
  events: ConnectionEvents
  /** Bytes handed over that have not left this process. */
  readonly bufferedAmount: number
  /** The bytes must not be changed afterwards. */
  send(bytes: Buffer): void
  /** From `cork` to `uncork` what is sent is collected, and leaves as one write. */
  cork(): void
  uncork(): void
  /** What was sent still arrives, then it closes; resolves when it is closed, which is bounded. */
  close(reason: string): Promise<void>
  /** Ends it at once: no message comes any more. */
  terminate(): void
}

export interface TransportEvents {
  /** Called with the port before any connection comes. */
  bound(port: number): void
  /** Somebody connects; it is not open yet. */
  met(connection: Connection): void
  /** Something from outside was turned away. */
  dropped(from: string, reason: string): void
}

export interface Transport {
  /**
   * Runs `fn` when all that has come by now is handed on: at once, where nothing waits so that others have their turn.
   * `waitedMs`: how long that took, without stalls. It is bounded by how many connections there are, not by what comes.
   */
  whenRead(fn: (waitedMs: number) => void): void
  /** Resolves with the port. Rejects with ERR_ADDRESS_IN_USE or ERR_LISTEN. */
  listen(address: Address, events: TransportEvents): Promise<number>
  /** A connection that begins; undefined where nothing can have this address. */
  dial(address: string): Connection | undefined
  /** Listens no more; resolves when the connections that came are closed, too. */
  close(): Promise<void>
}

/** The error of an address that cannot be bound, for whatever listens on it. */
export function listenError(error: Error & { readonly code?: string | undefined }, address: Address): SkepError {
  const fields = { cause: error, port: address.port, host: address.host }
  if (error.code === 'EADDRINUSE') {
    return new SkepError(
      'ERR_ADDRESS_IN_USE',
      `port ${address.port} on ${address.host} is in use by another process`,
      fields,
    )
  }
  return new SkepError('ERR_LISTEN', `cannot listen on ${formatAddress(address)}: ${error.message}`, fields)
}
