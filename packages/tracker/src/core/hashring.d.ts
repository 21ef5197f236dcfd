/**
 * The part of `hashring` 3.2.0 that we use. Its published types pull in all of Node's globals, which the pure parts
 * must not see.
 */
declare module 'hashring' {
  export default class HashRing {
    /** `servers`: name -> its virtual nodes. `hash` gives at least 16 bytes; each 4 of them are a point. */
    constructor(servers: Record<string, { vnodes: number }>, hash: (key: string) => ArrayLike<number>)
    /** The points of these servers, ascending, 32 bits each. */
    points(servers: string[]): Record<string, number[]>
    /** The next `size` different servers from where `key` hashes to. */
    range(key: string, size: number): string[]
  }
}
