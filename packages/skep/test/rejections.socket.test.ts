/** A whole node in a process of its own: what an actor lets loose is its crash; what the program lets loose ends that. */
import { spawnSync } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'

const program = `
  import { anonymous, child, defineActor, defineSupervisor, startNode, via } from '${pathToFileURL('packages/skep/dist/index.js').href}'
  const Loose = defineActor('loose', {
    init: () => ({ n: 0 }),
    on: {
      count: (self) => ++self.state.n,
      fall: () => { setTimeout(() => Promise.reject(new Error('loose')), 1) },
    },
  })
  const Top = defineSupervisor('top', { children: () => ({ loose: child(Loose, via('loose')) }) })
  const quiet = () => {}
  const logger = { debug: quiet, info: quiet, warn: quiet, error: (_, text) => console.log(text), fatal: quiet, child: () => logger }
  process.on('unhandledRejection', (reason) => console.log('heard', reason))
  const node = await startNode({ name: 'one', cluster: 'loose', listen: '127.0.0.1:0', actors: [Loose, Top], logger, signals: false })
  await node.ready()
  const top = node.ref(Top, await node.start(Top, anonymous))
  const loose = await top.child('loose')
  console.log(await loose.count(), await loose.count())
  const ends = loose.$.monitor().next()
  await loose.fall()
  console.log((await ends).value.reason)
  while ((await top.children())[0].restarts === 0);
  console.log(await loose.count())
  Promise.reject('by the program')
  await new Promise((resolve) => setImmediate(resolve))
  process.removeAllListeners('unhandledRejection')
  process.on('exit', (code) => console.log('exit', code))
  Promise.reject(new Error('the end'))
`

test('an actor that lets a rejection loose crashes and is started again; its process ends by its own alone', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  expect(stdout.split('\n')).toEqual([
    '1 2',
    expect.stringMatching(/^loose 'loose' <one.*> crashed: a promise that it made was rejected/),
    'crashed',
    '1',
    'heard by the program',
    'exit 1',
    '',
  ])
  expect([status, stderr]).toEqual([1, expect.stringContaining('Error: the end')])
})
