import { PAGE_STYLE } from '../compare/page-style.js';

/** The look of the page of `quality`, on top of that of a comparison. */
export const QUALITY_STYLE = `${PAGE_STYLE}
:root {
  --b0: #1d5fd1; --b1: #c2410c; --b2: #15803d; --b3: #a21caf; --b4: #52525b;
  --prepare: #94a3b8; --full: #1d5fd1; --cached: #f59e0b; --around: #dc2626; --decode: #15803d;
}
@media (prefers-color-scheme: dark) {
  :root { --b0: #7fb0ff; --b1: #fb923c; --b2: #4ade80; --b3: #e879f9; --b4: #a1a1aa; --full: #4a86e8; --decode: #22a355; }
}
main { max-width: 110rem; }
h2 { margin: 2rem 0 .5rem; font-size: 1.1rem; }
h3 {
  margin: 1.5rem 0 .5rem; max-width: 60rem; font-size: 1rem; font-weight: 500; overflow-wrap: anywhere;
  display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden;
}
ul.notes { padding-left: 1.2rem; color: var(--pale); overflow-wrap: anywhere; }
ul.notes span { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }
.scroll { max-height: 85vh; overflow: auto; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: separate; border-spacing: 0; }
thead th { position: sticky; top: 0; z-index: 1; background: var(--paper); vertical-align: bottom; white-space: normal; }
th:first-child { position: sticky; left: 0; z-index: 1; background: var(--paper); max-width: 22rem; }
thead th:first-child { z-index: 2; }
tbody th { white-space: normal; overflow-wrap: anywhere; min-width: 13rem; }
tbody tr:last-child > * { border-bottom: 0; }
tbody tr:hover > *, tr.current > * { background: var(--soft); }
th button { all: unset; cursor: pointer; }
th button:focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
th[aria-sort] button { color: var(--mark); }
th[aria-sort=ascending] button::after { content: ' ↑'; }
th[aria-sort=descending] button::after { content: ' ↓'; }
tbody label { display: flex; gap: .45rem; align-items: baseline; cursor: pointer; }
input[type=checkbox] { accent-color: var(--mark); }
.chart { width: min(100%, 50rem); margin: 1rem 0; }
.chart > svg { display: block; width: 100%; height: auto; }
.chart text { fill: var(--ink); font-size: 12px; }
.grid path { stroke: var(--line); fill: none; }
.grid text, .chart text.title { fill: var(--pale); }
${[0, 1, 2, 3, 4].map((i) => `.branch${i} { fill: var(--b${i}); stroke: var(--b${i}); }`).join('\n')}
circle { stroke-width: 2; }
circle.uneven { fill: var(--paper); }
figcaption circle.uneven:not([class*=branch]) { stroke: var(--ink); }
.current circle { stroke: var(--ink); stroke-width: 4; }
figcaption { justify-content: start; }
figcaption svg { width: .8rem; height: .8rem; }
.key { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin-right: .3rem; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 0 0 .5rem; font-size: .9rem; }
.bar { position: static; display: flex; width: 16rem; height: .9rem; margin: 0; background: none; box-shadow: none; }
.bar i { display: block; }
${['prepare', 'full', 'cached', 'around', 'decode'].map((part) => `.${part} { background: var(--${part}); }`).join('\n')}
.tools { position: sticky; top: 0; z-index: 3; padding: .5rem 0; background: var(--paper); display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
.pictures { position: static; display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: .9rem .75rem; }
.pictures figure { margin: 0; width: auto; }
.pictures figure[hidden] { display: none; }
.pictures figure.reference { order: -1; }
.pictures .pair { position: relative; isolation: isolate; overflow: hidden; border-radius: 4px; background: var(--original) 0 0 / 100% 100%; }
.pictures img { position: static; display: block; width: 100%; height: auto; clip-path: none !important; }
body.differences .pair { filter: brightness(8); }
body.differences .reference .pair { filter: none; }
body.differences figure:not(.reference) img { mix-blend-mode: difference; }
.pictures figcaption { display: block; margin-top: .3rem; line-height: 1.3; overflow-wrap: anywhere; }
figcaption span { color: var(--pale); }
figcaption .wrong { color: var(--b1); }
@media (max-width: 40rem) {
  .pictures { grid-template-columns: repeat(auto-fill, minmax(7rem, 1fr)); }
  th:first-child { max-width: 11rem; }
  tbody th { min-width: 9rem; }
  .chart text { font-size: 18px; }
}
`;
