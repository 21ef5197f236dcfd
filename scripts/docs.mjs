/** Writes the pages of docs/ that are made from the code. Needs a build: `npm run build && node scripts/docs.mjs`. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { errorsPage } from './errors-page.mjs'

const docs = new URL('../docs/', import.meta.url)
const { errorCodes } = await import(new URL('../packages/cluster/dist/errors.js', import.meta.url).href)
mkdirSync(docs, { recursive: true })
writeFileSync(new URL('errors.md', docs), errorsPage(errorCodes))
