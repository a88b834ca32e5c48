/** The look of the page, light and dark. Colours are Okabe and Ito's; shapes and dashes say the same without them. */
export const pageStyle = `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --paper: #ffffff; --panel: #f6f8fa; --rule: #d8dee4;
  --base: #0072b2; --candidate: #b34a00; --goal: #007a5a; --alarm: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa5b1; --paper: #0d1117; --panel: #161b22; --rule: #30363d;
  --base: #56b4e9; --candidate: #f0a35e; --goal: #3fc79a; --alarm: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 56rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--rule); }
p { margin: .5rem 0; }
.about { color: var(--soft); }
.verdict { font-size: 1.25rem; font-weight: 700; margin: .25rem 0; }
.alarm { color: var(--alarm); font-weight: 700; }
header ul { margin: .25rem 0; padding-left: 1.2rem; }
dl { display: grid; gap: .2rem; margin: .5rem 0; }
dl div { display: grid; grid-template-columns: 13rem 1fr; gap: 1rem; }
dt { color: var(--soft); } dd { margin: 0; }
@media (max-width: 36rem) { dl div { grid-template-columns: 1fr; gap: 0; } dl { gap: .5rem; } }
pre { background: var(--panel); padding: .75rem; overflow-x: auto; overflow-wrap: normal; font-size: .9rem; }
figure { margin: .75rem 0; }
.scroll { overflow-x: auto; }
svg { display: block; width: 100%; min-width: 40rem; height: auto; background: var(--panel); border-radius: 6px; }
details { margin: .75rem 0; } summary { cursor: pointer; color: var(--soft); }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; margin: .5rem 0; }
caption { text-align: left; color: var(--soft); padding: .25rem 0; }
th, td { text-align: right; padding: .2rem .7rem; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { font-weight: 600; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
svg .tick, svg .level-name, svg .key { fill: var(--soft); }
svg .axis { fill: var(--soft); font-weight: 600; }
svg .figure, svg .arm-name, svg .row-name { font-weight: 600; }
.grid { stroke: var(--rule); stroke-width: 1; }
.base-line, .zero { stroke: var(--soft); stroke-width: 1.2; }
.margin { stroke: var(--candidate); stroke-width: 1.5; stroke-dasharray: 7 4; }
.goal { stroke: var(--goal); stroke-width: 1.8; stroke-dasharray: 2 3; }
.stop { stroke: var(--alarm); stroke-width: 1.5; stroke-dasharray: 4 4; }
.base-first { fill: var(--panel); stroke: var(--base); stroke-width: 2; }
.candidate-first { fill: var(--base); stroke: var(--base); stroke-width: 2; }
.uncounted { fill: none; stroke: var(--soft); stroke-dasharray: 2 2; }
.beyond { fill: var(--alarm); }
polyline { fill: none; }
.gain-path { stroke: var(--base); stroke-width: 2; }
.gain-dot { fill: var(--base); }
.futility-path { stroke: var(--candidate); stroke-width: 2; stroke-dasharray: 6 4; }
.futility-dot { fill: var(--panel); stroke: var(--candidate); stroke-width: 1.6; }
.base-dot { fill: none; stroke: var(--base); stroke-width: 1.6; }
.candidate-dot { fill: var(--candidate); fill-opacity: .75; }
.base-box { fill: var(--base); fill-opacity: .2; stroke: var(--base); }
.candidate-box { fill: var(--candidate); fill-opacity: .25; stroke: var(--candidate); }
.whisker { stroke: var(--soft); stroke-width: 1.2; }
.median { stroke: var(--ink); stroke-width: 2.5; }
.reported-interval { stroke: var(--base); stroke-width: 2.5; }
.reported-dot { fill: var(--base); }
.unreported-interval { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 4 3; }
.unreported-dot { fill: var(--panel); stroke: var(--soft); stroke-width: 2; }
@media print { body { background: none; } svg { background: none; } }
`;
