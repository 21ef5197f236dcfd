/** What the program in the image (examples/pods) reads, listens to and takes, as its source says. */
import { read } from './files.js'

const source = read('examples/pods/src/main.ts')
const found = (pattern: RegExp, text = source): string[] => [...text.matchAll(pattern)].map((match) => match[1] ?? '')

export const program = {
  variables: [...new Set(found(/\b(?:env|needed)\('([A-Z_]+)'\)/g))],
  strategies: found(/^ {2}'?([a-z-]+)'?: \(\) =>/gm),
  portName: found(/portName: '([a-z]+)'/g)[0],
  adminPaths: found(/GET {2}(\/\w+)/g, read('packages/skep/src/admin.ts')),
  drainMs: Number(found(/^const DRAIN_MS = ([\d_]+)$/gm, read('packages/skep/src/node.ts'))[0]?.replaceAll('_', '')),
}
