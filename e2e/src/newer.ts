/** A worker of a later version: see later.ts. */
import { register } from 'node:module'

register('./later.js', import.meta.url)
await import('./worker.js')
