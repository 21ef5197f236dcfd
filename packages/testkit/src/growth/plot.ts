/** A log-log plot as SVG, by hand: a line a series, readable on light and dark paper. */

export interface Series {
  readonly name: string
  /** (x, y), both above 0. */
  readonly points: readonly (readonly [number, number])[]
}

const WIDTH = 760
const HEIGHT = 480
const LEFT = 70
const TOP = 24
const BOTTOM = 52
/** The names of the series stand there. */
const RIGHT = 190
/** Of middle lightness, so that they stand out from white and from black. */
const COLOURS = ['#2f81f7', '#d9730d', '#2da44e', '#bf4b8a', '#8a63d2', '#b08800', '#6e7781']

export function plot(title: string, xName: string, series: readonly Series[]): string {
  const points = series.flatMap((one) => one.points)
  const xs = points.map(([x]) => x)
  const ys = points.map(([, y]) => y)
  const across = scale(Math.min(...xs), Math.max(...xs), LEFT, WIDTH - RIGHT)
  const [low, high] = [decade(Math.min(...ys), Math.floor), decade(Math.max(...ys), Math.ceil)]
  const up = scale(low, Math.max(high, 10 * low), HEIGHT - BOTTOM, TOP)
  const lines: string[] = []
  for (let y = low; y <= Math.max(high, 10 * low); y *= 10) {
    lines.push(`<path class="grid" d="M${LEFT} ${up(y)}H${WIDTH - RIGHT}"/>`)
    lines.push(`<text x="${LEFT - 8}" y="${up(y) + 4}" text-anchor="end">${short(y)}</text>`)
  }
  for (const x of [...new Set(xs)].sort((a, b) => a - b)) {
    lines.push(`<path class="grid" d="M${across(x)} ${TOP}V${HEIGHT - BOTTOM}"/>`)
    lines.push(`<text x="${across(x)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${x}</text>`)
  }
  lines.push(`<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 12}" text-anchor="middle">${xName}</text>`)
  series.forEach((one, i) => {
    lines.push(...drawn(one, COLOURS[i % COLOURS.length] as string, 40 + 22 * i, across, up))
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">
<style>text{font:13px system-ui,sans-serif;fill:#57606a}.grid{stroke:#8b949e;stroke-opacity:.35;fill:none}
.line{fill:none;stroke-width:2}@media (prefers-color-scheme:dark){text{fill:#adbac7}}</style>
<title>${title}</title>
${lines.join('\n')}
</svg>
`
}

function drawn(
  { name, points }: Series,
  colour: string,
  nameAt: number,
  across: (x: number) => number,
  up: (y: number) => number,
): string[] {
  const path = points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${across(x)} ${up(y)}`).join('')
  const dots = points.map(([x, y]) => `<circle cx="${across(x)}" cy="${up(y)}" r="3.5" fill="${colour}"/>`)
  const at = WIDTH - RIGHT + 16
  return [
    `<path class="line" stroke="${colour}" d="${path}"/>`,
    ...dots,
    `<path class="line" stroke="${colour}" d="M${at} ${nameAt - 4}h16"/>`,
    `<text x="${at + 22}" y="${nameAt}">${name}</text>`,
  ]
}

/** From (low, high) to (from, to), by logarithms. */
function scale(low: number, high: number, from: number, to: number): (value: number) => number {
  const span = Math.log(high / low) || 1
  return (value) => Math.round((from + (Math.log(value / low) / span) * (to - from)) * 10) / 10
}

function decade(value: number, round: (exponent: number) => number): number {
  return 10 ** round(Math.log10(value))
}

function short(value: number): string {
  if (value >= 1e6) return `${value / 1e6} M`
  return value >= 1000 ? `${value / 1000} k` : String(Number(value.toPrecision(3)))
}
