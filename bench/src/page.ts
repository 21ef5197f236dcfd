/**
 * docs/performance.md, and its plots, from the JSON of one run: no figure there is typed by hand. What a contestant does
 * less or more than Skep stands here, since a figure says nothing without it.
 */
import { plot } from '@skep/testkit/plot'
import { type Measure, type RowReport, type Run, shown, shownSpread, targetInWords } from './report.js'

/** Where the plots are, beside the page. */
export const plotFolder = 'performance'

const contestants: readonly (readonly [string, string])[] = [
  [
    'raw ws + msgpackr',
    'Two processes that do nothing but send a number and a text of 32 bytes there and back: packed, unpacked and compared, what is sent in a turn as one write. No promises, names, deadlines, bounds or checks: what the same libraries can do at best.',
  ],
  [
    'Moleculer 0.14',
    'Its TCP transporter, JSON, no validator, no log. Less: an action belongs to a service, not to one actor with a state and a place; nothing keeps a name from running twice; calls have no deadline by default and say nothing of whether they ran; links are not authenticated. More: other languages can read it, it balances between nodes that offer an action, it has middlewares.',
  ],
  [
    'nact 7',
    "Actors of one process. Less: no nodes, no names but paths, messages are not copied, an actor's error does not come back to who asked. More: state is replaced and can be kept by event sourcing.",
  ],
  ['async function', 'A plain one, awaited: no mailbox, no name, no copy, no deadline.'],
  ['Map.get, a Map', 'The same keys in a Map of one process.'],
  [
    'hashring, bare',
    'The package that builds the ring, asked for each name, with MD5 and without its cache of answers; Skep hashes to a slot and reads an array.',
  ],
  [
    'bare processes',
    'Of a cold start: as many, started at once, that import the same modules and do nothing. Of the work on several cores: as many that do the same work in a loop, without calls.',
  ],
]

/** The page, in Markdown. `command` is what made the run; `other` is one of some rows, on another version of Node. */
export function page(run: Run, command: string, version: string, other?: Run): string {
  const { machine, rounds, rows } = run
  const wrong = wrongIn(run) + (other === undefined ? 0 : wrongIn(other))
  return [
    '# Performance',
    '',
    `Version ${version}, made by \`${command}\` from one run; all that was counted is in [performance.json](performance.json).`,
    `${machine.cores} cores (${machine.cpu}), Node ${machine.node}, load average ${machine.load.begun.toFixed(1)} when it began. Each row looks at its answers: ${wrong === 0 ? 'none was wrong' : `${wrong} checks were NOT right, see below`}.`,
    ...(run.quick ? ['', '**Made with `--quick`, to try the scripts: the figures say nothing.**'] : []),
    '',
    'The speed of a machine changes while one looks, so only ratios count. What has a yardstick ran in turns with it; a',
    `ratio is taken within each of the ${rounds} rounds, or as many as the row says. What was measured several times is told as`,
    'the median and, in brackets, the range. "cpu" is the processor\'s time per operation of all processes that take part,',
    'caller and called.',
    '',
    ...Object.entries(rows).flatMap(([name, row]) => section('##', name, row)),
    ...(other === undefined ? [] : beside(other)),
    '## Who is beside it',
    '',
    '| yardstick | what it is, and what it does less or more |',
    '| --- | --- |',
    ...contestants.map(([name, what]) => `| ${name} | ${what} |`),
    '',
    'What clusters of up to 300 nodes send and hold, counted by the simulator: [growth.md](growth.md).',
    '',
  ].join('\n')
}

function wrongIn({ rows }: Run): number {
  return Object.values(rows).reduce((sum, row) => sum + row.wrong.length, 0)
}

function beside({ machine, rounds, rows }: Run): string[] {
  return [
    `## On Node ${machine.node}`,
    '',
    `Some of the rows once more, by that Node's \`npm run -s bench -- ${Object.keys(rows).join(' ')} --rounds ${rounds} --json\` (${machine.cpu}, load average ${machine.load.begun.toFixed(1)} when it began); counted in [performance-other.json](performance-other.json).`,
    '',
    ...Object.entries(rows).flatMap(([name, row]) => section('###', name, { ...row, what: '', plots: [] })),
  ]
}

function section(mark: string, name: string, { what, measures, plots = [], wrong }: RowReport): string[] {
  return [
    `${mark} ${name}`,
    '',
    ...(what === '' ? [] : [what, '']),
    ...(measures.length === 0
      ? []
      : [
          '| | Skep | cpu | beside | cpu | ratio | cpu ratio | target |',
          '| --- | ---: | ---: | --- | ---: | ---: | ---: | --- |',
          ...measures.map(line),
          '',
        ]),
    ...plots.flatMap(({ file, title }) => [`![${title}](${plotFolder}/${file}.svg)`, '']),
    ...wrong.flatMap((text) => [`**Wrong:** ${text.split('\n', 1)[0]}`, '']),
  ]
}

function line({ name, unit, value, cpuUsPerOp, yardstick, target }: Measure): string {
  const cpu = (us: number | undefined): string => (us === undefined ? '' : shown(us, 'us'))
  const cells = [
    name,
    shownSpread(value, unit),
    cpu(cpuUsPerOp),
    yardstick === undefined ? '' : `${yardstick.name} ${shown(yardstick.value.median, unit)}`,
    cpu(yardstick?.cpuUsPerOp),
    yardstick === undefined ? '' : shownSpread(yardstick.ratio, 'x'),
    yardstick?.cpuRatio === undefined ? '' : shownSpread(yardstick.cpuRatio, 'x'),
    target === undefined ? '' : targetInWords(target, unit),
  ]
  return `| ${cells.join(' | ')} |`
}

/** Each plot's file, without a folder, and its text. Lines without a point that can be drawn are left out. */
export function plotFiles({ rows }: Run): { readonly file: string; readonly svg: string }[] {
  return Object.values(rows).flatMap(({ plots = [] }) =>
    plots.flatMap(({ file, title, x, lines }) => {
      const drawn = lines
        .map(({ name, points }) => ({ name, points: points.filter(([at, y]) => at > 0 && y > 0) }))
        .filter(({ points }) => points.length > 0)
      return drawn.length === 0 ? [] : [{ file: `${file}.svg`, svg: plot(title, x, drawn) }]
    }),
  )
}
