-- What the page of --report looks like, on wide and narrow screens, by day and by night.

return [[
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --text: #1c2128; --ink: #57606a; --faint: #d0d7de;
  --rule: #e4e8ec;
  --good: #116329; --good-back: #dafbe1; --near: #57606a; --near-back: #eaeef2; --bad: #a40e26;
  --bad-back: #ffebe9;
  --warn: #7a4b00; --blue: #0072b2;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1318; --card: #171c23; --text: #e6edf3; --ink: #a3afbd; --faint: #3a434e;
    --rule: #272e37;
    --good: #7ee2a0; --good-back: #12351f; --near: #a3afbd; --near-back: #262d36; --bad: #ff9d95;
    --bad-back: #45161a;
    --warn: #e8b45a; --blue: #2f8fd6;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
main, header { max-width: 72rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.25rem; }
h1 {
  font-size: 1.7rem; line-height: 1.25; letter-spacing: -0.01em; margin: 0 0 .4rem;
  overflow-wrap: anywhere;
}
h2 { font-size: 1.1rem; margin: 2.25rem 0 .75rem; }
p { margin: .4rem 0; }
.soft, figcaption span, .legend { color: var(--ink); }
.legend, figcaption span { font-size: .85rem; }
.verdict {
  display: inline-block; margin-top: .7rem; padding: .2rem .75rem; border-radius: 1rem;
  font-size: .9rem;
}
.verdict.whole { color: var(--good); background: var(--good-back); }
.verdict.broken { color: var(--bad); background: var(--bad-back); font-weight: 600; }
.verdict.open { color: var(--near); background: var(--near-back); }
.tiles {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem;
  margin: 1.5rem 0 0; padding: 0;
}
.tiles div {
  background: var(--card); border: 1px solid var(--rule); border-radius: .6rem;
  padding: .7rem .9rem;
}
.tiles dt { color: var(--ink); font-size: .82rem; }
.tiles dd { margin: 0; font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.scrolls, pre, .facts {
  background: var(--card); border: 1px solid var(--rule); border-radius: .6rem;
}
.scrolls {
  overflow-x: auto;
  background: linear-gradient(var(--card), var(--card)) right / 2.5rem 100% no-repeat local,
    linear-gradient(to left, rgb(0 0 0 / .16), rgb(0 0 0 / 0))
      right / 1rem 100% no-repeat scroll,
    var(--card);
}
.scrolls:focus-visible { outline: 2px solid var(--ink); outline-offset: 2px; }
table {
  border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums;
}
th, td {
  padding: .5rem .8rem; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--rule);
}
tbody tr:last-child > * { border-bottom: 0; }
thead th { color: var(--ink); font-weight: 500; font-size: .82rem; vertical-align: bottom; }
th:first-child {
  position: sticky; left: 0; background: var(--card); max-width: 15rem; overflow: hidden;
  text-overflow: ellipsis;
}
tbody th { font-weight: 600; }
.number, thead th.number { text-align: right; }
td b { font-weight: inherit; }
td.notes { color: var(--warn); white-space: normal; min-width: 13rem; }
td.notes.broken { color: var(--bad); font-weight: 600; }
td.notes:empty { min-width: 0; padding: 0; }
.best b, .near b { padding: .12rem .5rem; margin-right: -.5rem; border-radius: .8rem; }
.best b { color: var(--good); background: var(--good-back); font-weight: 650; }
.near b { color: var(--near); background: var(--near-back); }
.legend b { padding: .05rem .45rem; border-radius: .8rem; font-weight: 500; }
.legend .best { color: var(--good); background: var(--good-back); }
.legend .near { color: var(--near); background: var(--near-back); }
.spread { color: var(--ink); font-size: .82em; }
.pictures {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 1rem;
}
figure {
  margin: 0; padding: .9rem .9rem .5rem; background: var(--card); border: 1px solid var(--rule);
  border-radius: .6rem;
}
figcaption { font-weight: 600; line-height: 1.35; }
figcaption span { display: block; font-weight: 400; }
figure svg { display: block; width: 100%; height: auto; margin-top: .4rem; color: var(--ink); }
.facts {
  display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.25rem; margin: 0;
  padding: .9rem 1rem; font-size: .92rem;
}
.facts dt { color: var(--ink); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
pre + .facts { margin-top: .75rem; }
pre {
  margin: 0; padding: .9rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere;
  font: .88rem/1.5 ui-monospace, Menlo, Consolas, monospace;
}
details > summary { cursor: pointer; color: var(--ink); margin: 2.25rem 0 .75rem; }
details > summary h2 { display: inline; color: var(--text); margin: 0; }
footer {
  max-width: 72rem; margin: 2.5rem auto 0; padding: 0 1.25rem 2.5rem; color: var(--ink);
  font-size: .85rem;
}
@media (max-width: 34rem) {
  main, header, footer { padding-left: .9rem; padding-right: .9rem; }
  header { padding-top: 1.4rem; }
  h1 { font-size: 1.35rem; }
  .tiles { grid-template-columns: 1fr 1fr; }
  th:first-child { max-width: 9.5rem; white-space: normal; overflow-wrap: break-word; }
  figure { padding: .7rem .4rem .3rem; }
  figcaption { padding: 0 .4rem; }
  .facts { grid-template-columns: 1fr; gap: 0; }
  .facts dd { margin-bottom: .5rem; }
}
@media print {
  body { background: none; }
  figure, .scrolls, pre { break-inside: avoid; }
}
]]
