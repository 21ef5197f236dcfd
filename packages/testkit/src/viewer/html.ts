/**
 * The one file that shows a run: markup, style, program and data in one text that loads nothing. The program is the
 * compiled `page/`, in the order in which its parts need each other: their imports lead nowhere inside a page.
 */
import { readFileSync } from 'node:fs'
import { pack } from './page/packed.js'
import type { Recording } from './page/recording.js'
import { style } from './style.js'

const parts = ['recording', 'packed', 'timeline', 'query', 'scene', 'paint', 'page']

/** Sources and what is compiled from them lie equally deep, so that this finds the same program from both. */
const compiled = new URL('../../dist/viewer/page/', import.meta.url)

export function html(recording: Recording): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>Skep run</title>
<style>${style}</style>
</head>
<body>
${markup}
<script type="application/json" id="recording">${escapeScript(JSON.stringify(pack(recording)))}</script>
<script type="module">
${escapeClosing(parts.map(program).join('\n'))}
</script>
</body>
</html>
`
}

/** JSON that no text in it can end, whatever a recording says. */
export function escapeScript(json: string): string {
  return json.replace(/[<>&\u2028\u2029]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** The program is ours; it only must not close its own element. */
function escapeClosing(code: string): string {
  if (/<\/script|<!--/i.test(code)) throw new Error('the page program holds the end of a script element')
  return code
}

/** A module as a piece of one program: names are told apart by us, not by modules. */
function program(name: string): string {
  const code = readFileSync(new URL(`${name}.js`, compiled), 'utf8')
  return code
    .replace(/^import [^;]*?from '[^']*';?$/gm, '')
    .replace(/^export \{\};?$/gm, '')
    .replace(/^export (?=async |function |const |class )/gm, '')
}

const markup = `
<header>
  <h1 id="seed"></h1>
  <span id="facts"></span>
  <code id="command" title="makes this run again"></code>
</header>
<ol id="violations" aria-label="Broken rules"></ol>
<div id="tools">
  <fieldset id="families"><legend>Frames</legend></fieldset>
  <fieldset id="kinds"><legend>Marks</legend></fieldset>
  <span class="group">
    <input id="search" type="search" placeholder="name-3, slot 12, a boot" aria-label="Search frames and marks">
    <button class="button" id="previous" title="the one found before (p)">◂</button>
    <button class="button" id="next" title="the next one found (n)">▸</button>
    <span id="found" role="status"></span>
  </span>
  <span class="group">
    <button class="button" id="zoom-out" title="zoom out (-)">−</button>
    <button class="button" id="zoom-in" title="zoom in (+)">+</button>
    <button class="button" id="show-all" title="the whole run (0)">all</button>
    <button class="button" id="help" title="how to read and move (?)">?</button>
  </span>
  <span id="range" role="status"></span>
</div>
<main>
  <canvas id="overview" aria-label="The whole run"></canvas>
  <canvas id="axis" aria-hidden="true"></canvas>
  <div id="stage">
    <div id="spacer">
      <ol id="labels" aria-label="Nodes"></ol>
      <canvas id="plot" tabindex="0" role="img" aria-label="Frames between the nodes, by time"></canvas>
    </div>
  </div>
  <aside id="details" aria-live="polite"></aside>
</main>
<div id="tip" role="tooltip" hidden></div>
<div hidden>
  <div id="help-text">
    <h2>How to read it</h2>
    <p>A row is one life of a node: dashed until it is ready, amber while it leaves, a cross where it ends. An arrow is
    a frame, from when it was sent to when it arrived; a dashed stub never arrived. Too many of them are drawn as bars:
    how many each node sends. Amber bands are faults, red lines broken rules.</p>
    <p>A search dims all else, and shows as bars below the rows who holds what is searched for, and when.</p>
    <h2>How to move</h2>
    <p><kbd>wheel</kbd> zoom, <kbd>shift</kbd>+<kbd>wheel</kbd> or drag: move, double click: zoom in, click: details</p>
    <p><kbd>←</kbd> <kbd>→</kbd> move, <kbd>↑</kbd> <kbd>↓</kbd> other rows, <kbd>+</kbd> <kbd>-</kbd> zoom,
    <kbd>0</kbd> the whole run</p>
    <p><kbd>v</kbd> next broken rule, <kbd>/</kbd> search, <kbd>n</kbd> <kbd>p</kbd> next and previous found,
    <kbd>Esc</kbd> this text</p>
  </div>
</div>`
