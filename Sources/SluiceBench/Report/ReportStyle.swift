// The style sheet of the report, for light and dark grounds. Lines of a peer are dashed: colour is not all that tells
// them apart.

let pageStyle = """
  :root {
    color-scheme: light dark;
    --ground: #ffffff; --text: #1b1f24; --quiet: #59636e; --grid: #e4e7eb; --rule: #a8b0b9;
    --met: #1a7f4b; --missed: #c0361d; --open: #3b6fb0;
    --q0: #2b6cb0; --q1: #1a7f64; --q2: #b7600b; --q3: #8b3a7d;
  }
  @media (prefers-color-scheme: dark) {
    :root {
      --ground: #15181c; --text: #e4e7eb; --quiet: #9aa4af; --grid: #2b3138; --rule: #59636e;
      --met: #4cc38a; --missed: #f2705c; --open: #74a7e6;
      --q0: #74a7e6; --q1: #4cc3a4; --q2: #f0a35a; --q3: #d68fc8;
    }
  }
  body { background: var(--ground); color: var(--text); font: 15px/1.45 system-ui, sans-serif; margin: 2em; }
  h1 { font-size: 1.5em; } h2 { font-size: 1.2em; margin-top: 2em; }
  .plots { display: flex; flex-wrap: wrap; gap: 1.5em; }
  .plot, .table { overflow-x: auto; max-width: 100%; }
  .key { padding-left: 0.8em; }
  table { border-collapse: collapse; font-size: 13px; margin-top: 1em; }
  th, td { text-align: left; padding: 3px 12px 3px 0; border-bottom: 1px solid var(--grid); vertical-align: top; }
  td { white-space: nowrap; }
  td.number { font-variant-numeric: tabular-nums; }
  td.counters { white-space: normal; min-width: 24em; color: var(--quiet); }
  .met { color: var(--met); fill: var(--met); stroke: var(--met); }
  .missed { color: var(--missed); fill: var(--missed); stroke: var(--missed); }
  .open { color: var(--open); fill: var(--open); stroke: var(--open); }
  td.met, td.missed, span.met, span.missed, span.open { stroke: none; }
  svg text { font: 12px/1 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: var(--text); }
  svg text.mark { fill: var(--quiet); font-size: 11px; }
  svg text.title { font-weight: 600; }
  .grid { stroke: var(--grid); } .axis { stroke: var(--rule); }
  .even { stroke: var(--rule); stroke-dasharray: 4 3; }
  .spread { stroke-width: 3; stroke-opacity: 0.55; }
  .ring { fill: none; stroke: var(--text); stroke-width: 1.5; }
  .goal { stroke: var(--text); stroke-width: 2; }
  .line { fill: none; stroke-width: 2; } .dot { stroke: none; }
  .q0 { stroke: var(--q0); } .q1 { stroke: var(--q1); } .q2 { stroke: var(--q2); } .q3 { stroke: var(--q3); }
  .dot.q0 { fill: var(--q0); } .dot.q1 { fill: var(--q1); } .dot.q2 { fill: var(--q2); } .dot.q3 { fill: var(--q3); }
  .theirs { stroke-dasharray: 6 4; }

  """
