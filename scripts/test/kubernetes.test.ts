/** The manifests of k8s/: what Kubernetes would say of them, and that they fit each other and the program in the image. */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { root } from '../bootstrap.mjs'
import { documents, kustomize, type Labels, type Manifest } from './kustomize.js'
import { program } from './program.js'
import { schemaFaults, typeFaults } from './published.js'

const names = ['deployment', 'statefulset', 'autoscaling', 'dns'] as const
const overlays = names.map((name) => ({ name, manifests: kustomize(`k8s/overlays/${name}`) }))
const example = documents('k8s/secret.example.yaml') as unknown as readonly [Manifest & { readonly stringData: Labels }]

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
}

interface Container {
  readonly env: readonly { readonly name: string; readonly value?: string }[]
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
  readonly startupProbe: Probe
  readonly livenessProbe: Probe
  readonly readinessProbe: Probe
  readonly lifecycle: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } }
  readonly securityContext: unknown
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
}

interface PodSpec {
  readonly serviceAccountName: string
  readonly automountServiceAccountToken: boolean
  readonly terminationGracePeriodSeconds: number
  readonly securityContext: unknown
  readonly topologySpreadConstraints: readonly { readonly labelSelector: Selector }[]
  readonly containers: readonly [Container]
  readonly volumes: readonly { readonly name: string; readonly secret: { readonly secretName: string } }[]
}

interface Selector {
  readonly matchLabels: Labels
}

interface Workload {
  readonly replicas?: number
  readonly serviceName?: string
  readonly selector: Selector
  readonly template: { readonly metadata: { readonly labels: Labels }; readonly spec: PodSpec }
}

interface Service {
  readonly clusterIP?: string
  readonly publishNotReadyAddresses?: boolean
  readonly selector: Labels
  readonly ports: readonly { readonly name: string; readonly port: number; readonly targetPort: string }[]
}

interface Rule {
  readonly from?: readonly { readonly podSelector: Selector }[]
  readonly to?: readonly { readonly podSelector: Selector }[]
  readonly ports: readonly { readonly port: string | number }[]
}

/** The parts of an overlay that the checks look at. */
function partsOf(manifests: readonly Manifest[]) {
  const find = <T>(kind: string, name: string): T | undefined =>
    manifests.find((one) => one.kind === kind && one.metadata.name === name) as T | undefined
  const get = <T>(kind: string, name: string): T => {
    const found = find<T>(kind, name)
    if (found === undefined) throw new Error(`there is no ${kind} ${name}`)
    return found
  }
  const workload = (find('Deployment', 'counter') ?? get('StatefulSet', 'counter')) as { readonly spec: Workload }
  const { template } = workload.spec
  return {
    find,
    get,
    workload: workload.spec,
    labels: template.metadata.labels,
    pod: template.spec,
    container: template.spec.containers[0],
    config: get<{ readonly data: Labels }>('ConfigMap', 'counter').data,
    service: (name: string) => get<{ readonly spec: Service }>('Service', name).spec,
    policy: get<{ readonly spec: { podSelector: Selector; ingress: Rule[]; egress: Rule[] } }>(
      'NetworkPolicy',
      'counter',
    ).spec,
  }
}

describe.each(overlays)('overlay $name', ({ name, manifests }) => {
  const { find, get, workload, labels, pod, container, config, service, policy } = partsOf(manifests)
  const ports = new Map(container.ports.map((port) => [port.name, port.containerPort]))

  test.each(manifests.map((one) => [`${one.kind} ${one.metadata.name}`, one] as const))(
    '%s fits the published schema',
    async (_, manifest) => expect(await schemaFaults(manifest)).toEqual([]),
  )

  test('has no key that the published types do not know', () => {
    expect(typeFaults(manifests)).toEqual([])
  })

  test('names each thing once, all of it in one namespace', () => {
    const ids = manifests.map((one) => `${one.kind} ${one.metadata.name}`)
    expect(new Set(ids).size).toBe(ids.length)
    const spaces = manifests.map((one) => (one.kind === 'Namespace' ? one.metadata.name : one.metadata.namespace))
    expect(new Set(spaces)).toEqual(new Set(['skep']))
  })

  test('selects the pods that the template makes', () => {
    const selectors = [
      service('counter').selector,
      service('counter-discovery').selector,
      workload.selector.matchLabels,
      ...pod.topologySpreadConstraints.map((one) => one.labelSelector.matchLabels),
      get<{ spec: { selector: Selector } }>('PodDisruptionBudget', 'counter').spec.selector.matchLabels,
      policy.podSelector.matchLabels,
      ...[...policy.ingress, ...policy.egress].flatMap(({ from = [], to = [] }) =>
        [...from, ...to].map((peer) => peer.podSelector.matchLabels),
      ),
    ]
    for (const selector of selectors) expect(labels).toMatchObject(selector)
    expect(selectors.every((selector) => Object.keys(selector).length > 0)).toBe(true)
  })

  test('names only ports that the container has, and they are where the program listens', () => {
    const used = [
      ...['counter', 'counter-discovery'].flatMap((one) => service(one).ports.map(({ targetPort }) => targetPort)),
      ...[container.startupProbe, container.livenessProbe, container.readinessProbe].map(({ httpGet }) => httpGet.port),
      ...[...policy.ingress, ...policy.egress].flatMap((rule) => rule.ports.map(({ port }) => port)),
    ].filter((port) => typeof port === 'string')
    for (const port of used) expect([...ports.keys()]).toContain(port)
    const listens = { cluster: config.LISTEN, http: config.HTTP, admin: config.ADMIN }
    expect(Object.fromEntries(ports)).toEqual(
      Object.fromEntries(Object.entries(listens).map(([key, at]) => [key, Number(at?.split(':').at(-1))])),
    )
  })

  test('lets pods link to each other and ask DNS and the API server', () => {
    const open = (rules: readonly Rule[]) => rules.flatMap((rule) => rule.ports.map(({ port }) => port))
    expect(open(policy.ingress)).toEqual(['cluster', 'http'])
    expect(open(policy.egress)).toEqual(['cluster', 53, 53, 443, 6443])
  })

  test('finds pods that are not ready yet, by a Service of its own, and sends callers to ready ones', () => {
    const found = service(config.SERVICE ?? '')
    expect(found).toMatchObject({ clusterIP: 'None', publishNotReadyAddresses: true })
    expect(found.ports).toEqual([{ name: program.portName, port: ports.get('cluster'), targetPort: 'cluster' }])
    expect(service('counter')).not.toHaveProperty('publishNotReadyAddresses')
    expect(service('counter')).not.toHaveProperty('clusterIP')
    if (find('StatefulSet', 'counter')) expect(workload.serviceName).toBe(config.SERVICE)
  })

  test('asks /ready to send work and /live to keep alive', () => {
    const { startupProbe, livenessProbe, readinessProbe } = container
    for (const { httpGet } of [startupProbe, livenessProbe]) expect(httpGet).toEqual({ path: '/live', port: 'admin' })
    expect(readinessProbe.httpGet).toEqual({ path: '/ready', port: 'admin' })
    for (const path of ['/live', '/ready']) expect(program.adminPaths).toContain(path)
  })

  test('leaves time for the preStop hook, a whole drain and half of one more', () => {
    const command = container.lifecycle.preStop.exec.command.join(' ')
    const preStopMs = Number(/^node -e setTimeout\(\(\) => \{\}, (\d+)\)$/.exec(command)?.[1])
    // Longer than a readiness probe that has to fail twice, so that nobody sends anything by then.
    expect(preStopMs).toBeGreaterThan(4000)
    expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThanOrEqual(preStopMs + 1.5 * program.drainMs)
  })

  test('gives the right to ask the API server to those alone that ask it', () => {
    const asks = config.DISCOVERY === 'kubernetes'
    expect(pod.automountServiceAccountToken).toBe(asks)
    const { apiVersion: _, ...account } = get<Manifest>('ServiceAccount', pod.serviceAccountName)
    expect(account).toMatchObject({ automountServiceAccountToken: false })
    const role = find<{ rules: unknown }>('Role', 'counter-discovery')
    const binding = find<{ roleRef: unknown; subjects: unknown }>('RoleBinding', 'counter-discovery')
    const rule = { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['get', 'list', 'watch'] }
    expect(role?.rules).toEqual(asks ? [rule] : undefined)
    expect(binding?.roleRef).toEqual(
      asks ? { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'counter-discovery' } : undefined,
    )
    expect(binding?.subjects).toEqual(
      asks ? [{ kind: 'ServiceAccount', name: pod.serviceAccountName, namespace: 'skep' }] : undefined,
    )
  })

  test('sets only variables that the program reads, and a strategy that it has', () => {
    const given = [...Object.keys(config), ...container.env.map((one) => one.name)]
    for (const variable of given) expect(program.variables).toContain(variable)
    expect(new Set(given).size).toBe(given.length)
    expect(program.strategies).toContain(config.DISCOVERY)
  })

  test('mounts the secret where the program reads it', () => {
    const [secret] = example
    expect(pod.volumes.map((one) => one.secret.secretName)).toEqual([secret.metadata.name])
    expect(container.volumeMounts.map((one) => one.name)).toEqual(pod.volumes.map((one) => one.name))
    const file = container.env.find((one) => one.name === 'SECRET_FILE')?.value
    const files = Object.keys(secret.stringData).map((key) => `${container.volumeMounts[0]?.mountPath}/${key}`)
    expect(files).toEqual([file])
  })

  test('asks for no more than Pod Security calls restricted', () => {
    const seccompProfile = { type: 'RuntimeDefault' }
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, seccompProfile })
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    const space = get<Manifest>('Namespace', 'skep')
    expect(space.metadata.labels).toEqual({ 'pod-security.kubernetes.io/enforce': 'restricted' })
  })

  test('keeps a majority while nodes are drained, and leaves the number of pods to the autoscaler where there is one', () => {
    const budget = get<{ spec: { maxUnavailable: number } }>('PodDisruptionBudget', 'counter').spec
    const scaler = find<{ spec: { minReplicas: number; scaleTargetRef: unknown } }>(
      'HorizontalPodAutoscaler',
      'counter',
    )
    const fewest = scaler?.spec.minReplicas ?? workload.replicas ?? 0
    expect(fewest - budget.maxUnavailable).toBeGreaterThan(fewest / 2)
    if (scaler) expect(workload).not.toHaveProperty('replicas')
    if (scaler)
      expect(scaler.spec.scaleTargetRef).toEqual({ apiVersion: 'apps/v1', kind: 'Deployment', name: 'counter' })
  })

  const kubectl = ['kustomize', 'kubectl'].find((tool) => spawnSync(tool, ['--help'], { stdio: 'ignore' }).status === 0)
  test.skipIf(kubectl === undefined)('is what kustomize itself makes of it', () => {
    const verb = kubectl === 'kubectl' ? 'kustomize' : 'build'
    const { stdout, stderr } = spawnSync(kubectl ?? '', [verb, join(root, 'k8s/overlays', name)], { encoding: 'utf8' })
    const theirs = parseAllDocuments(stdout).map((document) => document.toJS() as Manifest)
    expect(sorted(theirs), stderr).toEqual(sorted(manifests))
  })
})

/** Kustomize sorts by kind. */
function sorted(manifests: readonly Manifest[]): Manifest[] {
  const id = (one: Manifest) => `${one.kind} ${one.metadata.name}`
  return [...manifests].sort((a, b) => (id(a) < id(b) ? -1 : 1))
}

test('both kinds of workload run the same pods', () => {
  const [deployment, statefulset] = overlays.map(({ manifests }) => partsOf(manifests).workload.template)
  expect(statefulset).toEqual(deployment)
})

test('the example of a secret fits the published schema, and no node starts with it', async () => {
  const [secret] = example
  expect(await schemaFaults(secret)).toEqual([])
  expect(typeFaults(example)).toEqual([])
  expect(Object.values(secret.stringData)).toEqual([''])
})

describe('the search for faults itself', () => {
  const deployment = overlays[0]?.manifests.find(({ kind }) => kind === 'Deployment')
  const changed = ([from, to]: readonly [string, string]): Manifest => {
    const text = JSON.stringify(deployment)
    expect(text).toContain(from)
    return JSON.parse(text.replace(from, to)) as Manifest
  }

  test('finds misspelt keys, however deep', () => {
    const slips = [
      ['"livenessProbe"', '"livenessprobe"'],
      ['"terminationGracePeriodSeconds"', '"terminationGracePeriod"'],
      ['"matchLabels"', '"matchLabel"'],
      ['"drop"', '"drops"'],
      ['"preStop"', '"prestop"'],
      ['"fieldPath"', '"path"'],
    ] as const
    const lines = typeFaults(slips.map(changed)).map((fault) => Number(/\((\d+),\d+\): error/.exec(fault)?.[1]))
    expect([...new Set(lines)]).toEqual(slips.map((_, i) => i + 1))
  })

  test.each([
    ['"containerPort":4370', '"containerPort":"4370"'],
    [',"containerPort":4370', ''],
    ['"name":"counter","image"', '"image"'],
    ['"maxSkew":1,', ''],
  ] as const)('finds that %s became %s', async (from, to) => {
    expect(await schemaFaults(changed([from, to]))).toHaveLength(1)
  })
})

test('every manifest is in a kustomization', () => {
  const listed = ['base', ...names.map((name) => `overlays/${name}`)].flatMap((folder) => {
    const [kustomization] = documents(`k8s/${folder}/kustomization.yaml`)
    const resources = kustomization?.resources as readonly string[]
    return resources.filter((path) => path.endsWith('.yaml')).map((path) => `${folder}/${path}`)
  })
  const files = readdirSync(join(root, 'k8s'), { recursive: true, encoding: 'utf8' })
  const there = files.filter((path) => path.endsWith('.yaml') && !/(kustomization|example)\.yaml$/.test(path))
  expect(listed.sort()).toEqual(there.sort())
})
