/** The page's style sheet. Its colours are also those of what is drawn: paint.ts reads them by name. */
export const style = `
:root {
  color-scheme: light dark;
  --ground: #ffffff; --stripe: #f4f6f8; --grid: #dde3ea; --ink: #18212b; --quiet: #5b6875; --life: #7b8794;
  --accent: #0b57d0; --violation: #c5221f; --fault: #b45309; --hold: #0f766e;
  --membership: #64748b; --sync: #2563eb; --claims: #15803d; --slots: #9333ea; --placement: #c2410c;
  --ids: #0e7490; --requests: #be185d;
  --mark-life: #18212b; --mark-view: #475569; --mark-name: #15803d; --mark-slots: #9333ea; --mark-ask: #2563eb;
  --mark-outcome: #0e7490; --mark-link: #94a3b8; --mark-note: #a16207;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #11161c; --stripe: #171e26; --grid: #28323d; --ink: #e6edf3; --quiet: #9aa7b4; --life: #6b7885;
    --accent: #79b0ff; --violation: #ff7b72; --fault: #e3a04a; --hold: #4fd1c5;
    --membership: #94a3b8; --sync: #6ea8ff; --claims: #56d364; --slots: #d2a8ff; --placement: #ffa657;
    --ids: #56d4dd; --requests: #ff9bce;
    --mark-life: #e6edf3; --mark-view: #b0bccb; --mark-name: #56d364; --mark-slots: #d2a8ff; --mark-ask: #6ea8ff;
    --mark-outcome: #56d4dd; --mark-link: #64748b; --mark-note: #d4a72c;
  }
}
* { box-sizing: border-box; }
html, body { height: 100%; margin: 0; }
body {
  display: flex; flex-direction: column; background: var(--ground); color: var(--ink);
  font: 14px/1.45 system-ui, sans-serif;
}
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 16px; padding: 10px 14px 4px; }
h1 { font-size: 18px; margin: 0; }
#facts { color: var(--quiet); }
code, pre, small { font-family: ui-monospace, monospace; font-size: 12px; }
#command { color: var(--quiet); user-select: all; overflow-wrap: anywhere; flex-basis: 100%; }
#violations { list-style: none; margin: 0; padding: 4px 14px; max-height: 22vh; overflow-y: auto; flex: none; }
.violation {
  width: 100%; margin: 2px 0; padding: 5px 10px; text-align: left; font: inherit; cursor: pointer; color: inherit;
  background: color-mix(in srgb, var(--violation) 10%, transparent);
  border: 1px solid color-mix(in srgb, var(--violation) 45%, transparent); border-left: 5px solid var(--violation);
  border-radius: 4px;
}
.violation:hover { background: color-mix(in srgb, var(--violation) 18%, transparent); }
.violation b { color: var(--violation); }
.when { margin: 0 8px; font-variant-numeric: tabular-nums; }
.none { color: var(--claims); font-weight: 600; }
#tools { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 18px; padding: 6px 14px; }
fieldset { display: flex; flex-wrap: wrap; gap: 2px 12px; border: 0; margin: 0; padding: 0; }
legend { float: left; padding: 0; margin-right: 10px; color: var(--quiet); }
label { display: inline-flex; align-items: center; gap: 4px; white-space: nowrap; cursor: pointer; }
label input { margin: 0; }
label i { width: 14px; height: 4px; border-radius: 2px; }
#kinds i { width: 9px; height: 9px; }
label small { color: var(--quiet); font-size: 11px; }
#search {
  font: inherit; width: 17em; padding: 4px 8px; color: inherit; background: var(--stripe);
  border: 1px solid var(--life); border-radius: 4px;
}
.button {
  font: inherit; padding: 3px 10px; color: inherit; background: var(--stripe); border: 1px solid var(--grid);
  border-radius: 4px; cursor: pointer;
}
.button:hover { border-color: var(--life); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.group { display: inline-flex; align-items: center; gap: 4px; }
#found { min-width: 6em; color: var(--quiet); font-variant-numeric: tabular-nums; }
#range { margin-left: auto; color: var(--quiet); font-variant-numeric: tabular-nums; }
main { flex: 1; min-height: 0; display: grid; grid-template: 44px 24px minmax(0, 1fr) / 132px minmax(0, 1fr) 330px; }
#overview { grid-column: 1 / 3; width: 100%; height: 44px; cursor: pointer; border-block: 1px solid var(--grid); }
#axis { grid-column: 2; grid-row: 2; width: 100%; height: 24px; border-bottom: 1px solid var(--grid); }
#stage { grid-column: 1 / 3; grid-row: 3; overflow-y: auto; overflow-x: hidden; }
#spacer { display: grid; grid-template-columns: 132px minmax(0, 1fr); align-items: start; min-height: 100%; }
#labels { list-style: none; margin: 0; padding: 0; border-right: 1px solid var(--grid); }
.lane { display: flex; flex-direction: column; justify-content: center; padding: 0 10px; line-height: 1.2; cursor: pointer; }
.lane:nth-child(odd) { background: var(--stripe); }
.lane small { color: var(--quiet); font-size: 11px; }
#plot { position: sticky; top: 0; width: 100%; cursor: grab; touch-action: none; }
#details {
  grid-column: 3; grid-row: 1 / 4; overflow: auto; padding: 10px 14px; border-left: 1px solid var(--grid);
  background: var(--stripe);
}
#details h2 { font-size: 16px; margin: 0 0 6px; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 2px 12px; margin: 0 0 10px; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
kbd { font: 12px ui-monospace, monospace; padding: 0 5px; border: 1px solid var(--life); border-radius: 3px; }
#tip {
  position: fixed; z-index: 1; padding: 3px 8px; white-space: pre; pointer-events: none; color: var(--ground);
  background: var(--ink); border-radius: 4px; font-size: 12px;
}
[hidden] { display: none !important; }
@media (max-width: 900px) {
  main { grid-template: 44px 24px minmax(0, 1fr) 30vh / 84px minmax(0, 1fr); }
  #spacer { grid-template-columns: 84px minmax(0, 1fr); }
  #details { grid-column: 1 / 3; grid-row: 4; border-left: 0; border-top: 1px solid var(--grid); }
  .lane small { display: none; }
}
`
