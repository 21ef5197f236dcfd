/** The part of `hashring` 3.2.0 that is measured. */
declare module 'hashring' {
  export default class HashRing {
    constructor(
      servers: Record<string, { vnodes: number }>,
      hash: (key: string) => ArrayLike<number>,
      options: { 'max cache size': number },
    )
    get(key: string): string
  }
}
